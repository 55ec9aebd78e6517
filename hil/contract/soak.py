"""Knows what a long run showed that short ones do not: answers that change, windows that are slow now and then."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Limit
from hil.contract.ready import ended_before, unready
from hil.contract.repeats import unlike
from hil.contract.same import RUN_FAILED, run_failed, stage_of
from hil.contract.types import Check, CheckResult, Evidence, ReplayDifference, Section
from hil.contract.verdict import Sheet, number, plural

_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Soak(Section):
    """`windows` of the case's vectors in a row since a start, in orders that begin with `seed`.

    differences: from each vector's first record, those of answers and those of time, of each kind the first few;
    `attempt` is the number of the window. wrong, slow: how many there are. vector, total [windows]: which vector ran,
    and its time in units of the clock; 0 for a window that was not done.
    """

    windows: int = 0
    seed: int = 0
    differences: tuple[ReplayDifference, ...] = ()
    wrong: int = 0
    slow: int = 0
    vector: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    total: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)


def _judge_output(evidence: Evidence) -> CheckResult:
    sheet, soak = Sheet("soak.output", evidence), evidence.section(Soak)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    wanted = evidence.case.contracts.soak.windows
    if soak.windows < wanted:
        ended = ended_before(evidence) if evidence.faults else "let the run finish"
        sheet.add(f"{plural(wanted, 'window')} in a row", f"{soak.windows:,} ran", hint=ended)
    _add(sheet, soak, wrong=True, before=unlike(evidence))
    return sheet.result(numbers={"windows": soak.windows, "windows_that_differ": soak.wrong, "seed": soak.seed})


def _judge_repeat(evidence: Evidence) -> CheckResult:
    sheet, soak = Sheet("soak.repeat", evidence), evidence.section(Soak)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    if not evidence.clock.deterministic:
        return sheet.not_judged(f"needs a board whose clock repeats; that of {evidence.board} does not")
    if not soak.windows:
        return sheet.not_judged("no window ran: see soak.output")
    _add(sheet, soak, wrong=False, before=_answers_first(evidence))
    return sheet.result(numbers={"windows": soak.windows, "windows_that_differ": soak.slow})


def _answers_first(evidence: Evidence) -> str:
    """The check that says that answers change, in the long run or in shorter ones; "" when they do not."""
    return "soak.output" if evidence.section(Soak).wrong else unlike(evidence)


def _add(sheet: Sheet, soak: Soak, *, wrong: bool, before: str) -> None:
    """Findings of answers or of time; all are counted. before: the check that says what comes first, "" for none."""
    found = [difference for difference in soak.differences if (difference.field != "ticks") == wrong]
    for difference in found:
        sheet.add(
            f"{difference.field} {difference.first}, as when it ran first",
            f"{difference.field} {difference.again} in window {difference.attempt:,} {difference.before}".rstrip(),
            vector=sheet.evidence.case.vectors.name(difference.vector),
            stage=stage_of(difference.field, difference.first, difference.again),
            hint=_hint(soak, difference, wrong, before),
        )
    sheet.total += (soak.wrong if wrong else soak.slow) - len(found)


def _hint(soak: Soak, difference: ReplayDifference, wrong: bool, before: str) -> str:
    if run_failed(difference.first, difference.again):
        return RUN_FAILED
    if before:
        return f"{_SHORTER if wrong else _ANSWERS}: see {before}"
    count = soak.wrong if wrong else soak.slow
    rest = soak.windows - difference.attempt + 1
    if wrong and count > rest // 2:
        return "wrong from some window on: a counter that wraps, a buffer that fills up, memory that runs out"
    return "now and then: work that comes round on a counter, an interrupt, a race; is it every nth window?"


_SHORTER = "answers do not repeat in shorter runs either, which comes first"
_NOW_AND_THEN = "now and then: work that comes round on a counter, an interrupt, flash that stalls"
_ANSWERS = "answers change too, which comes first"


def _judge_latency(evidence: Evidence) -> CheckResult:
    most = evidence.case.contracts.soak.slow
    sheet, soak = Sheet("soak.latency", evidence, Limit(maximum=most)), evidence.section(Soak)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    if evidence.clock.kind == "host time":
        return sheet.not_judged(f"host time is no measure; {evidence.board} counts nothing else")
    rows = np.flatnonzero(soak.total > 0)
    if not len(rows):
        return sheet.not_judged("no window was done: see soak.output")
    vectors, totals = soak.vector[rows], soak.total[rows]
    excess = slowness(vectors, totals)
    before = _answers_first(evidence)
    for row in rows[excess > most]:
        vector, spent = int(soak.vector[row]), int(soak.total[row])
        usual = float(np.median(totals[vectors == vector]))
        unit = evidence.clock.unit
        sheet.add(
            f"{number(usual)} {unit}, the median of {evidence.case.vectors.name(vector)}, + {number(100 * most)} %",
            f"{number(spent)} {unit} in window {row + 1:,}",
            vector=evidence.case.vectors.name(vector),
            hint=f"{_ANSWERS}: see {before}" if before else _NOW_AND_THEN,
        )
    return sheet.result(value=float(excess.max()), numbers={"windows": len(rows)})


def slowness(vector: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much longer each window took than the median of all runs of its vector, as a share of that; [n] each."""
    usual = np.zeros(int(vector.max()) + 1)
    order = np.argsort(vector, kind="stable")
    starts = np.flatnonzero(np.diff(vector[order], prepend=-1))
    for runs in np.split(order, starts[1:]):
        usual[vector[runs[0]]] = np.median(total[runs])
    share: NDArray[np.float64] = total / usual[vector] - 1
    return share


def _asks(case: Case) -> bool:
    return case.contracts.soak.windows > 0


CHECKS = (
    Check(
        "soak.output",
        "a long run of the case's vectors gives each vector's record every time",
        "windows whose status, gate, digest, output or decision is not the vector's first = 0",
        _asks,
        _judge_output,
    ),
    Check(
        "soak.repeat",
        "each window of a long run takes the vector's time",
        "windows with the same output and decision whose ticks differ = 0",
        _asks,
        _judge_repeat,
    ),
    Check(
        "soak.latency",
        "no window of a long run takes much longer than usual",
        "max over windows of total / (median total of the same vector) - 1",
        _asks,
        _judge_latency,
    ),
)
