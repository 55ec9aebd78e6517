"""Knows percentiles: nearest rank, their upper confidence bound, and how many samples that bound needs."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def nearest_rank(n: int, p: float) -> int:
    """Rank (1..n) of the p-quantile by the nearest-rank rule, ceil(p * n); p is read as the decimal that it prints as.

    Exact rational arithmetic: in floating point 0.07 * 100 is above 7 and would give rank 8.
    """
    if n < 1 or not 0 < p <= 1:
        raise ValueError(f"nearest rank needs n >= 1 and 0 < p <= 1, not n={n}, p={p}")
    return math.ceil(Fraction(str(float(p))) * n)


def percentile(ordered: NDArray[np.int64], p: float) -> int:
    """The p-quantile of samples in ascending order: an element of the sample, never an interpolation."""
    return int(ordered[nearest_rank(len(ordered), p) - 1])


def minimum_samples(p: float, confidence: float) -> int:
    """Smallest n whose largest sample bounds the p-quantile from above with this confidence: 1 - p**n >= confidence."""
    if not (0 < p < 1 and 0 < confidence < 1):
        raise ValueError(f"p and confidence must lie between 0 and 1, not p={p}, confidence={confidence}")
    n = max(1, math.floor(math.log1p(-confidence) / math.log(p)) - 1)
    while 1 - p**n < confidence:
        n += 1
    return n


def upper_bound_rank(n: int, p: float, confidence: float) -> int | None:
    """Rank r of the smallest order statistic that is a one-sided upper confidence bound of the p-quantile.

    The r-th smallest of n independent samples is at least the p-quantile with probability P[Binomial(n, p) < r] or
    more, whatever the distribution (David and Nagaraja, Order Statistics, 3rd ed., section 7.1; Conover, Practical
    Nonparametric Statistics, section 3.2). None when even the largest of n samples is not enough.
    """
    if n < minimum_samples(p, confidence):
        return None
    from scipy.special import bdtr  # not at module level: only a run with latency limits pays for it

    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        if bdtr(middle - 1, n, p) >= confidence:
            high = middle
        else:
            low = middle + 1
    return low


def upper_bound(ordered: NDArray[np.int64], p: float, confidence: float) -> int | None:
    """The bound itself, an element of the ascending samples; None when there are too few of them."""
    rank = upper_bound_rank(len(ordered), p, confidence)
    return None if rank is None else int(ordered[rank - 1])
