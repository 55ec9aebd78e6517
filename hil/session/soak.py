"""A long run of the case's vectors since a start, in ever new orders: what shows only after many windows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from hil.contract.same import difference_from
from hil.contract.soak import Soak
from hil.contract.types import MAX_FINDINGS, ReplayDifference
from hil.records import Record, Status
from hil.reference.streams import groups
from hil.session.order import shuffled, unbroken
from hil.session.state import SessionState
from hil.session.step import Scope, Step

_SEED = 20210
_TOLD_EVERY = 16  # windows


def _collect(run: SessionState) -> Soak:
    wanted = run.case.contracts.soak.windows
    clock = run.device.board.clock
    vectors: list[int] = []
    ticks: list[int] = []
    found: dict[bool, list[ReplayDifference]] = {True: [], False: []}  # of time; of answers
    totals = {True: 0, False: 0}
    before = ""
    run.warm_up()  # the board was provisioned anew
    for index, fresh in islice(_endless(run), wanted):
        record = None if run.stopped else run.vector(index, fresh)
        if record is None:
            break
        run.note_other(record)
        vectors.append(index)
        ticks.append(record.ticks[-1] if record.status == Status.DONE else 0)
        done = len(vectors)
        difference = _difference(run, index, record, done, before)
        if difference is not None:
            time = difference.field == "ticks"
            totals[time] += 1
            if len(found[time]) < MAX_FINDINGS:
                found[time].append(difference)
        before = f"after {run.case.vectors.name(index)}"
        if done % _TOLD_EVERY == 0:
            run.progress("soak", done, wanted)
    return Soak(
        len(vectors),
        _SEED,
        (*found[False], *found[True]),
        wrong=totals[False],
        slow=totals[True],
        vector=np.array(vectors, np.int64),
        total=clock.units(np.array(ticks, np.int64)),
    )


def _endless(run: SessionState) -> Iterator[tuple[int, bool]]:
    """All vectors, again and again, each time in another order."""
    everything = groups(run.case)
    for turn in count():
        yield from unbroken(run, shuffled(everything, _SEED + turn))


def _difference(run: SessionState, index: int, record: Record, number: int, before: str) -> ReplayDifference | None:
    found = difference_from(run.records, index, record, run.device.board.clock.deterministic)
    if found is None:
        return None
    return ReplayDifference(index, "soak", number, found.field, found.first, found.again, before)


STEP = Step(Soak, Scope.WHOLE, _collect, applies=lambda case: case.contracts.soak.windows > 0)
