"""Agreement figures against scipy, closed forms, and hand-made pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata, spearmanr

from hil.contract import metrics

SMALL = st.integers(-8, 8).map(float)  # few values, so that ties are common
ROWS = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 9)), elements=SMALL)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float64)


def test_top1_takes_the_lowest_index_of_equal_scores() -> None:
    assert metrics.top1(row(0.1, 0.9, 0.0), row(0.5, 0.5, 0.1))[0] == 0
    assert metrics.top1(row(0.9, 0.1, 0.0), row(0.5, 0.5, 0.1))[0] == 1


@pytest.mark.parametrize(("k", "share"), [(1, 0), (2, 0), (3, 1)])
def test_topk_ranks_equal_scores_by_index(k: int, share: float) -> None:
    """The reference's winner is index 2; two scores equal to it come before it."""
    assert metrics.topk(row(0, 0, 1, 0), row(5, 5, 5, 5), k)[0] == share


@given(ROWS, ROWS)
def test_topk_of_one_is_top1_and_of_all_is_certain(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape == second.shape:
        assert np.array_equal(metrics.topk(first, second, 1), metrics.top1(first, second))
        assert metrics.topk(first, second, first.shape[1]).all()


def test_cosine_of_known_angles() -> None:
    first = np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    second = np.array([[0.0, 3.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    expected = [0, math.cos(math.pi / 4), -1, 1, 0]  # the last two: both zero, one zero
    assert metrics.cosine(first, second) == pytest.approx(expected)


def test_sqnr_of_uniform_rounding_noise_follows_the_6_db_rule() -> None:
    """Signal uniform on [-A, A]: power A^2 / 3, rounding noise step^2 / 12, so 20 log10(2^b) dB in b bits."""
    signal = np.random.default_rng(6).uniform(-1, 1, (1, 200_000))
    rounded = np.round(signal * 128) / 128
    assert metrics.sqnr_db(metrics.energies(signal, rounded)) == pytest.approx(20 * math.log10(2**8), abs=0.05)


def test_sqnr_is_over_all_elements_and_not_a_mean_of_rows() -> None:
    first, second = np.array([[10.0], [1.0]]), np.array([[10.0], [0.0]])
    assert metrics.sqnr_db(metrics.energies(first, second)) == pytest.approx(10 * math.log10(101))


def test_sqnr_without_noise_or_without_signal() -> None:
    assert metrics.sqnr_db(metrics.energies(row(1, 2), row(1, 2))) == math.inf
    assert metrics.sqnr_db(metrics.energies(row(0, 0), row(0, 1))) == -math.inf
    assert metrics.sqnr_db(metrics.energies(row(0, 0), row(0, 0))) == math.inf


def test_max_abs_error_takes_the_largest_of_either_sign() -> None:
    assert metrics.max_abs_error(row(0, 1, 2), row(0.5, 1, -1))[0] == 3


@given(ROWS)
def test_average_ranks_are_scipys(values: np.ndarray) -> None:
    assert np.array_equal(metrics.average_ranks(values), rankdata(values, axis=1))


@given(st.data())
def test_spearman_is_scipys_where_that_is_defined(data: st.DataObject) -> None:
    first = data.draw(ROWS)
    second = data.draw(arrays(np.float64, first.shape, elements=SMALL))
    for f, d, value in zip(first, second, metrics.spearman(first, second), strict=True):
        if len(set(f)) > 1 and len(set(d)) > 1:
            assert value == pytest.approx(spearmanr(f, d).statistic, abs=1e-12)
        else:
            assert value == (len(set(f)) == len(set(d)) == 1)


def test_nan_never_counts_as_agreement() -> None:
    assert np.isnan(metrics.spearman(row(1, np.nan, 2), row(1, 2, 3)))[0]
    assert np.isnan(metrics.cosine(row(1, np.nan), row(1, 2)))[0]
    assert np.isnan(metrics.max_abs_error(row(1, np.nan), row(1, 2)))[0]
    assert math.isnan(metrics.sqnr_db(metrics.energies(row(1, np.nan), row(1, 2))))
