"""Knows which checks need a stage that the harness knows, or what the case expects of one that is the product's own:
without it they are not judged, and say why. Nothing passes because nobody could look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.can import to_add, untold
from hil.case.types import Case
from hil.contract.blame import comparable, prepared_differs, unknown
from hil.contract.types import Check, CheckResult, Evidence, Outcome
from hil.contract.verdict import plural
from hil.records import Can

_OWN_PREPARE = "the front end is the product's own: the harness does not know"
_OWN_DECIDE = "the decide stage is the product's own: the harness does not know"
# What the checks need of prepare and of decide, in the words behind those.
_PREPARE: Mapping[str, str] = {
    "input.parameters": "its parameters",
    "input.rejects": "what it makes of other windows than those of the case",
    "execution.probes": "what it makes of other windows than those of the case",
    "execution.coverage": "what it makes of other windows than those of the case",
    "execution.clamps": "what it makes of other windows than those of the case",
    "sanity.saturated_input": "which values it cuts",
}
_DECIDE: Mapping[str, str] = {
    "decision.parameters": "its parameters",
    "decision.reject": "its reasons",
    "decision.threshold": "its threshold",
    "decision.ties": "what it makes of raw scores",
    "decision.stream": "what it makes of raw scores",
    "agreement.flips": "what it would answer to the float model's outputs",
    "sanity.chance_accuracy": "what it would answer to the oracle's outputs",
    "sanity.unanswered_class": "what it would answer to the oracle's outputs",
}
# These compare with what follows from the prepared tensor.
_TENSOR = (
    "input.prepared",
    "input.saturation",
    "execution.output",
    "execution.golden",
    "sanity.constant_output",
    "agreement.",
)
NO_GATE = "the front end is the product's own, and the case has no [input.gate]"
_ADD_PREPARED = "add an array 'prepared' to the vectors, or name a reference in [input] (docs/case-format.md)"
_ADD_ANSWER = "add an array 'answer' to the vectors (docs/case-format.md)"


@dataclass(frozen=True)
class _Lack:
    """Why a check has no verdict, and what would bring one."""

    reason: str
    hint: str = ""


def not_expected(check: Check, evidence: Evidence) -> CheckResult | None:
    """That nothing can be judged, when the check needs more than anybody says of the product's own stages."""
    if not evidence.case.own_stages:
        return None
    lack = _of_prepare(check.id, evidence) or _of_decide(check.id, evidence.case) or _of_tensors(check, evidence)
    return None if lack is None else CheckResult(check.id, Outcome.NOT_JUDGED, reason=lack.reason, hint=lack.hint)


def _of_prepare(check: str, evidence: Evidence) -> _Lack | None:
    case = evidence.case
    if not case.prepare.own:
        return None
    if check in _PREPARE:
        return _Lack(f"{_OWN_PREPARE} {_PREPARE[check]}")
    if check == "input.gate" and not case.gate.known:
        return _Lack(NO_GATE, "add [input.gate], when the front end has the gate of docs/pipeline.md")
    if check == "input.prepared" and case.vectors.prepared is None and not prepared_differs(evidence).any():
        return _Lack("no expectation: the case does not say what the front end should make of a window", _ADD_PREPARED)
    return None


def _of_tensors(check: Check, evidence: Evidence) -> _Lack | None:
    """Where the tensors of some vectors are not known: what the others show can fail, and pass it cannot."""
    rests = check.id.startswith(_TENSOR) or (check.id == "decision.answer" and not evidence.case.decide.own)
    rows = unknown(evidence)
    if not rests or not rows.any():
        return None
    if comparable(evidence).any() and check.judge(evidence).outcome is Outcome.FAILED:
        return None
    why = untold(evidence.hello.can, Can.FETCH) or "the device gave no tensor for them"
    other = ", and their digest is not that of the expected one" if evidence.case.vectors.prepared is not None else ""
    given = f"of {plural(int(rows.sum()), 'vector')} the prepared tensor is not known{other}"
    add = [to_add(evidence.hello.can, Can.FETCH), _ADD_PREPARED if evidence.case.vectors.prepared is None else ""]
    return _Lack(f"{given}: {why}", "; or ".join(filter(None, add)))


def _of_decide(check: str, case: Case) -> _Lack | None:
    if not case.decide.own:
        return None
    if check in _DECIDE:
        return _Lack(f"{_OWN_DECIDE} {_DECIDE[check]}")
    if check == "decision.answer" and case.vectors.answer is None:
        return _Lack("no expectation: the case does not say what the decide stage should answer", _ADD_ANSWER)
    return None
