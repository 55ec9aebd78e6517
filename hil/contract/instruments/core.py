"""Knows whether masks of the core are read back as they are."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.instruments.clock import untried
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet
from hil.records import CoreState

NOT_TOLD = "the firmware does not tell, or its target has no such registers"


@dataclass(frozen=True)
class CoreTest(Section):
    """masked: what was read back while interrupts were masked; None: this firmware, or this target, does not tell."""

    tried: bool = False
    able: bool = False
    masked: CoreState | None = None


def _judge_read_back(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.core", evidence), evidence.section(CoreTest)
    if reason := untried(found.tried, found.able, evidence):
        return sheet.not_judged(reason)
    if found.masked is None:
        return sheet.not_judged(NOT_TOLD)
    if not found.masked.masked:
        sheet.add(
            "a mask that is set while interrupts are masked",
            str(found.masked),
            hint="look at MaskInterrupts() and ReadCoreState() of the port",
        )
    return sheet.result()


CHECKS = (
    Check(
        "instruments.core",
        "masks of the core are read back while they are set",
        "PRIMASK, BASEPRI or FAULTMASK, read back while interrupts are masked, is not 0",
        lambda _: True,
        _judge_read_back,
    ),
)
