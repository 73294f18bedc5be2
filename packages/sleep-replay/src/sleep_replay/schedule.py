"""When a sleeping model replays recent experience (NREM) and when it dreams (REM)."""

from dataclasses import dataclass

from sharpwave_shared.errors import InvalidInputError


@dataclass(frozen=True)
class Cycle:
    """One sleep cycle: epochs of NREM, then epochs of REM."""

    nrem: int
    rem: int


@dataclass(frozen=True)
class Schedule:
    """A night of sleep.

    Attributes
    ----------
    total_eps
        Epochs over all cycles; each cycle has `total_eps // num_cycles` of them.
    num_cycles
        Number of cycles, each NREM and then REM.
    start_fraction_rem, end_fraction_rem
        Fraction of a cycle's epochs that are REM in the first and in the last cycle, in [0, 1];
        linear in between, rounded down to whole epochs.

    Raises
    ------
    InvalidInputError
        If a cycle would have no epoch, or a fraction is outside [0, 1].
    """

    total_eps: int = 100
    num_cycles: int = 20
    start_fraction_rem: float = 0.2
    end_fraction_rem: float = 0.8

    def __post_init__(self) -> None:
        if self.num_cycles < 1:
            raise InvalidInputError(f"--num-cycles {self.num_cycles}: at least 1 is needed")
        if self.total_eps < self.num_cycles:
            raise InvalidInputError(
                f"--total-eps {self.total_eps}: fewer epochs than cycles "
                f"(--num-cycles {self.num_cycles}); every cycle needs at least one epoch"
            )
        for option, fraction in (
            ("--start-fraction-rem", self.start_fraction_rem),
            ("--end-fraction-rem", self.end_fraction_rem),
        ):
            if not 0 <= fraction <= 1:
                raise InvalidInputError(f"{option} {fraction}: a fraction lies in [0, 1]")

    @property
    def epochs_per_cycle(self) -> int:
        """Epochs of each cycle; what `total_eps` leaves over is not trained."""
        return self.total_eps // self.num_cycles

    def cycles(self) -> list[Cycle]:
        """List the cycles in order."""
        epochs = self.epochs_per_cycle
        rises = self.end_fraction_rem - self.start_fraction_rem
        cycles = []
        for index in range(self.num_cycles):
            fraction = self.start_fraction_rem + rises * index / max(self.num_cycles - 1, 1)
            # The small term keeps 0.57 x 100 at 57: in binary it is 56.99999999999999.
            rem = int(fraction * epochs + 1e-9)
            cycles.append(Cycle(epochs - rem, rem))
        return cycles
