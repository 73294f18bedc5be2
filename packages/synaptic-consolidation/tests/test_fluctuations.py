import math

import numpy as np
import pytest

from sharpwave_shared.errors import DivergenceError, ParameterError
from sharpwave_shared.seeding import Streams
from synaptic_consolidation import fluctuations
from synaptic_consolidation.experiments.synapses import Fluctuations
from synaptic_consolidation.fluctuations import advance, simulate
from synaptic_consolidation.reference import plain_fluctuations

SMALL = Fluctuations(synapses=60, duration=10)
WILD = SMALL.replaced(sigma=0.5, dt=1e-2)
"""Noise that kills some synapses in a few units of time."""


def run(z, parameters, xi):
    """Run on given noise (steps x 2 x synapses)."""
    state = np.ones((2, parameters.synapses))
    numbers = xi.reshape(len(xi), -1)[:, : parameters.numbers]
    weights = np.zeros((parameters.synapses, -(-len(xi) // parameters.steps_per_sample)))
    advance(z, parameters, state, np.ascontiguousarray(numbers), 0, weights)
    return state, weights


@pytest.mark.parametrize("mixture", [0.0, 0.5])
@pytest.mark.parametrize("z", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("parameters", [SMALL, WILD])
def test_equals_the_plain_transcription(parameters, z, mixture):
    p = parameters.replaced(mixture=mixture)
    xi = np.random.default_rng(z).standard_normal((700, 2, p.synapses), dtype=np.float32)
    state, weights = run(z, p, xi)
    plain_state, plain_weights = plain_fluctuations(
        z, xi, every=p.steps_per_sample, dt=p.dt, sigma=p.sigma, mixture=mixture
    )
    living = plain_state[0] > 0
    assert parameters is SMALL or 0 < living.sum() < p.synapses
    np.testing.assert_allclose(weights, plain_weights, rtol=1e-9, atol=1e-12)
    for factor in plain_state[1:]:
        np.testing.assert_allclose(state[1], factor, rtol=1e-9)
    np.testing.assert_allclose(state[0], plain_state[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("z", [1, 2, 3])
def test_one_step_by_hand(z):
    xi = np.array([[[1.0, -2.0], [0.5, -0.5]]], np.float32)
    for mixture, noise in ((0.0, [1.0, -2.0]), (0.5, [0.75, -1.25])):
        p = Fluctuations(synapses=2, duration=1, mixture=mixture)
        state, _ = run(z, p, xi)
        # All factors are 1 and so is the norm: H = 0.
        change = 0.05 * np.array(noise) * math.sqrt(5e-3) + 0.1 * 0.05 * 5e-3
        np.testing.assert_allclose(state[0], 1 + change, rtol=1e-12)
        # The slow ones follow the fast one as it is now.
        np.testing.assert_allclose(state[1], 1 + change * 5e-3 / 30, rtol=1e-12)


@pytest.mark.parametrize("z", [1, 2, 5])
def test_dead_synapses_stay_dead(z):
    weights = simulate(z, WILD.replaced(duration=40), Streams(1))
    assert (weights >= 0).all()
    died = (weights == 0).any(1)
    assert 0 < died.sum() < len(weights)
    dead = weights == 0
    assert (dead[:, 1:] >= dead[:, :-1]).all()


def test_all_dead_synapses_are_no_error():
    # The mean of the noise is far below 0.
    weights = simulate(2, SMALL.replaced(drift=-1e3), Streams(0))
    assert not weights[:, -1].any()


@pytest.mark.parametrize("z", [1, 2, 3, 4])
def test_homeostasis_holds_the_norm_of_living_synapses(z):
    weights = simulate(z, Fluctuations(synapses=300, duration=100), Streams(3))
    living = np.where(weights > 0, weights, np.nan)
    norm = np.nanmean(living ** (2 / z), axis=0)
    assert abs(norm.mean() - 1) < 0.01
    assert norm.std() < 0.02
    free = simulate(z, Fluctuations(synapses=300, duration=100, gain=0.0), Streams(3))
    assert abs(np.mean(free[:, -1] ** (2 / z)) - 1) > 0.05


@pytest.mark.parametrize("z", [1, 2, 5])
def test_without_noise_nothing_moves(z):
    p = SMALL.replaced(sigma=0.0)
    np.testing.assert_array_equal(simulate(z, p, Streams(0)), np.ones((60, 11)))


def test_slow_factors_follow_the_fast_one():
    p = SMALL.replaced(sigma=0.0, gain=0.0)
    state = np.array([np.full(60, 2.0), np.ones(60)])
    steps = round(30 / p.dt)
    advance(2, p, state, np.zeros((steps, p.numbers), np.float32), 0, np.zeros((60, 30)))
    np.testing.assert_allclose(state[1], 2 - math.exp(-1), rtol=1e-4)


def test_same_seed_same_numbers_whatever_the_chunks(monkeypatch):
    weights = simulate(3, SMALL, Streams(5))
    np.testing.assert_array_equal(simulate(3, SMALL, Streams(5)), weights)
    assert (simulate(3, SMALL, Streams(6))[:, 1:] != weights[:, 1:]).all()
    for size in (1, 777, 10**6):
        monkeypatch.setattr(fluctuations, "CHUNK_NUMBERS", size)
        np.testing.assert_array_equal(simulate(3, SMALL, Streams(5)), weights)


def test_samples_begin_at_time_0_and_end_at_the_duration():
    weights = simulate(2, SMALL, Streams(0))
    assert weights.shape == (60, 11)
    np.testing.assert_array_equal(weights[:, 0], 1)
    longer = simulate(2, SMALL.replaced(duration=12), Streams(0))
    np.testing.assert_array_equal(longer[:, :11], weights)


def test_divergence_is_told():
    with pytest.raises(DivergenceError, match="step"):
        simulate(100, SMALL.replaced(sigma=1e3, drift=1e3, gain=0.0), Streams(0))


@pytest.mark.parametrize("z", [0, -1, 101])
def test_factors_out_of_range(z):
    with pytest.raises(ParameterError, match=f"factors: got {z}"):
        simulate(z, SMALL, Streams(0))
