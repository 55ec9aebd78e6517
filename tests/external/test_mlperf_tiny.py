"""Models and board outputs that others published: MLPerf Tiny, through cases as a user would write them.

The KWS outputs were printed by a physical NUCLEO-L4R5ZI in the v0.5 reference submission. Everything else is held to
the int8 oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hil.board.config import kind_module, load_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import Evidence, Outcome
from hil.image.build import build
from hil.image.elf import Image
from hil.session import run_case

PROJECT = Path(__file__).resolve().parents[2]
SHARED = PROJECT.parent / "shared" / "data" / "mlperf_tiny"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/mlperf_tiny beside the project")


@dataclass(frozen=True)
class Model:
    """file of `models/`, shape of one input, arena bytes, number of inputs to run."""

    file: str
    shape: tuple[int, ...]
    arena_bytes: int
    count: int


MODELS = {
    "hello_world": Model("hello_world_int8.tflite", (1,), 4096, 256),
    "ad": Model("ad01_int8.tflite", (640,), 8192, 4),
    "vww": Model("vww_96_int8.tflite", (96, 96, 3), 160_000, 2),
    "ic": Model("pretrainedResnet_quant.tflite", (32, 32, 3), 72_000, 2),
}


def write_case(
    folder: Path, model: str, windows: np.ndarray, arena_bytes: int, expected: np.ndarray | None = None
) -> Path:
    """A case folder: model, vectors, TOML; nothing else."""
    arrays = {"windows": windows} if expected is None else {"windows": windows, "expected_output": expected}
    (folder / "model.tflite").write_bytes((SHARED / "models" / model).read_bytes())
    np.savez(folder / "vectors.npz", **arrays)
    (folder / "case.toml").write_text(
        '[case]\nname = "external"\nversion = 1\nsource = "MLPerf Tiny"\n[model]\nint8 = "model.tflite"\n'
        '[input]\nprepare = "tensor/1"\n[contract.execution]\nreplays = 2\npasses = 1\n'
        f"[budget.memory]\narena_bytes = {arena_bytes}\n"
    )
    return folder / "case.toml"


def run(case_file: Path, board_name: str, folder: Path) -> Evidence:
    config = load_board(board_name, [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT, log=folder / "build.log"))
    with kind_module(config).open_board(config, folder / "board.log") as board:
        return run_case(load_case(case_file), board, image).evidence


def broken(evidence: Evidence) -> list[str]:
    """Findings of every check that failed, and what asks to be looked at; `execution.replay` is left out, these cases
    ask for one pass.
    """
    results = [judge(check, evidence) for check in checks_for(evidence.case)]
    odd = [f"{result.check}: {result.reason}" for result in results if result.outcome is Outcome.MARGINAL]
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    return odd + [str(finding) for result in failed for finding in result.findings]


def kws(count: int, folder: Path, board: str) -> Evidence:
    data = np.load(SHARED / "kws" / "kws_200.npz")
    path = write_case(folder, "kws_ref_model.tflite", data["input"][:count], 36_864, data["board_output"][:count])
    return run(path, board, folder)


@pytest.mark.slow
def test_kws_equals_the_physical_board_on_the_first_windows(tmp_path: Path) -> None:
    evidence = kws(8, tmp_path, "native")
    assert broken(evidence) == []
    assert np.array_equal(evidence.records.output, evidence.case.vectors.expected_output.reshape(8, -1))


@pytest.mark.slow
def test_all_200_kws_outputs_equal_what_the_physical_nucleo_l4r5zi_printed(tmp_path: Path) -> None:
    evidence = kws(200, tmp_path, "qemu")
    printed = np.load(SHARED / "kws" / "kws_200.npz")["board_output"]
    equal = (evidence.records.output == printed.reshape(200, -1)).all(axis=1)
    assert int(equal.sum()) == 200
    assert broken(evidence) == []


@pytest.mark.slow
@pytest.mark.parametrize("board", ["qemu", "native"])
@pytest.mark.parametrize("name", MODELS)
def test_other_models_provision_and_equal_the_oracle(tmp_path: Path, name: str, board: str) -> None:
    model = MODELS[name]
    windows = np.random.default_rng(7).integers(-128, 128, (model.count, *model.shape), np.int8)
    evidence = run(write_case(tmp_path, model.file, windows, model.arena_bytes), board, tmp_path)
    assert evidence.hello.bundle_status == 0
    assert broken(evidence) == []
    assert np.array_equal(evidence.records.output, evidence.references.output)
