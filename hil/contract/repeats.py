"""Knows whether a run repeats: what differed when vectors were run again, and the checks that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.contract.blame import done, faulted
from hil.contract.history import history_differences
from hil.contract.operators import OperatorProfile
from hil.contract.ready import asked, ended_before, unready
from hil.contract.same import FIELDS, RUN_FAILED, run_failed, stage_of
from hil.contract.types import Alone, Check, CheckResult, Evidence, ReplayDifference, Section
from hil.contract.verdict import Sheet


@dataclass(frozen=True)
class Repeats(Section):
    """How many runs beyond the first were compared, of one vector and of the whole set, and what did not repeat.

    seed: of the order of the passes behind the first.
    """

    replayed: int = 0  # vectors replayed
    replay_runs: int = 0
    pass_runs: int = 0
    differences: tuple[ReplayDifference, ...] = ()
    seed: int = 0


def run_differences(evidence: Evidence) -> tuple[ReplayDifference, ...]:
    """All runs that were not as the first one, the profiled one and those in other places among them."""
    profiled = evidence.section(OperatorProfile).differences
    return (*evidence.section(Repeats).differences, *profiled, *history_differences(evidence))


_NAME_OF = {"replay": "repeat", "pass": "replay"}  # of the check, where it is not the kind of the run
_ORDER = FIELDS


def answer_check(evidence: Evidence, slow: ReplayDifference) -> str:
    """The check that says that answers differ in the same run as this time, or on the same vector; "" when none do."""
    kinds = {
        "decision" if other.field == "decision" else other.kind
        for other in run_differences(evidence)
        if other.field != "ticks"
        and (other.vector == slow.vector or (other.kind, other.attempt) == (slow.kind, slow.attempt))
    }
    return _first_check(kinds)


def unlike(evidence: Evidence) -> str:
    """The check that says that answers differ in any runs of a vector, the first by the order of blame; "" for none."""
    answers = (each for each in run_differences(evidence) if each.field != "ticks")
    return _first_check({"decision" if each.field == "decision" else each.kind for each in answers})


def _first_check(kinds: set[str]) -> str:
    ordered = [_check_of(kind) for kind in ("replay", "pass", "history") if kind in kinds]
    return ordered[0] if ordered else "decision.repeat" if kinds else ""


def _judge_repeat(evidence: Evidence) -> CheckResult:
    wanted = evidence.case.contracts.replays - 1
    repeats = evidence.section(Repeats)
    words = f"{wanted} more runs of the same vector, all alike"
    numbers = {"vectors_replayed": repeats.replayed}
    return _judge_again("execution.repeat", evidence, "replay", repeats.replay_runs, wanted, words, numbers)


def _judge_replay(evidence: Evidence) -> CheckResult:
    extra = evidence.case.contracts.passes - 1
    wanted = extra * int(done(evidence.records).sum())
    repeats = evidence.section(Repeats)
    words = f"the whole set run {evidence.case.contracts.passes} times, all alike"
    return _judge_again("execution.replay", evidence, "pass", repeats.pass_runs, wanted, words, {"seed": repeats.seed})


def _judge_again(
    check: str, evidence: Evidence, kind: str, runs: int, wanted: int, expected: str, numbers: Mapping[str, int]
) -> CheckResult:
    sheet = Sheet(check, evidence)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    differences = _first_fields(evidence, kind)
    if not runs and not differences and (reason := asked(done(evidence.records), evidence)):
        return sheet.not_judged(reason)  # only what was done is run again
    if runs < max(1, wanted):
        sheet.add(
            expected,
            f"{runs:,} runs compared, {max(1, wanted):,} wanted",
            hint=ended_before(evidence) if evidence.faults else "let the run finish",
        )
    for difference in differences:
        order = f" of the order with seed {numbers['seed']}" if kind == "pass" else ""
        sheet.add(
            f"{difference.field} {difference.first}",
            f"{difference.field} {difference.again} in run {difference.attempt} {difference.before}".rstrip() + order,
            vector=evidence.case.vectors.name(difference.vector),
            stage=stage_of(difference.field, difference.first, difference.again),
            hint=_hint(difference),
        )
    return sheet.result(numbers={"runs_compared": runs, **numbers})


def not_repeated(evidence: Evidence, vector: int) -> str:
    """The check that says why the runs of this vector are not alike: it broke, or what came out was not the same."""
    if faulted(evidence)[vector]:
        return "execution.fault"
    kinds = (each.kind for each in run_differences(evidence) if each.vector == vector)
    return _check_of(next(kinds, "pass"))


def _check_of(kind: str) -> str:
    """The check that answers differ in runs of this kind."""
    return f"execution.{_NAME_OF.get(kind, kind)}"


def _hint(difference: ReplayDifference) -> str:
    if run_failed(difference.first, difference.again):
        return RUN_FAILED
    cure = "uninitialised memory, a buffer not cleared, or a race"
    if difference.alone in (Alone.FIRST, Alone.AGAIN):
        return f"depends on the window before: {difference.alone.value}; look for {cure}"
    if difference.alone is Alone.BOTH:
        return f"state survives for longer than a window: {difference.alone.value}; look for a counter, or {cure}"
    return f"state survives from one run to the next: {cure}"


def _first_fields(evidence: Evidence, kind: str) -> list[ReplayDifference]:
    """Differences of one kind, of each run only the first in pipeline order: the later ones follow from it.

    Not here: a decision that differs on the same output (decision.repeat), and time that differs (latency.repeat).
    """
    first: dict[tuple[int, int], ReplayDifference] = {}
    for difference in run_differences(evidence):
        if difference.kind != kind or difference.field in ("decision", "ticks"):
            continue
        key = (difference.vector, difference.attempt)
        if key not in first or _rank(difference) < _rank(first[key]):
            first[key] = difference
    return list(first.values())


def _rank(difference: ReplayDifference) -> int:
    return _ORDER.index(difference.field) if difference.field in _ORDER else len(_ORDER)


CHECKS = (
    Check(
        "execution.repeat",
        "one vector again and again gives the same record",
        "differences over replays - 1 further runs of a vector = 0",
        lambda case: case.contracts.replays > 1,
        _judge_repeat,
    ),
    Check(
        "execution.replay",
        "the whole set again gives the same records",
        "differences over passes - 1 further runs of the set = 0",
        lambda case: case.contracts.passes > 1,
        _judge_replay,
    ),
)
