"""Knows when times have grown: any growth on a clock that repeats, and on measured cycles a test over paired samples.

Two runs measured the same windows, so each window is its own control: however much windows differ in cost, their
difference over the two runs holds only what changed and the noise of the bench. Noise of a bench has heavy tails, so
nothing here averages; it counts. docs/baselines.md says which tests these are, why, and what they were measured to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.baseline.types import Figures

Times = NDArray[np.int64]
STATISTICS = ("p50", "p95", "p99", "max", "mean")
LEVEL = 0.001  # chance of a false alarm in one run on unchanged firmware, all stages and tests together
SHARES = (0.01, 0.02, 0.05)  # of the windows, the slowest of the baseline: what makes a p99 and a p95
STAGE_COUNT, TESTS = 4, 2 + len(SHARES)
FEWEST = 3  # windows that are a slow path
GROSS = 10  # times the smallest effect: what no bench does to FEWEST windows


@dataclass(frozen=True)
class Growth:
    """Windows that take longer than they did: how many `grew` of which `group` of them, and their middle growth as a
    share. chance: of as much, at the most, on unchanged firmware.
    """

    group: str
    grew: int
    of: int
    share: float
    chance: float

    def __str__(self) -> str:
        return f"{self.grew:,} of {self.of:,} ({self.group}) take {100 * self.share:+.2f} %, chance {self.chance:.1g}"


def grown(before: Figures, after: Figures, tolerance: float, floor: float = 0.0) -> list[str]:
    """On a clock that repeats: the statistics that grew by more than this share, and by more than `floor` units."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in STATISTICS]
    return [name for name, first, now in pairs if now - first > max(tolerance * first, floor)]


def fewest_windows() -> int:
    """Windows that two runs must share before all of them together can show anything at this level."""
    return math.ceil(-math.log2(LEVEL / (STAGE_COUNT * TESTS)))


def growth(before: Times, after: Times, *, effect: float, floor: float = 0.0) -> Growth | None:
    """Whether one stage grew on a noisy clock; the same windows in both, [n] each. None: nothing to see.

    effect: smallest share of growth that counts; floor: smallest in units, for stages so short that one cycle is a
    large share. The tests share LEVEL evenly with those of the other stages; they need no assumption but that noise
    falls on both runs alike. The last one does: that no bench disturbs 1 % of the windows by GROSS times the effect.
    """
    allowed = LEVEL / (STAGE_COUNT * TESTS)
    change = after - before
    least = np.maximum(effect * (before + after) / 2, floor)
    if not (change > least).any():
        return None
    # A session as a whole may drift a little, which is no fault of single windows: up must hold with and without it.
    drift = before * np.clip(np.median(change / np.maximum(before, 1)), -effect, effect)
    up = np.minimum(change, change - drift) > least
    down = np.minimum(change, change - drift) < -least
    share = change / np.maximum(before, 1)

    def found(group: str, mask: NDArray[np.bool_], of: int, chance: float) -> Growth:
        return Growth(group, int(mask.sum()), of, float(np.median(share[mask])), chance)

    if (chance := _sign_test(int((change > least).sum()), len(up))) <= allowed:
        return found("all windows", change > least, len(up), chance)
    for part in SHARES:
        slowest = _slowest(before, part)
        chance = _concentration(up, slowest)
        if chance <= allowed and 2 * up[slowest].sum() >= len(slowest):
            mask = np.zeros_like(up)
            mask[slowest] = up[slowest]
            return found(f"the slowest {100 * part:g} %", mask, len(slowest), chance)
    many = max(FEWEST, part_of(len(up)))
    chance = _sign_test(int(up.sum()), int(up.sum() + down.sum()))
    if chance <= allowed and up.sum() - down.sum() >= many:
        return found("some windows", up, len(up), chance)
    gross, fallen = change > GROSS * least, change < -GROSS * least
    if gross.sum() >= many and GROSS * fallen.sum() <= gross.sum():
        return found("a few windows", gross, len(up), _sign_test(int(gross.sum()), int(gross.sum() + fallen.sum())))
    return None


def part_of(n: int) -> int:
    """The smallest number of windows that is a slow path among n: 1 %, rounded up."""
    return math.ceil(n * SHARES[0])


def _slowest(before: Times, part: float) -> NDArray[np.intp]:
    """Windows that were slowest in the baseline. The new run has no say: a disturbed sample must not choose itself."""
    count = max(FEWEST, math.ceil(part * len(before)))
    return np.argsort(before, kind="stable")[-count:]


def _sign_test(up: int, n: int) -> float:
    """Chance that so many of n changes, or more, go up when each is as likely to go down: P[Binomial(n, 1/2) >= up]."""
    from scipy.special import bdtrc  # not at module level: only a board with a noisy clock pays for it

    return 1.0 if up < 1 else float(bdtrc(up - 1, n, 0.5))


def _concentration(up: NDArray[np.bool_], group: NDArray[np.intp]) -> float:
    """Chance that so many of the windows that grew, or more, lie in a group that was chosen without looking at them
    (hypergeometric: Fisher's exact test).
    """
    from scipy.stats import hypergeom

    inside = int(up[group].sum())
    return float(hypergeom.sf(inside - 1, len(up), int(up.sum()), len(group))) if inside else 1.0
