"""Knows whether a vector gives the same record wherever it stands in a run: behind a start, behind other windows."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.blame import done
from hil.contract.ready import asked, ended_before, unready
from hil.contract.same import RUN_FAILED, difference_from, run_failed, stage_of
from hil.contract.types import Check, CheckResult, Evidence, ReplayDifference, Section
from hil.contract.verdict import Sheet
from hil.records import Record

KIND = "history"


@dataclass(frozen=True)
class Again:
    """One more run of a vector. after: what the board did just before, as in "after standing_3"; start: it was among
    the first windows after a start, whose time counts for nothing.
    """

    vector: int
    after: str
    record: Record
    start: bool = False


@dataclass(frozen=True)
class History(Section):
    """Runs of vectors in other places than those of the passes."""

    runs: tuple[Again, ...] = ()


@dataclass(frozen=True)
class Neighbours(Section):
    """Runs of a vector, each behind a window that shares a part with it."""

    runs: tuple[Again, ...] = ()


def _runs(evidence: Evidence) -> tuple[Again, ...]:
    return (*evidence.section(History).runs, *evidence.section(Neighbours).runs)


def history_differences(evidence: Evidence) -> tuple[ReplayDifference, ...]:
    """What is not as the vector's first record, of each run the first field."""
    found = []
    for run in _runs(evidence):
        ticks = evidence.clock.deterministic and not run.start
        difference = difference_from(evidence.records, run.vector, run.record, ticks)
        if difference is not None:
            fields = (difference.field, difference.first, difference.again)
            found.append(ReplayDifference(run.vector, KIND, 1, *fields, before=run.after))
    return tuple(found)


def _judge_history(evidence: Evidence) -> CheckResult:
    sheet, runs = Sheet("execution.history", evidence), _runs(evidence)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    if not runs and (reason := asked(done(evidence.records), evidence)):
        return sheet.not_judged(reason)  # only what was done is run again
    if not runs:
        hint = ended_before(evidence) if evidence.faults else "let the run finish"
        sheet.add("a vector run again behind other windows", "none was", hint=hint)
    for difference in history_differences(evidence):
        if difference.field not in ("decision", "ticks"):  # decision.repeat and latency.repeat tell of these
            sheet.add(
                f"{difference.field} {difference.first}",
                f"{difference.field} {difference.again} {difference.before}",
                vector=evidence.case.vectors.name(difference.vector),
                stage=stage_of(difference.field, difference.first, difference.again),
                hint=_hint(difference),
            )
    return sheet.result(numbers={"runs_compared": len(runs)})


def _hint(difference: ReplayDifference) -> str:
    if run_failed(difference.first, difference.again):
        return RUN_FAILED
    return (
        f"depends on the window before: it is another {difference.before}; look for memory that a stage reads before "
        "it writes it, and for state that a new window must clear"
    )


CHECKS = (
    Check(
        "execution.history",
        "a vector gives the same record behind a start, another class, one like it, a refused window, and long use",
        "differences over runs of a vector in other places = 0",
        lambda _: True,
        _judge_history,
    ),
)
