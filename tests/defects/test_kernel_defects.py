"""The gate catches each mistake in an operator of our own, and names the operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from defect_bench import FAILED, gate
from firmware_workbench import PROJECT, Workbench
from kernel_table import DATA, KERNEL_DEFECTS, KernelDefect, Model, case_of

from hil.image.build import WITH_KERNELS, build

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project"),
]


@cache
def normal_image() -> Path:
    return build("native", PROJECT, image=WITH_KERNELS)


@pytest.mark.parametrize("defect", KERNEL_DEFECTS, ids=lambda defect: defect.name)
def test_the_gate_blames_the_operator(
    defect: KernelDefect, workbench_of: Callable[[str], Workbench], tmp_path: Path
) -> None:
    image = workbench_of("native").image(defect.edits, (), tmp_path, WITH_KERNELS)
    case = case_of(defect.model, tmp_path, defect.stream)
    result = gate(case, tmp_path / "out", board="native", image=image)
    assert (result.exit_code, result.verdict) == (FAILED, "failed"), result.summary()
    assert result.broken[0]["id"] == defect.check, result.summary()
    finding = result.broken[0]["findings"][0]
    assert finding["stage"] == "invoke", result.summary()
    if defect.says:  # of the state: that is told in place of an operator
        assert defect.operator in finding["observed"] + finding["hint"], result.summary()
    else:
        # the first operator that is off, or, where the outputs are those of a lost state, what keeps that state
        named = rf"(is that of|resets) operator \d+ {defect.operator} \("
        assert re.search(named, finding["hint"]), result.summary()
    assert defect.says in finding["hint"], result.summary()


def name_of(model: Model) -> str:
    return model.stem if isinstance(model, Path) else getattr(model, "__name__", "streaming")


CLEAN = {(row.model, row.stream) for row in KERNEL_DEFECTS}


@pytest.mark.parametrize(
    ("model", "stream"),
    sorted(CLEAN, key=lambda row: (name_of(row[0]), row[1])),
    ids=lambda value: value if isinstance(value, bool) else name_of(value),
)
def test_without_a_mistake_the_same_models_pass(model: Model, stream: bool, tmp_path: Path) -> None:
    result = gate(case_of(model, tmp_path, stream), tmp_path / "out", board="native", image=normal_image())
    assert result.broken == [], result.summary()
    assert {check["id"]: check["outcome"] for check in result.checks}["execution.output"] == "passed", result.output


def test_an_image_without_the_operators_is_refused_before_a_window_is_sent(tmp_path: Path) -> None:
    """It would compute a Dense layer with one scale for each output wrong, and say nothing."""
    case = case_of(DATA / "keras_2_21" / "mlp_default.tflite", tmp_path)
    result = gate(case, tmp_path / "out", board="native", image=build("native", PROJECT))
    assert result.verdict == "error", result.output
    assert "FULLY_CONNECTED" in result.output
    assert "hil_firmware_kernels" in result.output
    assert not list((tmp_path / "out").glob("*.npz"))
