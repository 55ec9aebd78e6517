"""Knows whether a run repeats: what differed when vectors were run again, and the checks that say so."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.blame import done
from hil.contract.operators import OperatorProfile
from hil.contract.ready import asked, unready
from hil.contract.types import Check, CheckResult, Evidence, ReplayDifference, Section
from hil.contract.verdict import Sheet


@dataclass(frozen=True)
class Repeats(Section):
    """How many runs beyond the first were compared, of one vector and of the whole set, and what did not repeat."""

    replayed: int = 0  # vectors replayed
    replay_runs: int = 0
    pass_runs: int = 0
    differences: tuple[ReplayDifference, ...] = ()


def run_differences(evidence: Evidence) -> tuple[ReplayDifference, ...]:
    """All runs that were not as the first one, the profiled one among them."""
    return (*evidence.section(Repeats).differences, *evidence.section(OperatorProfile).differences)


_ORDER = ("status", "gate", "digest", "output")
_STAGE_OF = {"status": "", "gate": "gate", "digest": "prepare", "output": "invoke"}


def _judge_repeat(evidence: Evidence) -> CheckResult:
    wanted = evidence.case.contracts.replays - 1
    words = f"{wanted} more runs of the same vector, all alike"
    return _judge_again("execution.repeat", evidence, "replay", evidence.section(Repeats).replay_runs, wanted, words)


def _judge_replay(evidence: Evidence) -> CheckResult:
    extra = evidence.case.contracts.passes - 1
    wanted = extra * int(done(evidence.records).sum())
    words = f"the whole set run {evidence.case.contracts.passes} times, all alike"
    return _judge_again("execution.replay", evidence, "pass", evidence.section(Repeats).pass_runs, wanted, words)


def _judge_again(check: str, evidence: Evidence, kind: str, runs: int, wanted: int, expected: str) -> CheckResult:
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
            hint="the run ended before: see execution.fault" if evidence.faults else "let the run finish",
        )
    for difference in differences:
        sheet.add(
            f"{difference.field} {difference.first}",
            f"{difference.field} {difference.again} in run {difference.attempt}",
            vector=evidence.case.vectors.name(difference.vector),
            stage=_STAGE_OF.get(difference.field, ""),
            hint="state survives from one run to the next: uninitialised memory, a buffer not cleared, or a race",
        )
    numbers: dict[str, float | int | str] = {"runs_compared": runs}
    if kind == "replay":
        numbers["vectors_replayed"] = evidence.section(Repeats).replayed
    return sheet.result(numbers=numbers)


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
