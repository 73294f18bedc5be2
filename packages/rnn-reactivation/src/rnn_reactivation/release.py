"""The keys of the original release's configurations and analyses, as aliases of ours.

`translate` and `translate_analysis` turn settings by the release's keys, as texts, into settings by
ours; some keys say what follows from others here, and `check_settled` refuses other values.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sharpwave_shared.errors import ParameterError

if TYPE_CHECKING:
    from rnn_reactivation.configuration import Configuration

PATH = "path"
"""Where results lie: the option `--out`."""
ALIASES = {
    "rnn.model": "rnn.type",
    "rnn.n_rec": "rnn.hidden_size",
    "rnn.activation_fn": "rnn.activation",
    "trainer.lr": "trainer.learning_rate",
    "trainer.test_freq": "trainer.test_every",
    "trainer.save_freq": "trainer.save_every",
    "task.init_pos": "task.random_start",
    "task.init_hd": "task.random_start",
    "task.drift_const": "task.drift",
    "task.anchor_point": "task.anchor",
    "task.mu": "task.turn_mean",
    "task.sigma": "task.turn_sd",
    "task.b": "task.speed",
    "task.place_cells_dog": "task.difference_of_gaussians",
    "task.place_cells_surround_scale": "task.surround_scale",
    "task.hd_cells_num": "task.head_direction_cells_num",
    "task.hd_cells_angular_spread": "task.head_direction_cells_sigma",
    "task.sequence_length": "task.length",
    "task.batch_size": "trainer.batch_size",
}
"""Ours by the release's key. Keys that are in neither table are the same in both."""
SETTLED = {
    "rnn.n_in": "the inputs of the task",
    "rnn.n_out": "the output cells: task.place_cells_num, or task.head_direction_cells_num",
    "rnn.n_init": "the output cells, whose activations give the initial state",
    "rnn.bias": "false: networks have no biases",
    "task.use_place_cells": "true: outputs are place cells; positions are decoded from them",
    "task.use_hd_cells": "true: outputs are head direction cells; bearings are decoded from them",
    "trainer.compute_all_metrics": "true or false, to the same effect: each test measures loss and "
    "decoding error",
}
"""Keys without one of ours, and what holds instead of them."""
_START = {
    **dict.fromkeys(("true", "random", "uniform"), "true"),
    **dict.fromkeys(("false", "0", "0.0", "zero", "zeros", "none", "centre", "center"), "false"),
}
_MEANINGS = {
    "rnn.model": {
        **dict.fromkeys(("rnn", "vanilla", "vanillarnn", "vanilla_rnn"), "vanilla"),
        **dict.fromkeys(("gru", "grurnn", "gru_rnn"), "gru"),
    },
    "task.init_pos": _START,
    "task.init_hd": _START,
}
"""Words of the release for values of ours; others are taken as they are."""
_ANALYSES = {
    "variance": ("variance_trajectories", "variance_steps"),
    "dimensionality": ("dimension_trajectories", "dimension_steps"),
}
"""What `batch_size` and `t_quiescent` mean in analyses with simulations of their own."""


def translate(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Turn settings by full key into settings by our keys.

    Returns
    -------
    tuple
        The settings, without those that are `SETTLED`; and for our keys those that were given.

    Raises
    ------
    ParameterError
        If a setting is given by both names.
    """
    found: dict[str, str] = {}
    given: dict[str, str] = {}
    for key, text in settings.items():
        if key in SETTLED:
            continue
        ours = ALIASES.get(key, key)
        if ours in found:
            raise ParameterError(key, f"{given[ours]}, too", "one of two names of a parameter")
        word = text.strip().lower().replace("-", "_")
        found[ours], given[ours] = _MEANINGS.get(key, {}).get(word, text), key
    return found, given


def check_settled(settings: Mapping[str, str], configuration: "Configuration") -> None:
    """Refuse values that are not those that the package works with.

    Raises
    ------
    ParameterError
        If there is one; it says what would do instead.
    """
    task = configuration.task
    allowed = {
        "rnn.n_in": [task.inputs],
        "rnn.n_out": [task.cells],
        "rnn.n_init": [task.cells],
        "rnn.bias": [False],
        "task.use_place_cells": [True],
        "task.use_hd_cells": [True],
        "trainer.compute_all_metrics": [True, False],
    }
    for key in SETTLED.keys() & settings.keys():
        text = settings[key].strip().lower()
        if text not in [str(value).lower() for value in allowed[key]]:
            number = allowed[key][0]
            shown = f"{number}, " if type(number) is int else ""
            raise ParameterError(key, repr(settings[key]), shown + SETTLED[key])


def translate_analysis(kind: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Turn settings of an analysis by the release's keys into settings by ours.

    `batch_size` and `t_quiescent` are those of the simulations of this kind of analysis, `t_shift`
    the steps at their start that do not count.

    Raises
    ------
    ParameterError
        If a setting is given by both names, or `t_shift` where all steps count.
    """
    trajectories, steps = _ANALYSES.get(kind, ("trajectories", "steps"))
    names = {"batch_size": trajectories, "t_quiescent": steps}
    found: dict[str, str] = {}
    for key, text in settings.items():
        if key == "t_shift" and kind != "variance":
            if text.strip() != "0":
                expected = "0: only the variance leaves steps out (analyze variance)"
                raise ParameterError(key, repr(text), expected)
            continue
        ours = "variance_dropped" if key == "t_shift" else names.get(key, key)
        if ours in found:
            raise ParameterError(key, f"{ours}, too", "one of two names of a parameter")
        found[ours] = text
    return found
