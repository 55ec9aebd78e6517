"""What is wrong with whole models, float and int8, on their references alone: no board can make it right or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_evidence import evidence_of

from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Outcome
from hil.reference import compute

PROJECT = Path(__file__).resolve().parents[2]
FAILING = PROJECT.parent / "shared" / "data" / "failing"
CONTRACTS = ("agreement", "sanity")

needs_failing = pytest.mark.skipif(not FAILING.is_dir(), reason="no ../shared/data/failing beside the project")


def judged(folder: Path) -> dict[str, CheckResult]:
    case = load_case(folder)
    evidence = evidence_of(case, compute(case))
    return {check.id: judge(check, evidence) for check in checks_for(case) if check.contract in CONTRACTS}


def test_nothing_is_odd_about_imu_motion_and_its_limits_hold_for_the_whole_chain() -> None:
    results = judged(PROJECT / "golden_vectors" / "imu_motion")
    assert len(results) == 11
    assert {result.outcome for result in results.values()} == {Outcome.PASSED}
    shares = [abs(float(result.numbers["input_share"])) for name, result in results.items() if "agreement" in name]
    assert 0 < max(shares) < 0.1  # dB: the input costs next to nothing, and is looked at


@needs_failing
def test_a_calibration_on_smaller_data_is_a_loss_of_the_input() -> None:
    """Both models get the same saturated tensor and agree on it; on what the windows say they do not."""
    results = judged(FAILING / "F2_calibration_too_small")
    for name in ("agreement.cosine", "agreement.sqnr_db"):
        result = results[name]
        assert result.outcome is Outcome.FAILED
        assert result.limit is not None
        assert result.limit.holds(float(result.numbers["on_the_prepared_tensor"]))
        (finding,) = result.findings
        assert finding.hint.startswith("the input: on the same prepared tensor the limit holds; its clamp cuts 92 %")
        assert "full_scale" not in finding.hint  # a key that quantize/1 has not
    assert results["sanity.saturated_input"].outcome is Outcome.MARGINAL
    assert results["sanity.saturated_input"].reason.startswith("92 % of the input is saturated")


@needs_failing
def test_a_model_that_ignores_its_input_asks_to_be_looked_at() -> None:
    results = judged(FAILING / "F3_ignores_its_input")
    odd = {name for name, result in results.items() if result.outcome is Outcome.MARGINAL}
    assert odd == {"sanity.constant_output", "sanity.chance_accuracy", "sanity.unanswered_class"}
    assert results["sanity.constant_output"].reason.startswith(
        "one output for 40 different windows: -57, -74, -63, -62"
    )


@needs_failing
def test_one_window_twelve_times_is_told() -> None:
    assert judged(FAILING / "F9_same")["sanity.identical_windows"].outcome is Outcome.MARGINAL
