"""An image with the operators of one model only: smaller, and as right as the whole one."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness_process import FAILED, PASSED, run_harness
from native_session import PROJECT, CaseFolder

from hil.board.config import load_board
from hil.budget.cut import cut_image
from hil.budget.find import budget_sheets
from hil.case.load import load_case
from hil.errors import UsageError
from hil.image.build import build
from hil.image.elf import Image

BOARDS = [PROJECT / "boards"]
IMU = PROJECT / "golden_vectors" / "imu_motion"


@pytest.mark.slow
def test_the_cut_image_of_a_case_passes_it_and_takes_less_than_half_of_the_flash(tmp_path: Path) -> None:
    board, case = load_board("qemu", BOARDS), load_case(IMU)
    cut, whole = cut_image(case.model, board), Image(build(board.target, PROJECT)).facts()
    assert cut is not None
    assert cut.operators == len({*case.model.operators})
    assert (cut.flash_bytes < whole.flash_bytes / 2, cut.ram_bytes < whole.ram_bytes) == (True, True)
    finished = run_harness(tmp_path, f"--hil-image={cut.path}", IMU, board="qemu")
    assert finished.code == PASSED, finished.text


@pytest.mark.slow
def test_an_image_that_was_cut_to_another_model_says_what_it_lacks(tmp_path: Path) -> None:
    image = build("native", PROJECT, needed=["SOFTMAX"])
    finished = run_harness(tmp_path, f"--hil-image={image}", CaseFolder(tmp_path / "small", vectors=4).path)
    assert finished.code == FAILED, finished.text
    assert "the firmware lacks " in finished.text


def test_it_is_not_known_for_which_board_without_one(tmp_path: Path) -> None:
    case = CaseFolder(tmp_path / "small", vectors=4)
    with pytest.raises(UsageError, match="name one with --board"):
        budget_sheets([str(case.path)], None, None, BOARDS, needed=True)


def test_a_plan_without_a_case_has_no_model_to_cut_to(tmp_path: Path) -> None:
    (tmp_path / "budget.toml").write_text('case = "doorbell"\nsource = "estimate"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"doorbell has no case\.toml yet"):
        budget_sheets([str(tmp_path)], None, "qemu", BOARDS, needed=True)
