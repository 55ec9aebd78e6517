"""The same again: one vector many times, then the whole share in another order, and what did not come out as it did
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice

from hil.contract.repeats import Repeats
from hil.contract.same import difference_from
from hil.contract.types import Alone, ReplayDifference
from hil.records import Record, Status
from hil.session.order import SEED, afresh, beginnings, shuffled, unbroken
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

_REPLAYED = 4  # windows of a stream
_TRIED_ALONE = 3  # differences; each takes a restart and three windows


def _collect(run: SessionState) -> Repeats:
    differences: list[ReplayDifference] = []
    replayed, replay_runs = _replay(run, differences) if run.lead else (0, 0)
    pass_runs = _more_passes(run, differences)
    return Repeats(replayed, replay_runs, pass_runs, tuple(differences), SEED)


def _replay(run: SessionState, differences: list[ReplayDifference]) -> tuple[int, int]:
    """One vector again and again, of a model that keeps state the beginning of its stream; returns vectors replayed
    and runs beyond the first.
    """
    runs, before, replayed = 0, run.groups[-1][-1], _replayed(run)
    for attempt in range(1, run.case.contracts.replays if replayed else 1):
        for vector, fresh in replayed:
            if run.stopped:
                break
            record = run.vector(vector, fresh)
            if record is not None:
                runs += 1
                found = _compare(run, vector, record, "replay", attempt, before)
                differences += _tried_alone(run, found, before, differences) if fresh else found
            before = vector
        run.progress("replays", attempt, run.case.contracts.replays - 1)
    return len(replayed), runs


def _replayed(run: SessionState) -> list[tuple[int, bool]]:
    """The vectors to replay, and whether they begin anew."""
    first = list(islice(afresh(run), 1))
    if not first or not run.case.keeps_state:
        return [(vector, True) for vector in first]
    stream = next(group for group in run.groups if first[0] in group)
    return list(beginnings(run, [stream], stream.index(first[0]) + _REPLAYED))


def _more_passes(run: SessionState, differences: list[ReplayDifference]) -> int:
    """The whole set again, each time in another order, so that each group meets other neighbours; returns the number of
    windows run.
    """
    runs, total, before = 0, sum(map(len, run.groups)), NO_VECTOR
    for attempt in range(1, run.case.contracts.passes):
        for done, (index, fresh) in enumerate(unbroken(run, shuffled(run.groups, SEED + attempt - 1))):
            if run.stopped:
                return runs
            record = run.vector(index, fresh)
            if record is not None and run.records.status[index] != Status.NOT_RUN:
                runs += 1
                found = _compare(run, index, record, "pass", attempt, before)
                differences += _tried_alone(run, found, before, differences) if fresh else found
            before = index
            run.progress(f"pass {attempt + 1}", done + 1, total)
    return runs


def _tried_alone(
    run: SessionState, found: list[ReplayDifference], before: int, earlier: list[ReplayDifference]
) -> list[ReplayDifference]:
    """The same, the first few of a run with what the vector does alone."""
    if before < 0 or sum(each.alone is not Alone.UNKNOWN for each in earlier) >= _TRIED_ALONE:
        return found
    return [replace(difference, alone=_alone(run, difference, before) or Alone.UNKNOWN) for difference in found]


def _alone(run: SessionState, difference: ReplayDifference, before: int) -> Alone | None:
    """Whether it is the window before that makes the difference: the vector by itself after a start, and behind it."""
    index = difference.vector
    if not run.device.board.resets:
        return None
    run.restart()
    if run.stopped:
        return None
    alone = _same_field(run, difference, run.vector(index, fresh=True))
    run.note_other(run.vector(before, fresh=True))
    behind = _same_field(run, difference, run.vector(index, fresh=True))
    if alone is None or behind is None:
        return None
    if not alone:
        return Alone.AGAIN
    return Alone.BOTH if behind else Alone.FIRST


def _same_field(run: SessionState, difference: ReplayDifference, record: Record | None) -> bool | None:
    """Whether the record is the vector's first one, as far as the field that differed; None without a record."""
    if record is None:
        return None
    run.note_other(record)
    found = difference_from(run.records, difference.vector, record, difference.field == "ticks")
    return found is None


def _compare(
    run: SessionState, index: int, record: Record, kind: str, attempt: int, before: int
) -> list[ReplayDifference]:
    """The first field in which the record is not the vector's; nothing when it repeats. before: the vector that the
    board ran just before, -1 for none.
    """
    rows = run.records
    run.note_other(record)
    if rows.status[index] >= Status.NOT_RUN:
        return []
    for marks, mark in (
        (rows.arena_high_water, record.arena_high_water),
        (rows.stack_high_water, record.stack_high_water),
    ):
        marks[index] = max(int(marks[index]), mark)
    found = difference_from(rows, index, record, run.device.board.clock.deterministic)
    if found is None:
        return []
    after = f"after {run.case.vectors.name(before)}" if before >= 0 else ""
    return [ReplayDifference(index, kind, attempt, found.field, found.first, found.again, after)]


def _merge(sections: Sequence[Repeats]) -> Repeats:
    return Repeats(
        sum(each.replayed for each in sections),
        sum(each.replay_runs for each in sections),
        sum(each.pass_runs for each in sections),
        tuple(chain.from_iterable(each.differences for each in sections)),
        sections[0].seed,
    )


STEP = Step(Repeats, Scope.SHARE, _collect, _merge)
