"""Holds a target's cycle counter against the clock of the host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hil.errors import BoardError

TOLERANCE = 0.01
_SHORTEST_S, _LONGEST_S = 0.2, 2.0
_SHARP = 0.002  # relative uncertainty that is good enough
_COUNTER_BITS = 32


@dataclass(frozen=True)
class Frequency:
    """Ticks per second of host time (CLOCK_MONOTONIC). uncertainty: relative, not to be exceeded."""

    hz: float
    uncertainty: float
    read_s: float = 0.0  # what one of the two reads took, on average

    def __str__(self) -> str:
        return f"{self.hz / 1e6:.2f} MHz (+-{self.uncertainty:.2%})"

    def fits(self, expected_hz: int) -> bool:
        """Whether it is surely within TOLERANCE of `expected_hz`."""
        return abs(self.hz / expected_hz - 1) + self.uncertainty <= TOLERANCE

    def decides(self, expected_hz: int) -> bool:
        """Whether it is sharp enough to say that it fits, or that it does not."""
        surely_off = abs(self.hz / expected_hz - 1) - self.uncertainty > TOLERANCE
        return self.uncertainty <= _SHARP or surely_off or self.fits(expected_hz)


@dataclass(frozen=True)
class _Sample:
    """A counter value that was read between two host times."""

    before: float
    count: int
    after: float

    @property
    def middle(self) -> float:
        return (self.before + self.after) / 2

    @property
    def width(self) -> float:
        return self.after - self.before


def measure(
    read_counter: Callable[[], int], keep_awake: Callable[[], None], now: Callable[[], float] = time.monotonic
) -> Frequency:
    """Frequency of a free-running 32-bit counter, from the best two of many reads, a few hundred milliseconds apart.

    Each read happened at an unknown moment between the host times before and after it; half of that span, of both
    reads together, is the uncertainty. A host that was busy during some reads does not blur the others. keep_awake:
    called again and again in between, because the counter stands still while the core sleeps. Takes as long as it
    needs to be sharp, at most 2 s. A counter that wraps more often than once in that time is beyond it; none below
    2 GHz does.
    """
    firsts = [_sample(read_counter, now)]  # an earlier one has more time behind it, so a later one must be narrower
    end = firsts[0].before + _LONGEST_S
    best = Frequency(0.0, math.inf)
    while best.uncertainty > _SHARP:
        keep_awake()
        last = _sample(read_counter, now)
        pairs = (_between(first, last) for first in firsts if last.middle - first.middle >= _SHORTEST_S)
        best = _sharpest((best, *pairs))
        if last.width < firsts[-1].width:
            firsts.append(last)
        if last.after >= end:
            break
    return best


def require(found: Frequency, expected_hz: int, board: str, file: Path) -> None:
    """Raise BoardError, for the board of that file, unless the counter surely runs at `expected_hz`."""
    if not found.decides(expected_hz):
        raise BoardError(
            f"clock: could not be measured to {TOLERANCE * 100:g} % "
            f"(reads took {found.read_s * 1e3:.0f} ms): "
            f"the cycle counter of board {board} runs at {found} of host time\n"
            f"  next: run again on a host that is less busy; plug the probe in without a hub between, "
            f"or raise swd_hz of {file}"
        )
    if not found.fits(expected_hz):
        raise BoardError(
            f"clock: the cycle counter of board {board} runs at {found} of host time, the board file "
            f"says {expected_hz / 1e6:.2f} MHz; nothing here would be right in milliseconds\n"
            f"  next: mend the clock set-up of the firmware, the crystal or ST-LINK clock (MCO) of the board, "
            f"or clock_hz of {file}"
        )


def _sharpest(found: Iterable[Frequency]) -> Frequency:
    return min(found, key=lambda each: each.uncertainty)


def _between(first: _Sample, last: _Sample) -> Frequency:
    ticks = (last.count - first.count) % (1 << _COUNTER_BITS)
    span, width_s = last.middle - first.middle, (first.width + last.width) / 2
    return Frequency(ticks / span, width_s / span, width_s)


def _sample(read_counter: Callable[[], int], now: Callable[[], float]) -> _Sample:
    before = now()
    count = read_counter()
    return _Sample(before, count, now())
