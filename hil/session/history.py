"""One vector in other places: first after a start, behind each class, behind refused windows, and after long use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from hil.contract.history import Again, History
from hil.records import Status
from hil.session.effort import effort
from hil.session.order import afresh
from hil.session.refuser import Refuser
from hil.session.state import SessionState
from hil.session.step import Scope, Step

_LEAST_CLASSES = 2
_ORDINALS = ("first", "second", "third")


def _collect(run: SessionState) -> History:
    runs = list(_opening(run))
    vector = next(afresh(run), None)
    if run.lead and vector is not None:
        runs += _behind_classes(run, vector)
        runs += _behind_refusals(run, vector)
        runs += _again(run, vector, "behind all probes of the harness")
    return History(tuple(runs))


def _opening(run: SessionState) -> Iterator[Again]:
    if not run.device.board.resets:
        return
    for number, (vector, record) in enumerate(run.opening):
        place = _ORDINALS[number] if number < len(_ORDINALS) else f"{number + 1}th"
        yield Again(vector, f"as the {place} window after a start", record, start=True)


def _behind_classes(run: SessionState, vector: int) -> Iterator[Again]:
    """Behind a vector of each class, as many as the case can afford."""
    most = max(_LEAST_CLASSES, effort(run.case, run.device.board).inferences // 8)
    for other in _one_of_each(run)[:most]:
        if run.stopped:
            return
        run.note_other(run.vector(other, fresh=True))
        yield from _again(run, vector, f"after {run.case.vectors.name(other)}")


def _behind_refusals(run: SessionState, vector: int) -> Iterator[Again]:
    refuser = Refuser(run, run.case.vectors.payload(vector))
    for reason in refuser.kinds:
        if not refuser.refuse(reason):
            return
        yield from _again(run, vector, f"after a window refused as {reason.name.lower()}")


def _again(run: SessionState, vector: int, after: str) -> Iterator[Again]:
    record = None if run.stopped else run.vector(vector, fresh=True)
    run.note_other(record)
    if record is not None:
        yield Again(vector, after, record)


def _one_of_each(run: SessionState) -> list[int]:
    """The first vector that was done of each true label or, where there are none, of each output's highest element."""
    done = np.flatnonzero(run.records.status == Status.DONE)
    label = run.case.vectors.label
    classes = run.records.output[done].argmax(axis=1) if label is None else label[done]
    return [int(vector) for vector in done[np.unique(classes, return_index=True)[1]]]


def _merge(sections: Sequence[History]) -> History:
    return History(tuple(chain.from_iterable(each.runs for each in sections)))


STEP = Step(History, Scope.SHARE, _collect, _merge)
