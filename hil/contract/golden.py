"""Knows whether the references of a run are the expectations that were accepted: a changed oracle is no defect of a
device, and must not pass for one, nor hide one.
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.case.expected import expected_of
from hil.case.expected_changes import Change, differences
from hil.case.types import Case, Limit
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet

ID = "execution.expected"
_VECTORS = "the case's files are not the accepted ones"
_RULES = "the case's rules or the reference changed, not the device"
_ORACLE = "the model or the oracle (package tflite-micro) changed, not the device"


def _has_expectations(case: Case) -> bool:
    return case.expected is not None


def _judge(evidence: Evidence) -> CheckResult:
    accepted = evidence.case.expected
    assert accepted is not None  # applies() asks for it
    now = expected_of(evidence.case, evidence.references)
    found = differences(accepted, now)
    sheet = Sheet(ID, evidence, Limit(maximum=0, unit="changes"))
    _add_names(sheet, "accepted before", "vector is not in expected.npz", found.added)
    _add_names(sheet, "vector in the case", "it is gone", found.removed)
    _add_names(sheet, "the accepted window", "other bytes", found.windows)
    # What another window makes of the later stages is no further difference.
    told = set(found.windows)
    prepared = [Change(name, "the accepted digest", "another") for name in found.prepared]
    _add_changes(sheet, "label", found.labels, _VECTORS)
    for stage, changes, cause in (
        ("gate", found.gate, _RULES),
        ("prepare", prepared, _RULES),
        ("invoke", found.outputs, _ORACLE),
        ("decide", found.decisions, _RULES),
    ):
        _add_changes(sheet, stage, [change for change in changes if change.vector not in told], cause)
    for name, vectors in found.prepared_further:
        changes = [Change(vector, f"the accepted digest of input {name!r}", "another") for vector in vectors]
        _add_changes(sheet, "prepare", [change for change in changes if change.vector not in told], _RULES)
    for each in found.further:
        changes = [Change(c.vector, f"output {each.name!r}: {c.before}", c.after) for c in each.outputs]
        _add_changes(sheet, "invoke", [change for change in changes if change.vector not in told], _ORACLE)
    for name in found.gone:
        sheet.add(f"{name}, as accepted", "the model does not have it", hint=_hint(sheet, _ORACLE))
    if found.unkept and not sheet.total:
        folder = evidence.case.path.parent
        return sheet.not_judged(
            f"expected.npz has nothing of {', '.join(found.unkept)}: accept it again with `hil case regen {folder}`"
        )
    numbers = {"vectors_compared": len(now.name), f"largest_step_{found.unit.lower()}": found.steps}
    return sheet.result(value=float(sheet.total), numbers=numbers)


def _add_names(sheet: Sheet, expected: str, observed: str, names: Sequence[str]) -> None:
    for name in names:
        sheet.add(expected, observed, vector=name, hint=_hint(sheet, _VECTORS))


def _add_changes(sheet: Sheet, stage: str, changes: Sequence[Change], cause: str) -> None:
    for change in changes:
        words = f"{stage}: {change.before}", f"{change.after} from the reference of this run"
        sheet.add(*words, vector=change.vector, stage="" if stage == "label" else stage, hint=_hint(sheet, cause))


def _hint(sheet: Sheet, cause: str) -> str:
    return f"{cause}: review with `hil case regen {sheet.evidence.case.path.parent}`, then accept it or undo it"


CHECKS = (
    Check(
        ID,
        "the references of this run are the expectations that were accepted",
        "vectors, windows, labels, gate, prepared tensors, outputs and decisions that differ from expected.npz = 0",
        _has_expectations,
        _judge,
    ),
)
