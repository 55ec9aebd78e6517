"""`expect(record, case)`: contracts on one record, for tests written in Python. Each method returns itself, so they
chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.case.types import Case
from hil.contract.distance import Allowance
from hil.contract.types import Finding
from hil.errors import UsageError
from hil.records import DecisionReason, GateReason, Record, Status
from hil.reference.prepare import digest
from hil.tensor import Elements


class ExpectationFailed(AssertionError):
    """An expectation that does not hold; `finding` is the typed result."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__("\n" + str(finding))


@dataclass(frozen=True)
class Expect:
    """What is expected of one record of one case."""

    record: Record
    case: Case

    def done(self) -> Expect:
        """The window went through the whole pipeline."""
        stage = {Status.REJECTED: "gate", Status.PREPARE_FAILED: "prepare"}.get(self.record.status, "invoke")
        why = f" ({self.record.gate.name.lower()})" if self.record.status == Status.REJECTED else ""
        return self._hold(
            self.record.status == Status.DONE,
            "execution.complete",
            "done",
            self.record.status.name.lower() + why,
            stage,
        )

    def rejected(self, reason: GateReason) -> Expect:
        """The validity gate rejected the window for `reason`, and nothing was labelled."""
        observed = (
            f"{self.record.status.name.lower()}, {self.record.gate.name.lower()}, answer {self.record.decision.answer}"
        )
        holds = self.record.status == Status.REJECTED and self.record.gate == reason and self.record.decision.answer < 0
        return self._hold(holds, "input.rejects", f"rejected, {reason.name.lower()}, answer -1", observed, "gate")

    def prepared(self, tensor: Elements) -> Expect:
        """The device's input tensor is `tensor`, compared by its CRC-32."""
        wanted = digest(tensor)
        return self.done()._hold(
            self.record.digest == wanted,
            "input.prepared",
            f"digest {wanted:#010x}",
            f"{self.record.digest:#010x}",
            "prepare",
        )

    def output(self, wanted: Elements, lsb: int = 0, tolerance: float = 0.0, name: str = "") -> Expect:
        """The raw output is `wanted` (any shape of the right size) within `lsb` steps of its type, of a float32 output
        ULP, or within an absolute `tolerance`. name: of the output tensor; by default the one that is decided on.
        """
        self.done()
        model = self.case.model
        told = (self.record.output, *self.record.outputs)
        outputs = zip((model.output, *model.further_outputs), told, strict=False)
        found = next(((tensor, data) for tensor, data in outputs if name in ("", tensor.name)), None)
        if found is None:
            names = ", ".join(repr(each.name) for each in model.outputs)
            raise UsageError(f"{self.case.model.path}: there is no output {name!r}\n  fix: name one of {names}")
        element = found[0].element
        observed = element.read(found[1])
        expected = np.asarray(wanted).reshape(-1).astype(element.dtype)
        if observed.shape != expected.shape:
            return self._hold(False, "execution.output", f"{expected.size} values", f"{observed.size} values", "invoke")
        allowance = Allowance(element, lsb, tolerance if element.real else 0.0)
        holds = not allowance.beyond(expected, observed).any()
        limit = str(allowance.limit).removeprefix("<= ")
        return self._hold(holds, "execution.output", str(expected.tolist()), str(observed.tolist()), "invoke", limit)

    def answer(self, label: str) -> Expect:
        """The decide stage accepted the window as `label`; the device's own text counts."""
        decision = self.done().record.decision
        holds = decision.reason == DecisionReason.ACCEPTED and decision.label == label
        return self._hold(holds, "decision.answer", label, decision.label or decision.reason.name.lower(), "decide")

    def unknown(self, reason: DecisionReason | None = None) -> Expect:
        """The decide stage gave no label, for `reason` where one is named."""
        decision = self.done().record.decision
        holds = decision.answer < 0 and reason in (None, decision.reason)
        wanted = "unknown" if reason is None else f"unknown, {reason.name.lower()}"
        return self._hold(holds, "decision.reject", wanted, decision.label or decision.reason.name.lower(), "decide")

    def _hold(self, holds: bool, check: str, expected: str, observed: str, stage: str, limit: str = "") -> Expect:
        if not holds:
            hint = f"run pytest on {self.case.path.name} of this case to see every vector"
            contract = check.split(".")[0]
            raise ExpectationFailed(
                Finding(self.case.name, "", contract, check, expected, observed, limit, stage, hint)
            )
        return self


def expect(record: Record, case: Case) -> Expect:
    """Start a chain of expectations on `record`."""
    return Expect(record, case)
