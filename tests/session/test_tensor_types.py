"""Models with ends of every type run on the firmware, equal the oracle, and pass all checks; and what people export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from native_session import PROJECT, native_board, native_image
from typed_cases import CASES, N, TypedCase, cast, integers, logarithm

from hil.board.config import kind_module, load_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.image.build import WITH_KERNELS, build
from hil.image.elf import Image
from hil.session import run_case

GATE = "[input.gate]\nminimum = -2.0\nmaximum = 20.0\n"
PUBLIC = PROJECT.parent / "shared" / "data" / "public_models"


def run(file: Path, folder: Path, board: str = "native") -> Evidence:
    case = load_case(file)
    if board == "native":
        with native_board(folder) as opened:
            return run_case(case, opened, native_image()).evidence
    config = load_board(board, [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT, log=folder / "build.log"))
    with kind_module(config).open_board(config, folder / "board.log") as opened:
        return run_case(case, opened, image).evidence


def results(evidence: Evidence) -> dict[str, CheckResult]:
    return {check.id: judge(check, evidence) for check in checks_for(evidence.case)}


def broken(evidence: Evidence, but: Sequence[str] = ()) -> list[str]:
    """What failed or is invalid, in words."""
    bad = (Outcome.FAILED, Outcome.INVALID)
    return [
        f"{name}: {result.reason} {' '.join(map(str, result.findings))}"
        for name, result in results(evidence).items()
        if result.outcome in bad and name not in but
    ]


EACH_KIND = ("float32 edges", "int16 to int8")  # the other cases are slow ones


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in EACH_KIND else [pytest.mark.slow]) for name in CASES]
)
def test_ends_of_each_type_run_and_equal_the_oracle(name: str, tmp_path: Path) -> None:
    evidence = run(CASES[name].write(tmp_path / "case"), tmp_path)
    assert evidence.hello.bundle_status == 0
    assert broken(evidence) == []
    output, oracle = evidence.records.output, evidence.references.output
    assert output.dtype == oracle.dtype == evidence.case.model.output.element.dtype
    assert output.tobytes() == oracle.tobytes() or CASES[name].model_keys
    assert len(np.unique(output, axis=0)) > N // 2
    assert (evidence.records.digest == evidence.references.digest).all()
    found = results(evidence)
    assert found["execution.probes"].outcome is Outcome.PASSED
    if CASES[name].decision:
        assert len(set(evidence.records.answer.tolist())) > 1
        assert found["decision.stream"].outcome is Outcome.PASSED


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uint8 to uint8", "float32 edges", "int32 output", "scale to int16", "int16 to int8"])
def test_on_an_emulated_core_as_well(name: str, tmp_path: Path) -> None:
    evidence = run(CASES[name].write(tmp_path / "case"), tmp_path, "qemu")
    assert broken(evidence) == []
    assert evidence.records.output.tobytes() == evidence.references.output.tobytes()


def test_numbers_of_int8_that_are_cast_need_no_scale(tmp_path: Path) -> None:
    case = load_case(TypedCase(cast, integers("int16", -128, 128), decision="").write(tmp_path / "case"))
    with native_board(tmp_path) as board:
        evidence = run_case(case, board, Image(build("native", PROJECT, image=WITH_KERNELS))).evidence
    assert broken(evidence) == []
    np.testing.assert_array_equal(evidence.records.output, case.vectors.windows.reshape(N, 4))


def test_an_output_of_float32_is_held_bit_for_bit_and_says_so(tmp_path: Path) -> None:
    evidence = run(CASES["float32 edges"].write(tmp_path / "case"), tmp_path)
    result = results(evidence)["execution.output"]
    assert (result.outcome, result.value, result.reason) == (Outcome.PASSED, 0.0, "float32 outputs, bit for bit")
    evidence.records.output[3, 1] = np.nextafter(evidence.records.output[3, 1], np.float32(9))
    result = results(evidence)["execution.output"]
    assert (result.outcome, result.value, result.unit) == (Outcome.FAILED, 1.0, "ULP")
    assert "1 ULP" in result.findings[0].observed
    for allowed in ({"ulp": 1}, {"tolerance": 1e-6}):
        held = replace(evidence, case=replace(evidence.case, contracts=replace(evidence.case.contracts, **allowed)))
        assert results(held)["execution.output"].outcome is Outcome.PASSED


def test_a_model_that_gives_no_number_is_told_as_such_and_decides_nothing(tmp_path: Path) -> None:
    windows = np.full((N, 4), 2.0, np.float32)
    windows[:, 2] = np.linspace(-1, 10, N)
    case = TypedCase(
        logarithm, lambda: windows, execution="tolerance = 1e-6\n", model_keys="all_float = true\n", gate=GATE
    )
    evidence = run(case.write(tmp_path / "case"), tmp_path)
    result = results(evidence)["execution.complete"]
    assert result.outcome is Outcome.FAILED
    assert result.findings[0].vector == "#0"
    assert "NaN at output [2] (shake)" in result.findings[0].observed
    assert "it is the model" in result.findings[0].hint
    assert broken(evidence, ["execution.complete"]) == []  # the device does what the oracle does
    assert evidence.records.reason[0] == 5
    assert evidence.records.answer[0] == -1


def test_what_a_float_input_has_no_sense_of_is_not_judged_with_the_reason(tmp_path: Path) -> None:
    file = CASES["float32 edges"].write(tmp_path / "case")
    file.write_text(file.read_text() + "[contract.input]\nsaturation = { max = 0.1 }\n")
    result = results(run(file, tmp_path))["input.saturation"]
    assert result.outcome is Outcome.NOT_JUDGED
    assert "float32 input" in result.reason


@dataclass(frozen=True)
class Export:
    """A model that somebody published: shape of its input, its range, arena bytes, number of windows."""

    file: str
    shape: tuple[int, ...]
    low: float
    high: float
    arena_bytes: int
    count: int


EXPORTS = {
    "diy_alexa": Export("diy_alexa.tflite", (99, 43, 1), -10.0, 0.0, 100_000, 6),
    "mlonmcu": Export("mlonmcu_CNN_full_quantized.tflite", (10, 10, 3), 0.0, 255.0, 32_768, 12),
}


@pytest.mark.slow
@pytest.mark.skipif(not PUBLIC.is_dir(), reason="no ../shared/data/public_models beside the project")
@pytest.mark.parametrize("board", ["native", "qemu"])
@pytest.mark.parametrize("name", EXPORTS)
def test_models_with_float_edges_that_people_ship_equal_the_oracle(name: str, board: str, tmp_path: Path) -> None:
    export, random = EXPORTS[name], np.random.default_rng(11)
    windows = random.uniform(export.low, export.high, (export.count, *export.shape)).astype(np.float32)
    np.savez(tmp_path / "vectors.npz", windows=windows)
    (tmp_path / "model.tflite").write_bytes((PUBLIC / export.file).read_bytes())
    (tmp_path / "case.toml").write_text(
        f'[case]\nname = "{name}"\nversion = 1\nsource = "{export.file}"\n[model]\nint8 = "model.tflite"\n'
        f'[input]\nprepare = "tensor/1"\n[contract.execution]\nreplays = 2\npasses = 2\n'
        f"[budget.memory]\narena_bytes = {export.arena_bytes}\n"
    )
    evidence = run(tmp_path / "case.toml", tmp_path, board)
    assert broken(evidence) == []
    assert evidence.records.output.tobytes() == evidence.references.output.tobytes()
    assert len(np.unique(evidence.records.output)) >= export.count // 2
