"""Knows the order in which vectors are run, and which of them meet no state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from hil.records import Status
from hil.session.state import SessionState

SEED = 20203  # of the second pass; each further one adds 1
_SHUFFLES = 8  # of which the one is taken that leaves the fewest neighbours


def steps(order: list[list[int]]) -> Iterator[tuple[int, bool]]:
    """Vector index, and whether a stream begins there: the decision state starts afresh, and what the model keeps."""
    for group in order:
        for place, index in enumerate(group):
            yield index, place == 0


def unbroken(run: SessionState, order: list[list[int]]) -> Iterator[tuple[int, bool]]:
    """As `steps`; where the firmware breaks and the model keeps state, the rest of a stream is left out: its state is
    lost.
    """
    faults = len(run.faults)
    for index, fresh in steps(order):
        if fresh:
            faults = len(run.faults)
        if not run.case.keeps_state or len(run.faults) == faults:
            yield index, fresh


def beginnings(run: SessionState, groups: list[list[int]], most: int) -> Iterator[tuple[int, bool]]:
    """As `steps`, of the first `most` vectors of each group that were run."""
    for group in groups:
        for place, index in enumerate(group[:most]):
            if run.records.status[index] not in (Status.DONE, Status.REJECTED):
                break
            yield index, place == 0


def shuffled(groups: list[list[int]], seed: int) -> list[list[int]]:
    """The groups in another order, in which hardly one comes behind the same as before."""
    random = np.random.default_rng(seed)
    orders = [random.permutation(len(groups)).tolist() for _ in range(_SHUFFLES)]
    orders.append(list(range(len(groups)))[::-1])  # of two groups there is no other
    best = min(orders, key=lambda order: sum(later == earlier + 1 for earlier, later in pairwise(order)))
    return [groups[place] for place in best]


def afresh(run: SessionState) -> Iterator[int]:
    """Vectors that were done and met no state: nothing before them in their group was done."""
    for group in run.groups:
        for index in group:
            if run.records.status[index] != Status.REJECTED:
                if run.records.status[index] == Status.DONE:
                    yield index
                break
