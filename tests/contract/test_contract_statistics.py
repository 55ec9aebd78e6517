"""Percentiles against closed forms, scipy's binomial distribution, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from hil.contract.statistics import minimum_samples, nearest_rank, percentile, upper_bound, upper_bound_rank

PROBABILITIES = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999])
CONFIDENCES = st.sampled_from([0.8, 0.9, 0.95, 0.99])
SAMPLES = st.lists(st.integers(-1000, 1000), min_size=1, max_size=400).map(lambda values: np.sort(np.array(values)))


@pytest.mark.parametrize(("p", "value"), [(0.05, 15), (0.30, 20), (0.40, 20), (0.50, 35), (1.0, 50)])
def test_nearest_rank_on_the_textbook_list(p: float, value: int) -> None:
    """The worked example of the nearest-rank method: 15, 20, 35, 40, 50."""
    assert percentile(np.array([15, 20, 35, 40, 50]), p) == value


def test_nearest_rank_does_not_round_in_floating_point() -> None:
    assert 0.07 * 100 > 7  # what a float would make of it
    assert nearest_rank(100, 0.07) == 7


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (3, 0.0), (3, 1.01)])
def test_nearest_rank_refuses_what_has_no_rank(n: int, p: float) -> None:
    with pytest.raises(ValueError, match="nearest rank needs"):
        nearest_rank(n, p)


@given(SAMPLES, st.integers(1, 1000))
def test_a_percentile_is_a_sample_with_at_least_that_share_at_or_below_it(
    ordered: np.ndarray, thousandths: int
) -> None:
    p = thousandths / 1000
    value = percentile(ordered, p)
    assert value in ordered
    assert (ordered <= value).sum() * 1000 >= thousandths * len(ordered)
    assert (ordered < value).sum() * 1000 < thousandths * len(ordered)  # and it is the smallest such sample


@given(SAMPLES, st.integers(1, 1000), st.integers(1, 1000))
def test_percentiles_rise_with_p(ordered: np.ndarray, first: int, second: int) -> None:
    low, high = sorted((first / 1000, second / 1000))
    assert percentile(ordered, low) <= percentile(ordered, high)


@pytest.mark.parametrize(
    ("p", "confidence", "needed"), [(0.5, 0.95, 5), (0.95, 0.95, 59), (0.99, 0.95, 299), (0.99, 0.99, 459)]
)
def test_minimum_samples_are_the_published_ones(p: float, confidence: float, needed: int) -> None:
    """Wilks' one-sided sample sizes: 59 for 95/95, 299 for 99/95, 459 for 99/99."""
    assert minimum_samples(p, confidence) == needed


@given(PROBABILITIES, CONFIDENCES)
def test_minimum_samples_satisfy_the_closed_form_and_one_less_does_not(p: float, confidence: float) -> None:
    n = minimum_samples(p, confidence)
    assert 1 - math.pow(p, n) >= confidence
    assert n == 1 or 1 - math.pow(p, n - 1) < confidence


@pytest.mark.parametrize(("p", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.99, 1.0), (0.99, 0.0)])
def test_minimum_samples_refuse_a_bound_that_cannot_be(p: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        minimum_samples(p, confidence)


@given(st.integers(1, 3000), PROBABILITIES, CONFIDENCES)
def test_the_bound_is_the_smallest_rank_with_enough_confidence(n: int, p: float, confidence: float) -> None:
    ranks = np.arange(1, n + 1)
    enough = ranks[binom.cdf(ranks - 1, n, p) >= confidence]
    assert upper_bound_rank(n, p, confidence) == (enough[0] if len(enough) else None)


def test_298_samples_do_not_bound_a_p99() -> None:
    assert upper_bound_rank(298, 0.99, 0.95) is None
    assert upper_bound_rank(299, 0.99, 0.95) == 299


@given(SAMPLES, PROBABILITIES, CONFIDENCES)
def test_the_bound_is_a_sample_not_below_the_point_estimate(ordered: np.ndarray, p: float, confidence: float) -> None:
    bound = upper_bound(ordered, p, confidence)
    if bound is not None:
        assert bound in ordered
        assert bound >= percentile(ordered, p)


@pytest.mark.parametrize(("n", "p"), [(59, 0.95), (320, 0.99), (1000, 0.99), (1000, 0.5)])
def test_the_bound_covers_the_true_quantile_as_often_as_it_says(n: int, p: float) -> None:
    """Ranks of uniform samples: the true quantile is p itself. 2000 runs put the share within 0.95 - 3 sigma."""
    random = np.random.default_rng(7)
    rank = upper_bound_rank(n, p, 0.95)
    assert rank is not None
    bounds = np.array([np.sort(random.random(n))[rank - 1] for _ in range(2000)])
    assert (bounds >= p).mean() >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 2000)
