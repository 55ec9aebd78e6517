"""What a board computes is the same on every board that is here; and the boards of one target run one ELF."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from harness_process import PASSED, PROJECT, Finished, run_harness

from hil.board.config import board_files, kind_module, read_board
from hil.compare import compare
from hil.errors import UsageError

IMU_MOTION = PROJECT / "golden_vectors" / "imu_motion"
KWS = PROJECT.parent / "shared" / "data" / "mlperf_tiny"
REFERENCE = "native"
STM32 = ("renode", "nucleo", "nucleo-virtual")  # one image runs on all of them


def is_here(board: str) -> bool:
    """A physical board is for the bench, not for these tests; Renode is used where it is installed."""
    config = read_board(board_files([PROJECT / "boards"])[board])
    try:
        kind_module(config).open_board(config, Path(os.devnull)).close()
    except UsageError:
        return False
    return board not in ("nucleo", "serial")


BOARDS = [board for board in ("qemu", "nucleo-virtual", "renode") if is_here(board)]


@pytest.fixture(scope="module")
def run_on(tmp_path_factory: pytest.TempPathFactory):
    """Run a case on a board, once for all tests: `run_on(board, case)` gives the finished run."""

    @cache
    def run(board: str, case: Path) -> Finished:
        bench = {name: value for name, value in os.environ.items() if name == "HIL_RENODE"}
        finished = run_harness(tmp_path_factory.mktemp(board), case, board=board, env=bench)
        assert finished.code == PASSED, finished.text
        return finished

    return run


@pytest.fixture(scope="module")
def kws_case(tmp_path_factory: pytest.TempPathFactory):
    """The first `count` windows of KWS, held to what a physical NUCLEO-L4R5ZI printed for them."""
    if not KWS.is_dir():
        pytest.skip("no ../shared/data/mlperf_tiny beside the project")

    @cache
    def case(count: int) -> Path:
        folder = tmp_path_factory.mktemp("kws")
        data = np.load(KWS / "kws" / "kws_200.npz")
        np.savez(folder / "vectors.npz", windows=data["input"][:count], expected_output=data["board_output"][:count])
        (folder / "model.tflite").write_bytes((KWS / "models" / "kws_ref_model.tflite").read_bytes())
        (folder / "case.toml").write_text(
            '[case]\nname = "kws"\nversion = 1\nsource = "MLPerf Tiny v0.5, NUCLEO-L4R5ZI"\n'
            '[model]\nint8 = "model.tflite"\n[input]\nprepare = "tensor/1"\n'
            "[contract.execution]\nreplays = 2\npasses = 1\n[budget.memory]\narena_bytes = 36_864\n"
        )
        return folder / "case.toml"

    return case


def assert_equal_to_reference(run_on, board: str, case: Path, vectors: int) -> None:
    result = compare(run_on(REFERENCE, case).out, run_on(board, case).out)
    assert result.differences == []
    assert list(result.equal.values()) == [vectors]


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
def test_imu_motion_is_byte_identical_on(run_on, board: str) -> None:
    assert_equal_to_reference(run_on, board, IMU_MOTION / "case.toml", 527)


@pytest.mark.slow
@pytest.mark.parametrize("board", [board for board in BOARDS if board != "qemu"])  # all of it: tests/external
def test_kws_is_byte_identical_on(run_on, kws_case, board: str) -> None:
    assert_equal_to_reference(run_on, board, kws_case(4), 4)


@pytest.mark.slow
@pytest.mark.parametrize("board", [board for board in BOARDS if board == "renode"])
def test_all_of_kws_equals_the_physical_board_on(run_on, kws_case, board: str) -> None:
    """The run itself holds every output to `expected_output`: it passes only when all 200 are equal."""
    finished = run_on(board, kws_case(200))
    with np.load(finished.out / f"kws.{board}.npz") as records:
        printed = np.load(KWS / "kws" / "kws_200.npz")["board_output"].reshape(200, -1)
        assert int((records["output"] == printed).all(axis=1).sum()) == 200


def test_the_boards_of_the_nucleo_share_one_target() -> None:
    files = board_files([PROJECT / "boards"])
    assert {read_board(files[board]).target for board in STM32} == {"stm32f429"}


@pytest.mark.slow
def test_one_elf_is_judged_on_every_board_of_its_target(run_on) -> None:
    case = IMU_MOTION / "case.toml"
    images = {run_on(board, case).run["cases"][0]["image"]["sha256"] for board in BOARDS if board in STM32}
    assert len(images) == 1


@pytest.mark.parametrize("board", sorted(board_files([PROJECT / "boards"])))
def test_a_board_never_calls_emulated_time_measured(board: str, tmp_path: Path) -> None:
    """Only a physical board counts cycles."""
    config = read_board(board_files([PROJECT / "boards"])[board])
    if not is_here(board):
        pytest.skip(f"{board} is not on this machine")
    with kind_module(config).open_board(config, tmp_path / "log") as opened:
        assert opened.clock.kind != "cycles"
