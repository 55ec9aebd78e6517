"""Knows which factors people mistake units by, and which factors can lie between two rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAVITY = 9.80665  # m/s2 of one g

# Factor, and what a value that large stands for where the right one was meant.
_UNITS = (
    (GRAVITY, "9.80665: m/s2 for g"),
    (1 / GRAVITY, "1/9.80665: g for m/s2"),
    (1000.0, "1000: thousandths of the unit, such as mg for g"),
    (1 / 1000, "1/1000: thousands of the unit, such as g for mg"),
    (math.pi / 180, "pi/180: radians for degrees"),
    (180 / math.pi, "180/pi: degrees for radians"),
    (1000 / GRAVITY, "1000/9.80665: mg for m/s2"),
    (GRAVITY / 1000, "9.80665/1000: m/s2 for mg"),
    (1000 * GRAVITY, "9806.65: mm/s2 for g"),
    (1 / (1000 * GRAVITY), "1/9806.65: g for mm/s2"),
    (1000 / (2 * GRAVITY), "1000/(2*9.80665): mg at +-2 g for m/s2"),
    (100.0, "100: hundredths of the unit"),
    (0.01, "1/100: hundreds of the unit"),
    (10.0, "10"),
    (0.1, "1/10"),
)
_POWERS = 16  # of two, up and down
_SMALL = 0.5  # a factor that is known to be smaller is no matter of rounding
_NARROW = 4.0  # an interval of no more than this between its ends says something
_WHOLE = 100  # from here on without decimals
_SHOWN = 2
_WIDE = 1.1  # an interval of more than this between its ends names no single factor


@dataclass(frozen=True)
class Interval:
    """Every factor in [low, high] turns the one row into the other, but for rounding and clamp."""

    low: float
    high: float

    def holds(self, factor: float) -> bool:
        return self.low <= factor <= self.high

    def meet(self, other: Interval) -> Interval | None:
        """The factors in both; None when there is none."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else None

    @property
    def vague(self) -> bool:
        """Too wide to tell anything: neither a factor, nor that it is a small or a large one."""
        near, far = sorted((abs(self.low), abs(self.high)))
        return far > _SMALL if self.holds(0) else far > _NARROW * near and near < 1 / _SMALL

    def __str__(self) -> str:
        if self.holds(0):
            return f"at most {max(-self.low, self.high):.2g} times"
        if math.isinf(self.high) or math.isinf(self.low):
            return f"{'at least' if self.low > 0 else 'minus'} {_words(min(abs(self.low), abs(self.high)))} times"
        return f"{_words((self.low + self.high) / 2)} times"

    def units(self) -> str:
        """The known mistakes of units in it, as words; "" for none. Of a wide one no more than the usual."""
        if self.holds(0) or math.isinf(self.high) or self.high > _WIDE * self.low:
            names = [name for factor, name in _UNITS[:6] if self.holds(factor)]
            return f"a unit factor such as {' or '.join(names)}?" if names else ""
        names = [name for factor, name in (*_UNITS, *_shifts()) if self.holds(factor)]
        return f"{' or '.join(names[:_SHOWN])}?" if names else ""


def _words(factor: float) -> str:
    return f"{factor:.3g}" if abs(factor) < _WHOLE else f"{factor:,.0f}"


def _shifts() -> Iterator[tuple[float, str]]:
    """Powers of two. The full scale of int16 counts is the usual one: 1/16384 in place of 1/32768."""
    yield 2.0, "2: counts of 1/16384 for 1/32768, or a shift by one bit"
    yield 0.5, "1/2: counts of 1/65536 for 1/32768, or a shift by one bit"
    for power in range(2, _POWERS):
        yield 2.0**power, f"2^{power}: a shift by {power} bits"
        yield 2.0**-power, f"2^-{power}: a shift by {power} bits"


def factor_between(
    wanted: NDArray[np.float64], given: NDArray[np.float64], bounds: tuple[float, float], error: float
) -> Interval | None:
    """The factors r with |r * wanted - given| <= error for every element; None when there is none.

    bounds: lowest and highest value that `given` can take. An element there says only that r * wanted reaches it.
    """
    low = np.where(given <= bounds[0], -np.inf, given - error)  # of r * wanted
    high = np.where(given >= bounds[1], np.inf, given + error)
    still = wanted == 0
    if ((low > 0) | (high < 0))[still].any():
        return None
    if still.all():
        return Interval(-np.inf, np.inf)
    x, ends = wanted[~still], np.stack([low[~still], high[~still]])
    ends = np.where(x > 0, ends / x, ends[::-1] / x)
    found = Interval(float(ends[0].max()), float(ends[1].min()))
    return found if found.low <= found.high else None


def cut_words(wanted: NDArray[np.signedinteger[Any]], low: int, high: int) -> str:
    """At which of two bounds these values were cut: `120`, or `-100 and 100`."""
    cut = [str(bound) for bound, beyond in ((low, wanted.min() < low), (high, wanted.max() > high)) if beyond]
    return " and ".join(cut)
