"""What is measured on trained networks, against plain loops and on networks made by hand."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hybrid_made import network
from torch import Tensor

from hybrid_plasticity import analysis
from hybrid_plasticity.analysis import (
    QUANTITIES,
    generalise,
    half_lives,
    interpret,
    intervals_to_test,
    picture,
)
from hybrid_plasticity.configuration import Configuration, Task
from hybrid_plasticity.folders import Model
from hybrid_plasticity.model import Activity, Parameters, initialise
from hybrid_plasticity.reference import plain_network
from hybrid_plasticity.streams import Streams, make_streams
from sharpwave_shared.errors import ParameterError

TASK = Task(2, 6, 0.34)
TYPES = [
    network("Nonl_RO", (5, 3), (0.5,), ("M",), task=TASK),
    network("Memo", (5, 4), (1, 0), ("M", "A"), task=TASK),
    network("Dyn_RO", (5, 4), (0, 1), ("A", "M"), task=TASK),
    network("Stack", (3, 5), (1, 0.5), ("A", "M"), out_dim=2, task=TASK),
]


def model_of(
    configuration: Configuration, interval: int = 1, seed: int = 0, **values: Tensor
) -> Model:
    """A network with random parameters, or with given ones."""
    parameters = initialise(configuration, seed)
    assert values.keys() <= parameters.keys()
    given = {name: value.float()[None] for name, value in values.items()}
    return Model(configuration, seed, interval, parameters | given)


def plain(model: Model, frames: Tensor) -> tuple[Tensor, list[np.ndarray], list[list[Tensor]]]:
    """Outputs, activity of each layer (frames x units) and matrices P of each frame."""
    one = {name: values[0] for name, values in model.parameters.items()}
    c = model.configuration
    outputs, hidden, P = plain_network(c.network_type, c.plastic_types, one, frames)
    layers = [torch.stack([h[i] for h in hidden]).numpy() for i in range(len(c.hidden_dims))]
    return outputs, layers, P


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Streams]:
    """The streams that an analysis draws."""
    streams: list[Streams] = []

    def draw(*arguments: object) -> Streams:
        streams.append(make_streams(*arguments))
        return streams[-1]

    monkeypatch.setattr(analysis, "make_streams", draw)
    return streams


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", TYPES, ids=lambda c: c.folder)
def test_pictures_show_what_the_plain_transcription_does(
    configuration: Configuration, drawn: list[Streams]
) -> None:
    model = model_of(configuration, interval=7, seed=2)
    found = picture(model, 4)
    (streams,) = drawn
    assert streams.repeated.shape == (1, 28)  # 4 R scenes of two frames
    assert streams.repeated.any()
    outputs, hidden, P = plain(model, streams.frames[0])
    np.testing.assert_array_equal(found["repeated"], streams.repeated[0])
    np.testing.assert_allclose(found["answers"], outputs[1::2, 0], rtol=1e-4, atol=1e-6)
    assert found["moments"].tolist() == [20, 38, 56]  # after the 10th, 19th and last scene
    for i, activity in enumerate(hidden, 1):
        np.testing.assert_allclose(found[f"hidden_{i}"], activity, rtol=1e-4, atol=1e-5)
    for i in range(1, len(configuration.plastic_types) + 1):
        wanted = [P[moment - 1][i - 1] for moment in (20, 38, 56)]
        assert wanted[0].abs().max() > 1e-2
        np.testing.assert_allclose(found[f"P_{i}"], torch.stack(wanted), rtol=1e-3, atol=1e-5)
        # What the next frame meets, after the frames of the last 24 scenes.
        W, rule = model.parameters[f"W_{i}"][0], configuration.plastic_types[i - 1]
        actual = torch.stack([W * p[i - 1] + W if rule == "M" else W + p[i - 1] for p in P[8:]])
        np.testing.assert_allclose(found[f"actual_{i}"], actual, rtol=1e-3, atol=1e-5)
    for name, values in model.parameters.items():
        np.testing.assert_array_equal(found[name], values[0])
    expected = {"repeated", "answers", "moments", *model.parameters}
    expected |= {f"hidden_{i}" for i in (1, 2)}
    plastic = range(1, len(configuration.plastic_types) + 1)
    expected |= {f"{name}_{i}" for name in ("P", "actual") for i in plastic}
    assert found.keys() == expected


def test_pictures_have_at_least_24_scenes_and_depend_on_the_seed() -> None:
    one, same, other = (picture(model_of(TYPES[1]), seed) for seed in (0, 0, 1))
    assert one["repeated"].shape == (24,)
    assert one["moments"].tolist() == [16, 32, 48]
    np.testing.assert_array_equal(one["hidden_1"], same["hidden_1"])
    assert not np.array_equal(one["hidden_1"], other["hidden_1"])


# --- generalisation -------------------------------------------------------------------------------


def test_a_network_of_one_answer(drawn: list[Streams]) -> None:
    always = model_of(TYPES[1], b_out=torch.tensor([1e4]))
    never = model_of(TYPES[1], b_out=torch.tensor([-1e4]))
    found = generalise([always, never], [1, 3], 4, 0)
    assert found.true_positive.values.tolist() == [[1, 1], [0, 0]]
    assert found.false_positive.values.tolist() == [[1, 1], [0, 0]]
    shares = [streams.repeated.double().mean() for streams in drawn]
    assert [len(streams.repeated) for streams in drawn] == [4, 4]
    np.testing.assert_allclose(found.accuracy[0], shares)
    np.testing.assert_allclose(found.accuracy[1], [1 - share for share in shares])


def remembering(scenes: int) -> Callable[..., Activity]:
    """Networks that know the last frames of so many scenes (of one frame each) by heart."""

    def run(configurations: Sequence[Configuration], _: Parameters, frames: Tensor) -> Activity:
        answers = torch.full((*frames.shape[:3], 1), -1.0)
        for n, streams in enumerate(frames.tolist()):
            for b, stream in enumerate(streams):
                for i, frame in enumerate(stream):
                    if frame in stream[max(0, i - scenes) : i]:
                        answers[n, b, i] = 1.0
        return Activity(answers, [])

    return run


def test_a_memory_of_three_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = network("Memo", (2,), (1,), ("A",), task=Task(1, 30, 0))
    monkeypatch.setattr(analysis, "run_networks", remembering(3))
    found = generalise([model_of(configuration)], [1, 2, 3, 4, 6], 3, 0)
    assert found.interval.values.tolist() == [1, 2, 3, 4, 6]
    assert found.true_positive.values.tolist() == [[1, 1, 1, 0, 0]]
    assert found.false_positive.values.tolist() == [[0, 0, 0, 0, 0]]
    assert found.accuracy[0, :3].values.tolist() == [1, 1, 1]
    assert (abs(found.accuracy[0, 3:] - 2 / 3) < 0.08).all()
    assert found.half_life.values.tolist() == [3.5]


@pytest.mark.parametrize("configuration", [TYPES[1], TYPES[3]], ids=lambda c: c.folder)
def test_rates_are_counted_as_by_a_plain_loop(
    configuration: Configuration, drawn: list[Streams]
) -> None:
    models = [model_of(configuration, seed=seed) for seed in (1, 2)]
    found = generalise(models, [2], 2, 5)
    (streams,) = drawn
    for n, model in enumerate(models):
        hits = misses = alarms = rejections = 0
        for frames, repeated in zip(streams.frames, streams.repeated.tolist(), strict=True):
            y = plain(model, frames)[0][1::2]
            # None is on the edge, where rounding would decide.
            assert (y - 0.5).abs().min() > 1e-5
            for answers, target in zip((y > 0.5).tolist(), repeated, strict=True):
                for answer in answers:
                    hits += answer and target
                    misses += target and not answer
                    alarms += answer and not target
                    rejections += not answer and not target
        assert hits + misses + alarms + rejections == 200 * configuration.out_dim
        assert float(found.true_positive[n, 0]) == pytest.approx(hits / (hits + misses))
        assert float(found.false_positive[n, 0]) == pytest.approx(alarms / (alarms + rejections))
        assert float(found.accuracy[n, 0]) == pytest.approx((hits + rejections) / 200 / len(y[0]))
    assert found.accuracy.min() > 0
    assert not np.array_equal(found.accuracy[0], found.accuracy[1])


def test_results_do_not_depend_on_how_much_is_held_at_once(
    monkeypatch: pytest.MonkeyPatch, drawn: list[Streams]
) -> None:
    models = [model_of(TYPES[2], seed=seed) for seed in (1, 2)]
    whole = generalise(models, [1, 6], 7, 0)
    assert [len(streams.repeated) for streams in drawn] == [7, 7]
    drawn.clear()
    # 100 scenes of two frames through two networks of nine units: 3 streams; 120 scenes: 2.
    monkeypatch.setattr(analysis, "AT_ONCE", 3 * 100 * 2 * 2 * 9)
    parts = generalise(models, [1, 6], 7, 0)
    assert [len(streams.repeated) for streams in drawn] == [3, 3, 1, 2, 2, 2, 1]
    monkeypatch.setattr(analysis, "AT_ONCE", 1)
    single = generalise(models, [1, 6], 7, 0)
    for name in ("true_positive", "false_positive", "accuracy"):
        expected = whole[name]
        # Rounding may move an answer across the threshold, but not more than one or two.
        np.testing.assert_allclose(parts[name], expected, atol=0.005)
        np.testing.assert_allclose(single[name], expected, atol=0.005)
    # Nor do the streams of an interval depend on the other intervals.
    alone = generalise(models, [6], 7, 0)
    np.testing.assert_allclose(alone.accuracy[:, 0], whole.accuracy[:, 1], atol=0.005)
    assert not generalise(models, [6], 7, 1).accuracy.equals(alone.accuracy)


def half_life(
    *memory: float, false_positive: float = 0.0, intervals: Sequence[int] = ()
) -> float | None:
    """The half-life of one network, or None."""
    # What is true minus false is all that counts.
    rates = np.array([memory]) + false_positive - false_positive
    (found,) = half_lives(np.array(intervals or range(1, len(memory) + 1), float), rates)
    return None if np.isnan(found) else float(found)


def test_half_lives_by_hand() -> None:
    assert half_life(1, 0.75, 0.25, 0) == 2.5
    assert half_life(1, 1, 0.8, 0.2, intervals=[1, 2, 3, 6]) == 4.5
    # Relative to the best, from there on: 0.4, between 0.6 and 0.2.
    assert half_life(0.3, 0.8, 0.6, 0.2) == pytest.approx(3.5)
    assert half_life(0.7, 0.5, 0.1, false_positive=0.2) == pytest.approx(2.375)
    # The first time counts.
    assert half_life(1, 0, 1, 0) == 1.5
    assert half_life(1, 0.9, 0.6) is None
    assert half_life(0.1, 0.5, 1) is None
    two = half_lives(np.array([1.0, 2.0]), np.array([[1, 0.0], [1, 0.9]]))
    np.testing.assert_array_equal(two, [1.5, np.nan])


def test_a_network_without_memory_has_no_half_life() -> None:
    # Worse than chance everywhere: nothing whose half could be left at a later interval.
    for rates in ((-0.6, -0.7), (-0.7, -0.6), (-0.6, -0.7, -0.8)):
        assert half_life(*rates) in (None, 0.0)


def test_test_intervals_go_three_times_as_far_and_beyond() -> None:
    for trained in (1, 2, 5):
        intervals = intervals_to_test(trained)
        assert intervals == sorted(set(intervals))
        assert set(range(1, 3 * trained + 1)) <= set(intervals)
        assert trained + 2 in intervals
        assert intervals[-1] > 3 * trained
    assert intervals_to_test(3) == [*range(1, 10), 14, 18, 27, 36]


# --- interpretation -------------------------------------------------------------------------------

TWO = Task(1, 2, 0)
W = torch.tensor([[1.0, -3.0], [0.0, 2.0]])
ETA = torch.tensor([[-1.0, 2.0], [5.0, -0.5]])


def layer(configuration: Configuration, number: int = 0, **values: Tensor) -> dict:
    found = interpret(model_of(configuration, **values), 1, 0).isel(layer=number)
    signs = "sign_mean", "sign_negative", "sign_mean_initial", "sign_negative_initial"
    return {name: found[name].item() for name in (*QUANTITIES, *signs, "rule")}


def test_the_rates_of_a_layer_by_hand() -> None:
    additive = network("Memo", (2,), (1,), ("A",), task=TWO)
    found = layer(additive, W_1=W, eta_1=ETA, lambda_1=torch.tensor(0.0))
    assert found["rule"] == "A"
    assert found["eta_mean"] == pytest.approx(5.5 / 4)
    assert found["W_eta_correlation"] == pytest.approx(
        np.corrcoef([1, -3, 0, 2], [-1, 2, 5, -0.5])[0, 1], rel=1e-5
    )
    assert (found["E_mean"], found["E_size"]) == pytest.approx((5.5 / 4, 8.5 / 4))
    assert found["decay"] == 0.5
    # After this many frames 1/e of a memory is left.
    assert found["decay"] ** found["decay_time"] == pytest.approx(math.exp(-1))

    multiplicative = network("Memo", (2,), (1,), ("M",), task=TWO)
    found = layer(multiplicative, W_1=W, eta_1=ETA)
    # W * eta is -1, -6, 0, -1.
    assert (found["E_mean"], found["E_size"]) == pytest.approx((-2, 2))
    assert found["eta_mean"] == pytest.approx(5.5 / 4)
    assert found["decay"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert found["decay_time"] == pytest.approx(1 / math.log(1 + math.exp(-1)))


def test_signs_of_plasticity_by_hand() -> None:
    # Entries of frames are +1 or -1: their squares are 1.
    additive = network("Memo", (2,), (1,), ("A",), task=TWO)
    found = interpret(model_of(additive, W_1=W, eta_1=ETA), 1, 0).isel(layer=0)
    assert found["sign"].values == pytest.approx([1.0, 4.5])
    assert found["sign_mean"].item() == pytest.approx(2.75)
    assert found["sign_negative"].item() == 0
    # W * eta is -1, -6; 0, -1: the sign of W counts.
    multiplicative = network("Memo", (2,), (1,), ("M",), task=TWO)
    found = interpret(model_of(multiplicative, W_1=W, eta_1=ETA), 1, 0).isel(layer=0)
    assert found["sign"].values == pytest.approx([-7.0, -1.0])
    assert found["sign_negative"].item() == 1
    # Before training, the same of the network that training begins with.
    first = initialise(multiplicative, 0)
    wanted = (first["W_1"] * first["eta_1"])[0].sum(1)
    assert found["sign_initial"].values == pytest.approx(wanted.numpy(), rel=1e-5)
    assert found["sign_negative_initial"].item() == float((wanted < 0).float().mean())


def test_signs_of_a_later_layer_weigh_the_activity_of_the_one_before(
    drawn: list[Streams],
) -> None:
    configuration = network("Memo", (3, 2), (1, 0.5), ("M", "A"), task=Task(2, 4, 0.25))
    model = model_of(configuration, interval=1, seed=1)
    found = interpret(model, 2, 6).isel(layer=1)
    (streams,) = drawn
    hidden = np.concatenate([plain(model, frames)[1][0] for frames in streams.frames])
    power = (hidden**2).mean(0)
    eta = model.parameters["eta_2"][0].numpy()
    assert found["sign"].values[:2] == pytest.approx((eta * power).sum(1), rel=1e-3)


@pytest.mark.parametrize("rate", [0.5, -0.5])
def test_a_single_rate_starts_where_it_is_told(rate: float) -> None:
    configuration = network("Memo", (3,), (0,), ("A",)).replaced(initial_rate=rate)
    assert initialise(configuration, 0)["eta_1"].tolist() == [rate]
    data = interpret(model_of(configuration), 1, 0)
    assert data["sign_mean_initial"].values == pytest.approx([25 * rate])
    assert configuration.folder.endswith("-from0.5") == (rate > 0)
    with pytest.raises(ParameterError, match="initial_rate: got 0"):
        network("Memo", (3,), (1,), ("A",)).replaced(initial_rate=0.5)


def test_rates_of_units_and_of_layers_by_hand() -> None:
    units = network("Memo", (2,), (0.5,), ("M",), task=TWO)
    found = layer(units, W_1=W, eta_1=torch.tensor([[2.0], [-1.0]]))
    assert found["eta_mean"] == 0.5
    assert found["E_mean"] == pytest.approx((2 - 6 + 0 - 2) / 4)
    assert found["W_eta_correlation"] == pytest.approx(
        np.corrcoef([1, -3, 0, 2], [2, 2, -1, -1])[0, 1], rel=1e-5
    )


@pytest.mark.parametrize("rate", [-0.5, 0.1, -0.3, 0.7, 1e-3])
def test_a_single_rate_has_no_correlation_with_weights(rate: float) -> None:
    configuration = network("Memo", (7,), (0,), ("A",), task=Task(1, 9, 0))
    found = layer(configuration, eta_1=torch.tensor(rate))
    assert np.isnan(found["W_eta_correlation"])
    assert found["eta_mean"] == pytest.approx(rate)
    assert found["sign_negative"] == (rate < 0)


def test_a_memory_of_the_last_frame_has_no_decay_time() -> None:
    configuration = network("Dyn_RO", (2, 3), (1, 1), ("A", "A"), task=TWO)
    first, second = layer(configuration), layer(configuration, 1)
    assert first["decay_time"] > 0
    assert (second["decay"], second["decay_time"]) == (0, 0)


def test_a_memory_that_hardly_decays_has_a_long_decay_time() -> None:
    configuration = network("Memo", (2,), (1,), ("A",), task=TWO)
    times = [
        layer(configuration, lambda_1=torch.tensor(value))["decay_time"]
        for value in (2.0, 8.0, 14.0, 30.0)
    ]
    # The last one rounds to a factor of 1: it does not decay.
    assert times[3] == math.inf
    assert times[:3] == pytest.approx([math.exp(2), math.exp(8), math.exp(14)], rel=0.1)


@pytest.mark.parametrize("configuration", TYPES, ids=lambda c: c.folder)
def test_responses_equal_those_of_a_plain_loop(
    configuration: Configuration, drawn: list[Streams]
) -> None:
    model = model_of(configuration, interval=3, seed=1)
    found = interpret(model, 2, 6)
    (streams,) = drawn
    activity = [plain(model, frames)[1] for frames in streams.frames]
    for i, units in enumerate(configuration.hidden_dims):
        new, again = [], []
        for hidden, repeated in zip(activity, streams.repeated.tolist(), strict=True):
            scenes = [hidden[i][2 * k : 2 * k + 2] for k in range(len(repeated))]
            for k, flag in enumerate(repeated):
                if flag:  # the same scene, three scenes earlier
                    new.append(scenes[k - 3])
                    again.append(scenes[k])
        before, after = np.array(new), np.array(again)
        assert before.shape == (len(new), 2, units)
        assert len(new) > 30
        here = found.isel(layer=i)
        less = np.abs(after[:, 1]).mean(0) < np.abs(before[:, 1]).mean(0)
        assert float(here["suppression"]) == pytest.approx(less.mean())
        close = {"rtol": 1e-3, "atol": 1e-5}
        for scene, values in (("new", before), ("repeated", after)):
            there = here.sel(scene=scene)
            assert float(there["response"]) == pytest.approx(values[:, 1].mean(), abs=1e-5)
            shown = there["unit_response"].values
            np.testing.assert_allclose(shown[:units], values[:, 1].mean(0), **close)
            assert np.isnan(shown[units:]).all()
            np.testing.assert_allclose(there["course"], np.abs(values).mean((0, 2)), **close)
    rules = found["rule"].values.tolist()
    assert "".join(rules).strip("-") == "".join(configuration.plastic_types)
    plastic = found.isel(layer=0)
    units, sources = model.parameters["W_1"].shape[1:]
    for name in ("W", "eta"):
        wanted = model.parameters[f"{name}_1"][0].expand(units, sources)
        np.testing.assert_array_equal(plastic[name].values[:units, :sources], wanted)


def test_anti_hebbian_units_respond_less_to_repetitions() -> None:
    configuration = network("Memo", (3,), (0.5,), ("A",), task=Task(1, 20, 0))
    model = model_of(
        configuration,
        W_1=torch.zeros(3, 20),
        b_1=torch.zeros(3),
        eta_1=torch.tensor([[-0.1], [0.1], [-0.1]]),
    )
    found = interpret(model, 10, 0)
    assert float(found["suppression"][0]) == pytest.approx(2 / 3)
    new, repeated = found["unit_response"].values[0]
    # eta h |x|^2 = 1, up or down; one frame later nothing of it has decayed yet.
    assert new == pytest.approx([0.5, 0.5, 0.5], abs=0.05)
    drive = 0.1 * 20 * 0.5
    wanted = [1 / (1 + math.exp(sign * drive)) for sign in (1, -1, 1)]
    assert repeated == pytest.approx(wanted, abs=0.06)


def test_hebbian_and_anti_hebbian_by_hand_at_a_longer_interval() -> None:
    configuration = network("Memo", (1,), (0,), ("A",), task=Task(1, 40, 0))
    memory = {"W_1": torch.zeros(1, 40), "b_1": torch.zeros(1), "lambda_1": torch.tensor(3.0)}
    responses = [
        interpret(
            model_of(configuration, interval=4, eta_1=torch.tensor(eta), **memory), 10, 0
        ).isel(layer=0)
        for eta in (-0.05, 0.05)
    ]
    changes = [r["response"].diff("scene").item() for r in responses]  # repeated minus new
    assert changes[0] < -0.1
    assert changes[1] > 0.1
    assert [float(response["suppression"]) for response in responses] == [1, 0]
