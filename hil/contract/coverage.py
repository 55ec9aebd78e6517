"""Knows how far the stimuli reach into the model: which values its operators' outputs take, and whether a kernel that
clamps one of them short would show.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hil.case.types import Case
from hil.contract.ready import ended_before, unready
from hil.contract.sent import GateProbes
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, number


@dataclass(frozen=True)
class Reached:
    """Of one operator's output: the values that there can be, and how many the case's vectors bring, and these and the
    harness's own windows. Ends are the lowest and the highest of them.
    """

    index: int
    operator: str
    values: int
    by_vectors: int
    by_all: int
    vector_ends: tuple[int, int]
    all_ends: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.index} {self.operator}"

    @property
    def share(self) -> float:
        return self.by_all / self.values


@dataclass(frozen=True)
class ShortClamp:
    """An operator's output that stops at `at` in place of its end. by: "vectors" or "probes" on which the model's
    output would not be right then, "" for neither.
    """

    operator: str
    at: int
    by: str


@dataclass(frozen=True)
class Coverage(Section):
    """operators, clamps: of the int8 oracle on `vectors` of the case's and on the harness's own windows. sent: windows
    that were searched for this. problem: why the model could not be looked into.
    """

    operators: tuple[Reached, ...] = ()
    clamps: tuple[ShortClamp, ...] = ()
    vectors: int = 0
    sent: GateProbes = field(default_factory=GateProbes)
    problem: str = ""


def _judge_coverage(evidence: Evidence) -> CheckResult:
    limit, coverage = evidence.case.contracts.coverage.get("range"), evidence.section(Coverage)
    sheet = Sheet("execution.coverage", evidence, limit)
    if reason := _nothing(evidence):
        return sheet.not_judged(reason)
    for each in coverage.operators:
        if limit is not None and not limit.holds(each.share):
            sheet.add(
                f"share of the values of operator {each.name} {limit}",
                f"{number(each.share)}: {_words(each)}",
                stage="invoke",
                hint="add vectors that drive this operator harder: louder, or of classes that are missing",
            )
    numbers: dict[str, float | int | str] = {"operators": len(coverage.operators), "vectors": coverage.vectors}
    numbers["windows_searched_for"] = len(coverage.sent.probes)
    numbers |= {each.name: _words(each) for each in coverage.operators}
    return sheet.result(value=min(each.share for each in coverage.operators), numbers=numbers)


def _words(each: Reached) -> str:
    vectors, both = (100 * count / each.values for count in (each.by_vectors, each.by_all))
    (low, high), (lowest, highest) = each.vector_ends, each.all_ends
    return f"vectors {low} to {high}, {vectors:.0f} %; with probes {lowest} to {highest}, {both:.0f} %"


def _judge_clamps(evidence: Evidence) -> CheckResult:
    limit, clamps = evidence.case.contracts.coverage.get("clamps"), evidence.section(Coverage).clamps
    sheet = Sheet("execution.clamps", evidence, limit)
    if reason := _nothing(evidence):
        return sheet.not_judged(reason)
    hidden = [clamp for clamp in clamps if not clamp.by]
    share = 1 - len(hidden) / len(clamps) if clamps else 1.0
    if limit is not None and not limit.holds(share):
        sheet.add(
            f"share of short clamps that would show {limit}",
            f"{number(share)}; hidden: {_places(hidden)}",
            stage="invoke",
            hint="add vectors whose answer hangs in the balance while these operators reach their ends",
        )
    numbers: dict[str, float | int | str] = {"clamps": len(clamps)}
    for by in ("vectors", "probes"):
        numbers[f"shown_by_{by}"] = sum(clamp.by == by for clamp in clamps)
    return sheet.result(value=share, numbers={**numbers, "hidden": _places(hidden) or "none"})


def _places(clamps: list[ShortClamp]) -> str:
    return ", ".join(f"{clamp.operator} at {clamp.at}" for clamp in clamps)


def _nothing(evidence: Evidence) -> str:
    """Why there is nothing to say; "" when there is."""
    coverage = evidence.section(Coverage)
    if reason := unready(evidence):
        return reason
    if coverage.problem:
        return f"the model cannot be looked into: {coverage.problem}"
    if not coverage.operators:
        ended = ended_before(evidence) if evidence.faults else _NO_INTEGERS
        return ended if coverage.vectors or evidence.faults else "no vector of the case is valid"
    return ""


_NO_INTEGERS = (
    "no output of an operator is an integer of 8 or 16 bits: float32 has no ends that a kernel could cut short"
)


def _always(_: Case) -> bool:
    return True


CHECKS = (
    Check(
        "execution.coverage",
        "how many of the values that an operator's output can have the stimuli bring",
        "least share over the operators of the values of an output that vectors and probes bring; "
        "of int16 of its highest 8 bits",
        _always,
        _judge_coverage,
    ),
    Check(
        "execution.clamps",
        "whether a kernel that clamps an operator's output 1 or 7 LSB short (int16: 256 or 1,792), at either end, "
        "would show",
        "share of short clamps with which an output of the model differs by more than lsb on a vector or a probe",
        _always,
        _judge_clamps,
    ),
)
