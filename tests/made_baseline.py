"""Knows how to make evidence by hand that was accepted as it is: the run then equals its baseline in everything."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

from made_evidence import build_evidence

from hil.baseline.types import Acceptance, Baseline, BaselineFile, Origin
from hil.case.types import Tolerance
from hil.contract.measured import measure
from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.types import Evidence
from hil.records import ClockSpec

FILES = {"case.toml": "11" * 32, "m.tflite": "ab" * 32, "vectors.npz": "22" * 32}
FILE = Path("motion/baseline/qemu.json")
ACCEPTANCE = Acceptance(at="2026-03-01T10:00:00+00:00", by="Ada <ada@example.org>", reason="release 1", changes=[])
ORIGIN = Origin(
    board_kind="qemu", hil="0.1.0", packages={"numpy": "2.0"}, python="3.11.7", seal="33" * 32, started=ACCEPTANCE.at
)


def accept(evidence: Evidence) -> Evidence:
    """The evidence, held against itself; its arrays may be changed, those of the baseline do not follow."""
    kept = measure(copy.deepcopy(evidence))
    baseline = Baseline(**dict(kept), history=[ACCEPTANCE], origin=ORIGIN)
    case = replace(evidence.case, baselines={"qemu": FILE})
    return replace(evidence, case=case, baseline=BaselineFile(FILE, "44" * 32, baseline))


OPERATORS = (OperatorTicks(0, "CONV_2D", 40_000), OperatorTicks(1, "SOFTMAX", 9000))


def accepted_evidence(clock: ClockSpec | None = None) -> Evidence:
    """A run that equals its baseline, with the times of two operators. Its arrays are the caller's own."""
    return copy.deepcopy(_accepted_evidence(clock))


@cache
def _accepted_evidence(clock: ClockSpec | None) -> Evidence:
    evidence = build_evidence()
    evidence = replace(
        evidence,
        clock=clock or evidence.clock,
        case=replace(evidence.case, files=FILES),
    )
    return accept(evidence.having(OperatorProfile(OPERATORS, 0)))


def tolerating(evidence: Evidence, **values: object) -> Evidence:
    """The same evidence in a case that tolerates so much."""
    tolerance = replace(Tolerance(), **values)
    return replace(
        evidence, case=replace(evidence.case, contracts=replace(evidence.case.contracts, baseline=tolerance))
    )
