"""Statistics: the one convention of spread and interval, against others' implementations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from sharpwave_shared.statistics import bootstrap_mean, mean_and_sd, wilson

values = arrays(
    float, array_shapes(min_dims=1, max_dims=3, max_side=5), elements=st.floats(-1e3, 1e3)
)


@given(values, st.data())
def test_mean_and_sd(values, data):
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    mean, sd = mean_and_sd(values, axis)
    np.testing.assert_allclose(mean, values.mean(axis), atol=1e-9)
    if values.shape[axis] > 1:
        np.testing.assert_allclose(sd, values.std(axis, ddof=1), atol=1e-9)
    else:
        assert np.isnan(sd).all()


@given(values, st.data())
def test_what_is_not_known_is_left_out(values, data):
    unknown = data.draw(arrays(bool, values.shape))
    holed = np.where(unknown, data.draw(st.sampled_from([np.nan, np.inf])), values)
    mean, sd = mean_and_sd(holed, 0)
    for place in np.ndindex(mean.shape):
        known = values[(slice(None), *place)][~unknown[(slice(None), *place)]]
        if len(known) == 0:
            assert np.isnan(mean[place])
        else:
            np.testing.assert_allclose(mean[place], known.mean(), atol=1e-9)
        if len(known) < 2:
            assert np.isnan(sd[place])
        else:
            np.testing.assert_allclose(sd[place], known.std(ddof=1), atol=1e-9)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson(holds, of):
    holds = min(holds, of)
    share, low, high = wilson(holds, of)
    expected = stats.binomtest(holds, of).proportion_ci(0.95, method="wilson")
    assert share == holds / of
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= share <= high <= 1


def test_wilson_of_nothing():
    share, low, high = wilson(0, 0)
    assert math.isnan(share)
    assert (low, high) == (0, 1)


def test_bootstrap_agrees_with_scipy():
    drawn = np.random.default_rng(1).normal(size=30)
    value, low, high = bootstrap_mean(drawn)
    expected = stats.bootstrap(
        (drawn,),
        np.mean,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert value == drawn.mean()
    assert low == pytest.approx(expected.low, abs=0.02)
    assert high == pytest.approx(expected.high, abs=0.02)
    assert bootstrap_mean(drawn) == (value, low, high), "it is the same each time"
    assert bootstrap_mean(drawn, seed=1) != (value, low, high)


def test_bootstrap_of_little():
    assert bootstrap_mean(np.array([2.0, 2.0, np.nan])) == (2, 2, 2)
    value, *interval = bootstrap_mean(np.array([3.0, np.nan]))
    assert value == 3
    assert np.isnan(interval).all()
    assert np.isnan(bootstrap_mean(np.array([]))).all()
