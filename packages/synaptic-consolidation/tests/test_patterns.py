"""Random patterns: activity, and neurons that are both active and silent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpwave_shared.errors import ParameterError
from synaptic_consolidation.patterns import draw_patterns


def draw(n: int, m: int, f: float, seed: int = 0, *, exact: bool = False) -> np.ndarray:
    return draw_patterns(n, m, f, np.random.default_rng(seed), exact=exact)


@given(
    st.integers(2, 40),
    st.integers(2, 30),
    st.floats(0.01, 0.99),
    st.booleans(),
    st.integers(0, 100),
)
def test_any_sizes(n: int, m: int, f: float, exact: bool, seed: int) -> None:
    """Patterns keep all promises, or are refused before anything is drawn."""
    generator = np.random.default_rng(seed)
    before = generator.bit_generator.state
    try:
        patterns = draw_patterns(n, m, f, generator, exact=exact)
    except ParameterError:
        assert generator.bit_generator.state == before
        return
    assert patterns.shape == (m, n)
    assert patterns.dtype == np.uint8
    assert set(np.unique(patterns)) == {0, 1}
    assert (patterns.min(0) == 0).all()
    assert (patterns.max(0) == 1).all()
    if exact:
        assert (patterns.sum(1) == round(n * f)).all()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("f", [0.05, 0.5, 0.8])
def test_activity(exact: bool, f: float) -> None:
    patterns = draw(200, 400, f, exact=exact)
    assert patterns.mean() == pytest.approx(f, abs=4 * np.sqrt(f * (1 - f) / patterns.size))
    # Neurons are alike, and independent of each other.
    spread = np.sqrt(f * (1 - f) / 400)
    assert patterns.mean(0).std() == pytest.approx(spread, rel=0.25)
    assert np.abs(patterns.mean(0) - f).max() < 5 * spread
    correlations = np.corrcoef(patterns.T.astype(float))[np.triu_indices(200, 1)]
    assert abs(correlations.mean()) < 0.01


def test_redrawn_neurons_are_as_likely_as_others() -> None:
    """Of the 8 columns of three patterns, the 6 that are allowed come equally often."""
    patterns = draw(6000, 3, 0.5)
    counts = np.bincount(np.array([1, 2, 4]) @ patterns, minlength=8)
    assert counts[[0, 7]].tolist() == [0, 0]
    assert np.abs(counts[1:7] - 1000).max() < 5 * np.sqrt(1000)


def test_few_exact_patterns() -> None:
    """All neurons take part even where there is only just room for it."""
    assert (draw(20, 10, 0.1, exact=True).sum(0) == 1).all()
    assert ((1 - draw(20, 10, 0.9, exact=True)).sum(0) == 1).all()


@pytest.mark.parametrize("exact", [False, True])
def test_the_generator_decides(exact: bool) -> None:
    one, same, other = (draw(50, 6, 0.2, seed, exact=exact) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("n", "m", "f", "exact", "message"),
    [
        (100, 10, 0.0, False, r"f: got 0, expected .* between 0 and 1"),
        (100, 10, 1.0, True, r"f: got 1, expected .* between 0 and 1"),
        (100, 10, float("nan"), False, r"f: got nan"),
        (1, 10, 0.5, False, r"n: got 1, expected at least 2"),
        (100, 1, 0.5, False, r"patterns: got 1, expected at least 2"),
        (9, 10, 0.05, True, r"n: got 9, .* 1 to n - 1 are active; with f = 0.05 they are 0"),
        (9, 10, 0.95, True, r"n: got 9, .* they are 9"),
        (
            100,
            19,
            0.05,
            True,
            r"patterns: got 19, expected at least 20, .* n = 100 .* 5 are active",
        ),
        (100, 10, 1e-4, False, r"f: got 0.0001, .* closer to 0.5, or more than 10 patterns"),
    ],
)
def test_impossible_patterns(n: int, m: int, f: float, exact: bool, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        draw(n, m, f, exact=exact)
