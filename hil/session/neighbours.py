"""One vector behind windows that share a part with it: who tells windows apart by that part takes both for the same."""

from __future__ import annotations

from functools import partial
from itertools import islice

import numpy as np

from hil.contract.history import Again, Neighbours
from hil.records import Status
from hil.session.effort import effort
from hil.session.order import afresh
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import alike
from hil.tensor import ranks

_LEAST = 2  # windows that share something


def _collect(run: SessionState) -> Neighbours:
    vector = next(afresh(run), None)
    other = None if vector is None else _farthest(run, vector)
    if vector is None or other is None:
        return Neighbours()
    runs: list[Again] = []
    most = max(_LEAST, effort(run.case, run.device.board).inferences // 8)
    payload = run.case.vectors.payload
    for shared, window in islice(alike(run.case, payload(vector), payload(other)).items(), most):
        run.note_other(None if run.stopped else run.vector(other, fresh=True))  # so that this one is no neighbour yet
        request = partial(run.device.run, window, deadline_ticks=run.deadline_ticks)
        run.note_other(None if run.stopped else run.attempt(NO_VECTOR, request))
        record = None if run.stopped else run.vector(vector, fresh=True)
        run.note_other(record)
        if record is not None:
            runs.append(Again(vector, f"after a window that shares {shared} with it", record))
    return Neighbours(tuple(runs))


def _farthest(run: SessionState, vector: int) -> int | None:
    """The vector whose output is farthest from this one's; None when all are the same."""
    outputs = ranks(run.records.output).astype(np.float64)
    apart = np.abs(outputs - outputs[vector]).sum(axis=1)
    apart[run.records.status != Status.DONE] = 0
    farthest = int(apart.argmax())
    return farthest if apart[farthest] > 0 else None


STEP = Step(Neighbours, Scope.LEAD, _collect)
