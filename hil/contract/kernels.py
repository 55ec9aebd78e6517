"""Knows which operators of a model run on reference code although the image has a library of optimised kernels."""

from __future__ import annotations

from hil.case.types import Case
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet

_OF_2020 = "this image is over the TFLM of 2020, which has reference kernels alone; --hil-tflm=upstream has others"
_HINT = "the library has no optimised kernel of it: build it with one; where there is none, add it to the key"


def _judge_kernels(evidence: Evidence) -> CheckResult:
    sheet = Sheet("execution.kernels", evidence)
    model, may, optimised = evidence.case.model, evidence.case.contracts.reference_kernels, evidence.image.optimised
    if optimised is None:
        return sheet.not_judged(_OF_2020)
    reference = [name for name in model.operators if name not in optimised]
    for name in reference:
        if name not in (may or ()):
            sheet.add(f"{name} runs in an optimised kernel", "it runs on reference code", stage="invoke", hint=_HINT)
    numbers = {"operators": len(model.operators), "on_reference_code": len(reference)}
    return sheet.result(numbers=numbers)


def _asked(case: Case) -> bool:
    return case.contracts.reference_kernels is not None


CHECKS = (
    Check(
        "execution.kernels",
        "no operator fell back to reference code but those that may",
        "operators(model) - operators with an optimised kernel in the image is a subset of reference_kernels",
        _asked,
        _judge_kernels,
    ),
)
