"""Knows how the vectors of a case are cut into shares, which several boards can run at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hil.case.cost import inference_cost
from hil.case.types import Case
from hil.records import GateReason
from hil.reference.gate import judge
from hil.reference.streams import groups

SHARES_PER_WORKER = 2  # more than one, so that a worker on a busy core gets less to do
LEAST_COST = 4_000_000  # multiplications of one share: about half a second of an emulated Cortex-M
_LEAD_WINDOWS = 20  # what the gate's probes, raw scores and damaged bundles cost, in windows


@dataclass(frozen=True)
class Share:
    """Groups [start, stop) of a case's vectors. lead: also runs what is run once a case, the replays and the probes."""

    number: int
    start: int
    stop: int
    lead: bool

    def groups(self, case: Case) -> list[list[int]]:
        """Its vectors, those that belong together in one list, in file order."""
        return groups(case)[self.start : self.stop]

    def rows(self, case: Case) -> NDArray[np.intp]:
        """Indices of its vectors, in the order in which they are run."""
        return np.array([index for group in self.groups(case) for index in group], np.intp)


def whole(case: Case) -> Share:
    """All vectors in one."""
    return Share(0, 0, len(groups(case)), lead=True)


def case_cost(case: Case) -> int:
    """About how many multiplications a run of the case takes."""
    windows = len(case.vectors) * case.contracts.passes + case.contracts.replays + _LEAD_WINDOWS
    return windows * inference_cost(case)


def plan(case: Case, workers: int) -> list[Share]:
    """Shares of about equal cost, the lead one first; one alone for a short case or a single worker.

    Streams stay whole, because decide stage and model carry their state from window to window.
    """
    everything = groups(case)
    count = min(workers * SHARES_PER_WORKER if workers > 1 else 1, case_cost(case) // LEAST_COST, len(everything))
    if count < 2:
        return [whole(case)]
    starts = [0, *_cuts(case, everything, count), len(everything)]
    lead = _lead(case, everything, starts)
    shares = [Share(number, start, stop, lead=number == lead) for number, (start, stop) in enumerate(pairwise(starts))]
    return sorted(shares, key=lambda share: not share.lead)


def _cuts(case: Case, everything: list[list[int]], count: int) -> Iterator[int]:
    """Groups at which a new share begins. The first share is the shorter by what a lead share does besides."""
    extra = (case.contracts.replays + _LEAD_WINDOWS) / case.contracts.passes
    ends = np.cumsum([len(group) for group in everything]) + extra
    last = 0
    for number in range(1, count):
        cut = max(last + 1, int(np.searchsorted(ends, ends[-1] * number / count)))
        if cut >= len(everything):
            return
        yield cut
        last = cut


def _lead(case: Case, everything: list[list[int]], starts: list[int]) -> int:
    """The share with the first vector that the gate should accept: replays and probes are made of such a one."""
    valid = judge(case.vectors, case) == GateReason.VALID
    first = next((at for at, group in enumerate(everything) if valid[group].any()), 0)
    return int(np.searchsorted(starts, first, side="right")) - 1
