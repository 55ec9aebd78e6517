"""The same again: one vector many times, then the whole share, and what did not come out as it did first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from hil.contract.repeats import Repeats
from hil.contract.types import ReplayDifference
from hil.records import Record, Status
from hil.session.order import afresh, steps
from hil.session.state import SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> Repeats:
    differences: list[ReplayDifference] = []
    replayed, replay_runs = _replay(run, differences) if run.lead else (0, 0)
    pass_runs = _more_passes(run, differences)
    return Repeats(replayed, replay_runs, pass_runs, tuple(differences))


def _replay(run: SessionState, differences: list[ReplayDifference]) -> tuple[int, int]:
    """One vector again and again; returns vectors replayed and runs beyond the first."""
    done = list(afresh(run))
    runs = 0
    for vector in done[:1]:
        for attempt in range(1, run.case.contracts.replays):
            if run.stopped:
                break
            record = run.vector(vector, fresh=True)
            if record is not None:
                runs += 1
                differences += _compare(run, vector, record, "replay", attempt)
            run.progress("replays", attempt, run.case.contracts.replays - 1)
    return len(done[:1]), runs


def _more_passes(run: SessionState, differences: list[ReplayDifference]) -> int:
    """The whole set again, every second pass with the groups in reverse order; returns the number of windows run."""
    order = run.groups
    runs, total = 0, sum(map(len, order))
    for attempt in range(1, run.case.contracts.passes):
        order = order[::-1]
        for done, (index, fresh) in enumerate(steps(order)):
            if run.stopped:
                return runs
            record = run.vector(index, fresh)
            if record is not None and run.records.status[index] != Status.NOT_RUN:
                runs += 1
                differences += _compare(run, index, record, "pass", attempt)
            run.progress(f"pass {attempt + 1}", done + 1, total)
    return runs


def _compare(run: SessionState, index: int, record: Record, kind: str, attempt: int) -> list[ReplayDifference]:
    """The first field in which the record is not the vector's; nothing when it repeats."""
    rows = run.records
    run.note_other(record)
    if rows.status[index] >= Status.NOT_RUN:
        return []
    for marks, mark in (
        (rows.arena_high_water, record.arena_high_water),
        (rows.stack_high_water, record.stack_high_water),
    ):
        marks[index] = max(int(marks[index]), mark)
    pairs: dict[str, tuple[object, object]] = {
        "status": (Status(rows.status[index]).name, record.status.name),
        "gate": (int(rows.gate[index]), int(record.gate)),
        "decision": (
            (int(rows.winner[index]), int(rows.score[index]), int(rows.answer[index]), int(rows.reason[index])),
            (record.decision.winner, record.decision.score, record.decision.answer, int(record.decision.reason)),
        ),
    }
    if record.status == Status.DONE == rows.status[index]:
        if run.device.board.clock.deterministic:
            pairs["ticks"] = (rows.ticks[index].tolist(), list(record.ticks))
        pairs["digest"] = (f"{int(rows.digest[index]):#010x}", f"{record.digest:#010x}")
        pairs["output"] = (rows.output[index].tobytes().hex(" "), record.output.hex(" "))
    for name in ("status", "gate", "digest", "output", "decision", "ticks"):
        if name in pairs and pairs[name][0] != pairs[name][1]:
            first, again = (str(value) for value in pairs[name])
            return [ReplayDifference(index, kind, attempt, name, first, again)]
    return []


def _merge(sections: Sequence[Repeats]) -> Repeats:
    return Repeats(
        sum(each.replayed for each in sections),
        sum(each.replay_runs for each in sections),
        sum(each.pass_runs for each in sections),
        tuple(chain.from_iterable(each.differences for each in sections)),
    )


STEP = Step(Repeats, Scope.SHARE, _collect, _merge)
