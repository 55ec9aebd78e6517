"""Holds a target's cycle counter against the clock of the host."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

TOLERANCE = 0.01
_SHORTEST_S, _LONGEST_S = 0.2, 2.0
_SHARP = 0.002  # relative uncertainty that is good enough
_COUNTER_BITS = 32


@dataclass(frozen=True)
class Frequency:
    """Ticks per second of host time (CLOCK_MONOTONIC). uncertainty: relative, not to be exceeded."""

    hz: float
    uncertainty: float

    def __str__(self) -> str:
        return f"{self.hz / 1e6:.2f} MHz (+-{self.uncertainty:.2%})"

    def fits(self, expected_hz: int) -> bool:
        """Whether it is surely within TOLERANCE of `expected_hz`."""
        return abs(self.hz / expected_hz - 1) + self.uncertainty <= TOLERANCE


@dataclass(frozen=True)
class _Sample:
    """A counter value that was read between two host times."""

    before: float
    count: int
    after: float

    @property
    def middle(self) -> float:
        return (self.before + self.after) / 2


def measure(
    read_counter: Callable[[], int], keep_awake: Callable[[], None], now: Callable[[], float] = time.monotonic
) -> Frequency:
    """Frequency of a free-running 32-bit counter, from two reads a few hundred milliseconds apart.

    Each read happened at an unknown moment between the host times before and after it; half of that span, of both
    reads together, is the uncertainty. keep_awake: called again and again in between, because the counter stands still
    while the core sleeps. Takes as long as it needs to be sharp, at most 2 s. A counter that wraps more often than
    once in that time is beyond it; none below 2 GHz does.
    """
    first = _sample(read_counter, now)
    while True:
        keep_awake()
        last = _sample(read_counter, now)
        span = last.middle - first.middle
        unsure = (last.after - last.before + first.after - first.before) / 2 / span if span > 0 else 1.0
        if (span >= _SHORTEST_S and unsure <= _SHARP) or span >= _LONGEST_S:
            ticks = (last.count - first.count) % (1 << _COUNTER_BITS)
            return Frequency(ticks / span, unsure)


def _sample(read_counter: Callable[[], int], now: Callable[[], float]) -> _Sample:
    before = now()
    count = read_counter()
    return _Sample(before, count, now())
