"""What the firmware told of its heap behind each window of the session, start by start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from hil.contract.heap import HeapRun, HeapUse
from hil.records import HeapState
from hil.session.state import SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> HeapUse:
    return HeapUse(tuple(_run(states) for states in run.device.heaps if states))


def _run(states: Sequence[HeapState]) -> HeapRun:
    used = [state.used for state in states if state.used is not None]
    return HeapRun(
        np.array(used, np.int64),
        _most(state.peak for state in states),
        _most(state.size for state in states),
        _most(state.failed for state in states),
    )


def _most(told: Iterable[int | None]) -> int | None:
    return max((each for each in told if each is not None), default=None)


def _merge(sections: Sequence[HeapUse]) -> HeapUse:
    return HeapUse(tuple(chain.from_iterable(each.starts for each in sections)))


STEP = Step(HeapUse, Scope.EACH, _collect, _merge)
