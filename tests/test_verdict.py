"""What outcomes make of a case, and cases of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.contract.types import Outcome
from hil.verdict import WORST_FIRST, case_verdict, run_verdict


@pytest.mark.parametrize(
    ("outcomes", "error", "verdict"),
    [
        (["passed", "marginal"], "", "marginal"),
        (["passed", "not judged"], "", "passed"),
        (["marginal", "not judged", "failed"], "", "failed"),
        (["not judged"], "", "not judged"),
        ([], "", "not judged"),
        (["passed"], "the probe is gone", "error"),
        (["passed", "marginal", "invalid"], "", "invalid"),
        (["failed", "invalid"], "", "failed"),
    ],
)
def test_a_case_is_as_good_as_its_worst_check(outcomes: list[str], error: str, verdict: str) -> None:
    assert case_verdict([(outcome, False) for outcome in outcomes], error) == verdict


@pytest.mark.parametrize(("outcome", "verdict"), [("failed", "passed"), ("marginal", "passed"), ("invalid", "invalid")])
def test_a_quarantine_puts_off_a_contract_and_no_broken_instrument(outcome: str, verdict: str) -> None:
    assert case_verdict([("passed", False), (outcome, True)]) == verdict


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["passed", "marginal"], "marginal"),
        (["passed", "passed"], "passed"),
        (["marginal", "not judged"], "nothing judged"),
        (["marginal", "failed"], "failed"),
        (["error", "failed", "passed"], "error"),
        (["invalid", "not judged"], "invalid"),
        ([], "nothing judged"),
    ],
)
def test_a_run_is_as_good_as_its_worst_case(verdicts: list[str], verdict: str) -> None:
    assert run_verdict(verdicts) == verdict
    assert run_verdict(verdicts, lost_workers=["gw1"]) == "error"
    assert run_verdict(verdicts, interrupted=True, lost_workers=["gw1"]) == "interrupted"


@given(st.sets(st.sampled_from([str(outcome) for outcome in Outcome])), st.sampled_from(["", "broke"]))
def test_reports_know_where_to_list_every_verdict(outcomes: set[str], error: str) -> None:
    assert case_verdict([(outcome, False) for outcome in outcomes], error) in WORST_FIRST
