"""The gate catches each seeded defect, blames the contract where it arose, and says what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest
from defect_bench import FAILED, GateResult, NormalImage, case_copy, gate
from defect_table import CONTROLS, DEFECTS, Defect, ImageOf, per_channel_dense

from hil.case.load import load_case
from hil.case.types import CONTRACTS

pytestmark = pytest.mark.slow

# Checks that compare vector by vector: where an earlier contract broke first, they must say so.
FOLLOWERS = ("execution.output", "execution.golden", "decision.answer", "decision.reject", "decision.accuracy")


def rows(defects: tuple[Defect, ...]) -> list[object]:
    return [pytest.param(row, id=row.name, marks=[] if row.quick else [pytest.mark.slow]) for row in defects]


def run(defect: Defect, image_of: ImageOf, folder: Path) -> GateResult:
    """The gate on what this defect makes of firmware, bundle and case."""
    image = image_of(defect)
    case = case_copy(defect.case, folder, defect.files, thin=defect.thin)
    bundle = None
    if defect.bundle is not None:
        bundle = folder / "bundle.bin"
        bundle.write_bytes(defect.bundle(load_case(case / "case.toml")))
    return gate(case, folder / "out", board=defect.board, image=image, bundle=bundle)


@pytest.mark.parametrize("defect", rows(DEFECTS))
def test_the_gate_catches_it_and_names_the_stage(defect: Defect, image_of: ImageOf, tmp_path: Path) -> None:
    result = run(defect, image_of, tmp_path)
    assert (result.exit_code, result.verdict) == (FAILED, "failed"), result.summary()
    assert result.broken[0]["id"] == defect.check, result.summary()
    expect_first_finding(defect, result)
    expect_later_ones_point_back(result)
    assert set(defect.also) <= {check["id"] for check in result.broken}, result.summary()


@pytest.mark.parametrize("defect", rows(CONTROLS))
def test_without_a_defect_the_same_steps_pass(defect: Defect, image_of: ImageOf, tmp_path: Path) -> None:
    result = run(defect, image_of, tmp_path)
    assert (result.exit_code, result.verdict, result.broken) == (0, "passed", []), result.summary()


def expect_first_finding(defect: Defect, result: GateResult) -> None:
    """It says what was expected, what was observed, the stage and what to try next."""
    finding = result.broken[0]["findings"][0]
    assert finding["contract"] == defect.check.split(".")[0]
    assert finding["expected"], result.summary()
    assert finding["observed"], result.summary()
    assert finding["hint"], result.summary()
    assert finding["stage"] == defect.stage, result.summary()
    text = "\n".join(finding[key] for key in ("vector", "expected", "observed", "hint"))
    assert [part for part in defect.says if part not in text] == [], result.summary()


def expect_later_ones_point_back(result: GateResult) -> None:
    """What only follows from an earlier contract's break names the check to read first."""
    first = result.broken[0]["id"].split(".")[0]
    for check in result.broken:
        contract = check["id"].split(".")[0]
        if contract == first or not (check["id"] in FOLLOWERS or contract in ("agreement", "latency")):
            continue
        earlier = [f"see {known}." for known in CONTRACTS[: CONTRACTS.index(contract)]]
        for finding in check["findings"]:
            assert any(text in finding["hint"] + finding["observed"] for text in earlier), result.summary()


def test_a_model_that_the_kernels_would_compute_wrongly_is_refused_before_flashing(
    normal_image: NormalImage, tmp_path: Path
) -> None:
    """By an image that was named, and that has no operators of our own."""
    case = case_copy((), tmp_path, per_channel_dense)
    result = gate(case, tmp_path / "out", board="native", image=normal_image("native"))
    assert (result.exit_code, result.verdict) == (FAILED, "error"), result.output
    assert "FULLY_CONNECTED" in result.output
    assert "hil_firmware_kernels" in result.output
    assert not list((tmp_path / "out").glob("*.npz"))  # no window reached a board
