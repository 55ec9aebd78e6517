"""`execution.kernels`: an operator that fell back to reference code is named, where the case does not allow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hil.contract import CHECKS, checks_for, judge
from hil.contract.types import CheckResult, Evidence, Outcome

CHECK = next(check for check in CHECKS if check.id == "execution.kernels")


def judged(evidence: Evidence, may: tuple[str, ...], optimised: set[str] | None) -> CheckResult:
    contracts = replace(evidence.case.contracts, reference_kernels=may)
    image = replace(evidence.image, optimised=None if optimised is None else frozenset(optimised))
    other = replace(evidence, case=replace(evidence.case, contracts=contracts), image=image)
    assert CHECK in checks_for(other.case)
    return judge(CHECK, other)


def test_an_image_that_has_reference_kernels_alone_is_not_judged(evidence: Evidence) -> None:
    result = judged(evidence, (), None)
    assert result.outcome is Outcome.NOT_JUDGED
    assert "--hil-tflm=upstream" in result.reason


@pytest.mark.parametrize(
    ("may", "optimised", "named"),
    [
        ((), {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"}, []),
        (("SOFTMAX",), {"CONV_2D", "FULLY_CONNECTED"}, []),
        ((), {"CONV_2D", "ADD"}, ["FULLY_CONNECTED", "SOFTMAX"]),
        (("SOFTMAX",), set(), ["CONV_2D", "FULLY_CONNECTED"]),
    ],
)
def test_operators_on_reference_code_are_named_but_those_that_may(
    evidence: Evidence, may: tuple[str, ...], optimised: set[str], named: list[str]
) -> None:
    result = judged(evidence, may, optimised)
    assert result.outcome is (Outcome.FAILED if named else Outcome.PASSED)
    assert [finding.expected.split()[0] for finding in result.findings] == named
    assert {finding.stage for finding in result.findings} <= {"invoke"}
    assert result.numbers["on_reference_code"] == len({*evidence.case.model.operators} - optimised)
