"""One vector once more, with a clock around each operator of the model: outside records and statistics."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.same import decision_of, digests_of, digests_text, outputs_of, outputs_text
from hil.contract.types import ReplayDifference
from hil.device import Profile
from hil.errors import LinkError
from hil.records import ClockSpec, Record, Status
from hil.session.order import afresh
from hil.session.state import SessionState
from hil.session.step import Scope, Step

_U32 = 0xFFFFFFFF


def _collect(run: SessionState) -> OperatorProfile:
    """The operators of one run of a vector, and that vector.

    Nothing when no vector was done, the run broke off, the firmware cannot tell, or the vector did not
    repeat its record, which is a difference of the evidence then.
    Raises LinkError when the firmware's clock readings contradict each other.
    """
    vector = next(afresh(run), None)
    if run.stopped or vector is None:
        return OperatorProfile()
    # The clock around each operator takes time too, which must not cost a tight deadline. 0 stays the port's longest.
    deadline = min(_U32, 2 * run.deadline_ticks)
    window = run.case.vectors.payload(vector)
    seen = run.attempt(vector, partial(run.device.profile, window, deadline_ticks=deadline))
    if seen is None:
        return OperatorProfile()
    run.note_other(seen.record)
    difference = _difference(run, vector, seen.record)
    if difference is not None:
        return OperatorProfile(differences=(difference,))
    return OperatorProfile(_operators(seen, run.device.board.clock), vector)


def _difference(run: SessionState, vector: int, record: Record) -> ReplayDifference | None:
    """Where the profiled run is not the vector's record, its time aside: as in a pass behind the last one, or in a
    replay where the case has one pass only.
    """
    rows, decision = run.records, record.decision
    seen = decision.winner, decision.score, decision.answer, int(decision.reason), decision.label
    pairs = (
        ("status", Status.DONE.name, record.status.name),
        ("digest", digests_of(rows, vector), digests_text(record)),
        ("output", outputs_of(rows, vector), outputs_text(record)),
        ("decision", str(decision_of(rows, vector)), str(seen)),
    )
    for field, first, again in pairs:
        if first != again:
            contracts = run.case.contracts
            kind, attempt = ("pass", contracts.passes) if contracts.passes > 1 else ("replay", contracts.replays)
            return ReplayDifference(vector, kind, attempt, field, first, again)
    return None


def _operators(seen: Profile, clock: ClockSpec) -> tuple[OperatorTicks, ...]:
    """Cumulative readings become units first and are then subtracted, as those of the stages are."""
    readings = np.array([(time.begin_ticks, time.end_ticks) for time in seen.operators]).reshape(-1, 2)
    _check_order(readings.ravel(), seen)
    spent = np.diff(clock.units(readings))[:, 0]
    pairs = zip(seen.operators, spent.tolist(), strict=True)
    return tuple(OperatorTicks(index, time.operator, units) for index, (time, units) in enumerate(pairs))


def _check_order(readings: NDArray[np.int64], seen: Profile) -> None:
    """One operator after the other, all of them inside invoke: then none is negative, and their sum is within it."""
    invoke = seen.record.ticks[1] - seen.record.ticks[0]
    bounded = np.concatenate([[0], readings, [invoke]])
    backwards = np.flatnonzero(np.diff(bounded) < 0)
    if len(backwards):
        at = int(backwards[0])
        raise LinkError(
            f"profile: the clock went from {bounded[at]:,} to {bounded[at + 1]:,} ticks in an invoke of {invoke:,} "
            f"ticks with {seen.ran} operators\n"
            "  next: look at ClockNow() of the port; does a window take longer than its 32 bits?"
        )


STEP = Step(OperatorProfile, Scope.LEAD, _collect)
