"""Knows what the records of all windows tell beside answers: what the product received, and how it left the core."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from hil.contract.instruments.core import NOT_TOLD
from hil.contract.ready import unready
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, plural
from hil.records import CoreState

_WAY = "damaged between link and product, not by prepare: look at what carries the window to the pipeline"
_LEFT = "interrupts stay masked, or a fault was swallowed: look at what masks, and at the fault handlers"


@dataclass(frozen=True)
class Witnessed(Section):
    """What the records of all windows tell, those of the harness's own among them: how many told what was received, and
    how many of these were not what was sent; after how many the core was read back, and the first state that is not as
    it must be.
    """

    tried: bool = False
    received: int = 0
    damaged: int = 0
    read_back: int = 0
    left: CoreState | None = None


def _judge_left(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("execution.core", evidence), evidence.section(Witnessed)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    core = evidence.records.core
    told = core[:, 0] >= 0
    if not told.any() and not found.read_back:
        return sheet.not_judged(NOT_TOLD)
    left = np.flatnonzero(told & (core != 0).any(axis=1))

    def describe(vector: int) -> None:
        sheet.add(
            "no mask set and no fault gathered behind the window",
            str(CoreState(*map(int, core[vector]))),
            vector=evidence.case.vectors.name(vector),
            hint=_LEFT,
        )

    sheet.each(left, describe)
    if not len(left) and found.left is not None:
        sheet.add(
            "no mask set and no fault gathered behind any window",
            f"{found.left} behind a window of the harness's own",
            hint=_LEFT,
        )
    return sheet.result(numbers={"windows": max(int(told.sum()), found.read_back)})


def _judge_received(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("input.received", evidence), evidence.section(Witnessed)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    told = evidence.records.received >= 0
    if not told.any() and not found.received:
        return sheet.not_judged("the firmware does not tell what it received")
    vectors = evidence.case.vectors
    wanted = np.array([zlib.crc32(vectors.payload(index)) for index in range(len(vectors))], np.int64)
    wrong = np.flatnonzero(told & (evidence.records.received != wanted))

    def describe(vector: int) -> None:
        sheet.add(
            f"a window with CRC-32 {int(wanted[vector]):08x}, as sent",
            f"the product got one with {int(evidence.records.received[vector]):08x}",
            vector=vectors.name(vector),
            hint=_WAY,
        )

    sheet.each(wrong, describe)
    if not len(wrong) and found.damaged:
        sheet.add(
            "every window as it was sent",
            f"{plural(found.damaged, 'window')} of the harness's own came otherwise",
            hint=_WAY,
        )
    return sheet.result(numbers={"windows": max(int(told.sum()), found.received)})


INPUT_CHECKS = (
    Check(
        "input.received",
        "the window as the product got it",
        "CRC-32 of the window that the product got = that of the window sent",
        lambda _: True,
        _judge_received,
    ),
)
EXECUTION_CHECKS = (
    Check(
        "execution.core",
        "interrupt masks and gathered faults behind each window",
        "PRIMASK, BASEPRI, FAULTMASK and CFSR behind a window = 0",
        lambda _: True,
        _judge_left,
    ),
)
