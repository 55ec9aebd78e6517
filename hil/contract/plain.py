"""Knows whether the product does the same when nobody looks: windows without observer and without deadline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.contract.blame import Stage, blame
from hil.contract.ready import ended_before, unready
from hil.contract.repeats import Repeats, run_differences
from hil.contract.same import RUN_FAILED, run_failed, stage_of
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, number
from hil.records import ClockSpec, Status


@dataclass(frozen=True)
class PlainDifference:
    """A window that came out otherwise than when it was measured."""

    vector: int
    field: str  # status, gate, output, decision
    measured: str
    plain: str


@dataclass(frozen=True)
class PlainRuns(Section):
    """A seeded share of the windows, the product's own way. able: the firmware has such a way. units [m]: what each of
    `vectors` [m] took on the clock, around the whole.
    """

    tried: bool = False
    able: bool = False
    vectors: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    units: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    differences: tuple[PlainDifference, ...] = ()

    def longer(self, evidence: Evidence) -> list[tuple[int, int, int]]:
        """Vector, units of the whole, units of its stages: where the whole took more than measuring explains. Nothing
        unless most windows did: a single one may have met a slow path of its own.
        """
        clock = evidence.clock
        found = [each for each in self._pairs(evidence) if each[1] > each[2] + allowance(each[2], clock)]
        return found if 2 * len(found) > len(self.vectors) else []

    def shorter(self, evidence: Evidence) -> list[tuple[int, int, int]]:
        """The same where the whole took less than its stages. A window whose time does not repeat is none; where no
        window was measured twice, most of them must have taken less.
        """
        clock, unsteady = evidence.clock, {each.vector for each in run_differences(evidence) if each.field == "ticks"}
        found = [each for each in self._pairs(evidence) if each[1] < each[2] - allowance(each[2], clock)]
        if clock.deterministic and evidence.section(Repeats).pass_runs:
            return [each for each in found if each[0] not in unsteady]
        return found if 2 * len(found) > len(self.vectors) else []

    def _pairs(self, evidence: Evidence) -> Iterator[tuple[int, int, int]]:
        records = evidence.records
        measured = evidence.clock.units(records.ticks[:, 2])
        refused = evidence.clock.units(np.maximum(records.gate_ticks, 0))
        for vector, whole in zip(self.vectors.tolist(), self.units.tolist(), strict=True):
            if records.status[vector] == Status.DONE:
                yield vector, whole, int(measured[vector])
            elif records.status[vector] == Status.REJECTED and records.gate_ticks[vector] >= 0:
                yield vector, whole, int(refused[vector])


def allowance(units: int, clock: ClockSpec) -> int:
    """By how much a window may take more or less when it is measured: the readings of the clock around each stage, and
    where caches count, what these do to them.
    """
    return 500 + units // 1_000 if clock.deterministic else 2_000 + units // 20


def _judge_plain(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("execution.plain", evidence), evidence.section(PlainRuns)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    if not found.tried:
        return sheet.not_judged(ended_before(evidence))
    if not found.able:
        return sheet.not_judged("the firmware does not tell: it has no plain way (docs/link.md)")
    if not len(found.vectors):
        return sheet.not_judged("no vector ran: see execution.complete")
    elsewhere = _decisions_broken(evidence)
    for difference in found.differences:
        if elsewhere and difference.field == "decision":
            continue  # it is not that nobody looked
        sheet.add(
            f"{difference.field} {difference.measured}, as when it is measured",
            f"{difference.field} {difference.plain} when nobody looks",
            vector=evidence.case.vectors.name(difference.vector),
            stage=stage_of(difference.field, difference.measured, difference.plain),
            hint=RUN_FAILED if run_failed(difference.measured, difference.plain) else _OTHERWISE,
        )
    if evidence.clock.kind != "host time":
        for vector, whole, stages in found.shorter(evidence):
            sheet.add(
                f"about {number(stages)} {evidence.clock.unit}, as when it is measured",
                f"{number(whole)} when nobody looks",
                vector=evidence.case.vectors.name(vector),
                hint="a stage is skipped, or does less, without observer or deadline",
            )
    numbers = {"windows": len(found.vectors)}
    if elsewhere and not sheet.total and found.differences:
        return sheet.not_judged(f"decisions are wrong when they are measured too: see {elsewhere}", numbers)
    return sheet.result(numbers=numbers)


def _decisions_broken(evidence: Evidence) -> str:
    """The check that says that the decide stage is wrong, or does not repeat, when it is measured too; "" for none."""
    if (blame(evidence).broken == Stage.DECIDE).any():
        return "decision.answer"
    return "decision.repeat" if any(each.field == "decision" for each in run_differences(evidence)) else ""


_OTHERWISE = "the product behaves otherwise without observer or deadline: look at what it asks of either"


CHECKS = (
    Check(
        "execution.plain",
        "windows the product's own way, without observer and without deadline",
        "status, gate, output, decision of a plain window = those measured; its units >= sum of its stages - 500 "
        "- 0.1 % where its time repeats (cycles: - 2000 - 5 %, most windows)",
        lambda _: True,
        _judge_plain,
    ),
)
