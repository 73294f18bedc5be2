"""State that checkpoints keep: what can give it and take it back."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable


@runtime_checkable
class Stateful(Protocol):
    """What can be kept and restored, as torch's modules and optimisers can."""

    def state_dict(self) -> Mapping[str, Any]:
        """Give all that is needed to go on, as a tree."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Take back what `state_dict` gave; tensors are on the CPU."""
        ...


class Kept:
    """State in attributes: those in `kept` are kept, by their own states if they have such."""

    kept: ClassVar[tuple[str, ...]]

    def state_dict(self) -> dict[str, Any]:
        """Give all that changes, for a checkpoint."""
        return {name: _state_of(getattr(self, name)) for name in self.kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for name in self.kept:
            own = getattr(self, name)
            if not _has_states(own):
                setattr(self, name, state[name])
            elif isinstance(own, list):
                for part, found in zip(own, state[name], strict=True):
                    part.load_state_dict(found)
            else:
                own.load_state_dict(state[name])


def _has_states(own: Any) -> bool:
    """Tell whether something, or each of a list, has a state."""
    parts = own if isinstance(own, list) and own else [own]
    return all(isinstance(part, Stateful) for part in parts)


def _state_of(own: Any) -> Any:
    if not _has_states(own):
        return own
    return [part.state_dict() for part in own] if isinstance(own, list) else own.state_dict()
