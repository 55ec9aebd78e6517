"""The real firmware on a board of kind `renode`: everywhere on the stand-in, and on Renode where one is installed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from harness_process import PASSED, HarnessRun, observe, run_harness, started_with
from native_session import CaseFolder, imu_motion, with_vectors
from spoilt_image import RESET_ITSELF, spoilt
from stand_in_board import BOARDS, board_folder, launcher, stand_in_config

from hil.board.config import BoardConfig, load_board
from hil.board.renode import RenodeBoard, open_board
from hil.bundle import build_bundle
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.device import Device
from hil.errors import DeviceFault, DeviceReset
from hil.image.elf import Image
from hil.session import run_case

RENODE = os.environ.get("HIL_RENODE") or shutil.which("renode") or ""
WITH_RENODE = pytest.mark.skipif(not RENODE, reason="no Renode here: HIL_RENODE or PATH names none")
VECTORS = [0, 100, 200, 300, 400, 500]


@pytest.fixture(params=["stand-in", pytest.param("renode", marks=WITH_RENODE)])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> BoardConfig:
    if request.param == "stand-in":
        return stand_in_config(tmp_path)
    return load_board("renode", [BOARDS]).model_copy(update={"options": {"hil-renode": RENODE}})


@pytest.fixture
def board(config: BoardConfig, tmp_path: Path) -> Iterator[RenodeBoard]:
    with open_board(config, tmp_path / "board.log") as board:
        yield board


@pytest.mark.slow
def test_a_case_passes_every_check(board: RenodeBoard, image: Image) -> None:
    """Some vectors of imu_motion; latency and agreement need all of them to judge."""
    evidence = run_case(with_vectors(imu_motion(), VECTORS), board, image).evidence
    checks = [check for check in checks_for(evidence.case) if not check.id.startswith(("latency.", "agreement."))]
    results = [judge(check, evidence) for check in checks]
    assert [str(finding) for result in results for finding in result.findings] == []
    assert [(result.check, result.reason) for result in results if result.outcome is not Outcome.PASSED] == []
    assert np.array_equal(evidence.records.output, evidence.references.output)
    assert evidence.records.ticks.min() > 0


def test_the_same_window_takes_the_same_number_of_instructions(board: RenodeBoard, image: Image) -> None:
    board.provision(image, build_bundle(imu_motion()))
    device = Device(board)
    window = imu_motion().vectors.payload(0)
    counts = []
    for _ in range(2):
        device.run(window)  # the first window after a start takes another way through the gate
        counts += [device.run(window).ticks for _ in range(20)]
        device.restart()
    assert len(set(counts)) == 1


def test_one_process_serves_resets_and_bundles_but_not_another_image(
    board: RenodeBoard, image: Image, tmp_path: Path
) -> None:
    bundle = build_bundle(imu_motion())
    board.provision(image, bundle)
    pid = board.pid
    assert Device(board).hello.bundle_status == 0
    board.reset()
    board.provision(image, bundle[:-4])
    assert Device(board).hello.bundle_status != 0
    assert board.pid == pid
    other = tmp_path / "other.elf"
    other.write_bytes(image.path.read_bytes() + bytes(4))  # the same code, another file
    board.provision(Image(other), bundle)
    assert Device(board).hello.bundle_status == 0
    assert board.pid != pid


def test_a_fault_is_told_with_function_registers_and_log(board: RenodeBoard, image: Image) -> None:
    board.provision(image, build_bundle(imu_motion()))
    with pytest.raises(DeviceFault, match="deadline missed in stage invoke"):
        Device(board).run(imu_motion().vectors.payload(0), deadline_ticks=100_000)
    report = board.postmortem()
    assert report.stage == "invoke"
    assert "tflite::" in report.text
    assert "hil firmware" in report.text
    board.reset()
    assert Device(board).hello.bundle_status == 0


def await_sleep(board: RenodeBoard) -> None:
    """Until the firmware has fallen asleep, which takes a second or so without a request."""
    observe(lambda: "SleepForATick" in board.image.locate(board.core_registers()["pc"]))


@pytest.mark.slow
def test_a_session_after_a_fault_inside_a_stage_outlives_a_pause(board: RenodeBoard, image: Image) -> None:
    """Interrupts are masked while a stage is timed, and Renode keeps the mask over a reset. Only a pause shows it."""
    board.provision(image, build_bundle(imu_motion()))
    device = Device(board)
    with pytest.raises(DeviceFault, match="deadline missed in stage invoke"):
        device.run(imu_motion().vectors.payload(0), deadline_ticks=100_000)
    device.restart()
    await_sleep(board)
    assert device.run(imu_motion().vectors.payload(0)).canaries == 0


def test_a_firmware_that_resets_itself_in_a_stage_is_told_as_that(
    board: RenodeBoard, image: Image, tmp_path: Path
) -> None:
    invoke = "_ZN3hil12EngineInvokeEv"
    resets = Image(spoilt(image, tmp_path / "resets.elf", {invoke: RESET_ITSELF}))
    board.provision(resets, build_bundle(imu_motion()))
    device = Device(board)
    began = time.monotonic()
    with pytest.raises(DeviceReset, match="restarted in mid-session"):
        device.run(imu_motion().vectors.payload(0))
    assert time.monotonic() - began < 30


def test_a_core_that_runs_is_found_in_the_source(board: RenodeBoard, image: Image) -> None:
    board.provision(image, build_bundle(imu_motion()))
    report = board.postmortem()
    assert "no fault record; the core was found here" in report.text
    assert "(firmware/" in report.text
    assert 0x1000_0000 < report.registers["sp"] <= 0x1001_0000
    Device(board)  # and it runs on


def test_each_log_file_gets_what_was_sent_in_its_time(board: RenodeBoard, image: Image, tmp_path: Path) -> None:
    bundle = build_bundle(imu_motion())
    board.begin_log(tmp_path / "first.log")
    board.provision(image, bundle)
    board.begin_log(tmp_path / "second.log")
    assert (tmp_path / "first.log").read_text().count("hil firmware") == 1
    board.provision(image, bundle)
    board.reset()
    board.close()
    assert (tmp_path / "second.log").read_text().count("hil firmware") == 2


# ---- the whole harness


@pytest.mark.slow
def test_pytest_passes_and_the_report_names_the_stand_in(tmp_path: Path) -> None:
    CaseFolder(tmp_path / "small", vectors=4)
    boards = board_folder(tmp_path, launcher(tmp_path))
    finished = run_harness(
        tmp_path, f"--hil-boards={boards}", "small", "-k", "input or execution", board="renode-stand-in"
    )
    assert finished.code == PASSED, finished.text
    assert finished.run["board"]["name"] == "renode-stand-in"
    assert finished.run["board"]["clock"]["kind"] == "instructions"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("forks", [False, True])
def test_a_harness_that_is_ended_leaves_nothing(tmp_path: Path, number: signal.Signals, forks: bool) -> None:
    CaseFolder(tmp_path / "small", vectors=12).replace("passes = 2", "passes = 2000")
    boards = board_folder(tmp_path, launcher(tmp_path, forks=forks))
    with HarnessRun(tmp_path, f"--hil-boards={boards}", "small", board="renode-stand-in") as run:
        place = observe(lambda: next((path for path in run.temporary.glob("hil-private-*/ram/*")), None)).parents[1]
        assert started_with(place / "tmp") != []
        run.process.send_signal(number)
        run.process.communicate()
        observe(lambda: not started_with(place / "tmp"))
        observe(lambda: list(run.temporary.iterdir()) == [])
