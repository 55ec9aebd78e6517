"""A seeded share of the windows the product's own way: nobody observes, and no deadline runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain, islice

import numpy as np

from hil.contract.plain import PlainDifference, PlainRuns
from hil.contract.same import decision_of, outputs_of, outputs_text
from hil.contract.types import MAX_FINDINGS
from hil.device import PlainRun
from hil.records import Status
from hil.session.order import afresh, beginnings
from hil.session.state import SessionState
from hil.session.step import Scope, Step

_SEED = 20203
_SHARE, _LEAST, _MOST = 0.1, 16, 200  # of the vectors


def _collect(run: SessionState) -> PlainRuns:
    vectors: list[int] = []
    ticks: list[int] = []
    differences: list[PlainDifference] = []
    lone = set(afresh(run))
    chosen = _chosen(run)
    for done, (vector, fresh) in enumerate(chosen):
        if run.stopped:
            break
        before = len(run.faults)
        found = run.attempt(vector, partial(run.device.plain, run.case.vectors.payload(vector), fresh=fresh))
        if found is None:
            if len(run.faults) == before:
                return PlainRuns(tried=True)
            continue
        run.note_other(found.record)
        vectors.append(vector)
        ticks.append(found.ticks)
        differences += _compare(run, vector, found, run.case.keeps_state or vector in lone)
        run.progress("plain windows", done + 1, len(chosen))
    units = run.device.board.clock.units(np.array(ticks, np.int64))
    kept = tuple(differences[:MAX_FINDINGS])
    return PlainRuns(bool(vectors), True, np.array(vectors, np.int64), units, kept)


def _chosen(run: SessionState) -> list[tuple[int, bool]]:
    """Vectors of the share that the device has a verdict on, in file order, and whether they begin anew: each does, or
    of a model that keeps state the first of a stream.
    """
    status = run.records.status
    ran = [index for group in run.groups for index in group if status[index] in (Status.DONE, Status.REJECTED)]
    count = min(len(ran), max(_LEAST, min(_MOST, round(_SHARE * len(ran)))))
    random = np.random.default_rng(_SEED)
    if run.case.keeps_state:
        groups = [run.groups[place] for place in random.permutation(len(run.groups)).tolist()]
        return list(islice(beginnings(run, groups, _MOST), count))
    return [(vector, True) for vector in sorted(random.permutation(ran)[:count].tolist())]


def _compare(run: SessionState, vector: int, found: PlainRun, whole: bool) -> list[PlainDifference]:
    """The first field that is not the record's. whole: it met the state that its record met, so that the answer counts
    too.
    """
    rows, record, decision = run.records, found.record, found.record.decision
    again = decision.winner, decision.score, decision.answer, int(decision.reason), decision.label
    told = slice(None if whole else 2)  # winner and score know of no state
    nothing = "\n".join(bytes(column[vector].nbytes).hex(" ") for column in (rows.output, *rows.outputs))
    pairs = (
        ("status", Status(rows.status[vector]).name, record.status.name),
        ("gate", str(int(rows.gate[vector])), str(int(record.gate))),
        ("output", outputs_of(rows, vector), outputs_text(record) if record.output else nothing),
        ("decision", str(decision_of(rows, vector)[told]), str(again[told])),
    )
    return [PlainDifference(vector, *pair) for pair in pairs if pair[1] != pair[2]][:1]


def _merge(sections: Sequence[PlainRuns]) -> PlainRuns:
    return PlainRuns(
        any(each.tried for each in sections),
        all(each.able for each in sections),
        np.concatenate([each.vectors for each in sections]),
        np.concatenate([each.units for each in sections]),
        tuple(chain.from_iterable(each.differences for each in sections))[:MAX_FINDINGS],
    )


STEP = Step(PlainRuns, Scope.SHARE, _collect, _merge)
