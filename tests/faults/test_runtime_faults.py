"""What goes wrong while a case runs: the firmware misbehaves, the board dies, somebody stops the run."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from firmware_copy import FirmwareCopy
from harness_process import FAILED, INTERRUPTED, PASSED, USAGE_ERROR, HarnessRun, run_harness, started_with
from native_session import CaseFolder, imu_motion, native_board, native_device, native_image, with_vectors

from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.errors import DeviceReset
from hil.image.build import build
from hil.image.elf import Image
from hil.session import run_case

pytestmark = pytest.mark.slow

# First sample of a window that makes the firmware of `misbehaving` do it.
HANG, TRAP, HANG_OUTSIDE, RESET = 11111, 12222, 13333, 14444
EDITS = {
    "pipeline/pipeline.cpp": (
        "bool Pipeline::RunPrepare(Bytes window) {\n",
        "bool Pipeline::RunPrepare(Bytes window) {\n"
        "  const int begins = window[0] | window[1] << 8;\n"
        f"  for (volatile uint32_t turns = 0; begins == {HANG}; turns = turns + 1) {{}}\n"
        f"  if (begins == {TRAP}) __builtin_trap();\n",
    ),
    "testmode/test_mode.cpp": (
        "  PipelineResult result;\n",
        "  const int begins = window.bytes.data[0] | window.bytes.data[1] << 8;\n"
        f"  for (volatile uint32_t turns = 0; begins == {HANG_OUTSIDE}; turns = turns + 1) {{}}\n"
        f"  if (begins == {RESET}) hil_test_start_again();\n"
        "  PipelineResult result;\n",
    ),
    "testmode/test_mode.h": ("namespace hil {\n", "void hil_test_start_again();\nnamespace hil {\n"),
    "port/native/port.cpp": (
        "int main(int argc, char** argv) {\n",
        "namespace { char** arguments; }\n"
        'void hil_test_start_again() { execv("/proc/self/exe", arguments); }\n'
        "int main(int argc, char** argv) {\n  arguments = argv;\n",
    ),
}


@pytest.fixture(scope="module")
def misbehaving(firmware_copy: FirmwareCopy) -> Image:
    """The firmware, with four faults that a window's first sample asks for."""
    return firmware_copy.image("misbehaving", EDITS)


def asking_for(case: CaseFolder, faults: dict[int, int]) -> None:
    """Vectors that ask for faults. Nothing runs twice, so that each fault comes once."""
    stored = case.stored()
    for vector, first in faults.items():
        stored["windows"][vector, 0, 0] = first
    case.arrays(**stored).replace("passes = 2", "passes = 1")


def impatient_board(folder: Path) -> str:
    """The native board, waiting one second for a reply; returns the option that makes it known."""
    boards = folder / "boards"
    boards.mkdir()
    native = (Path(__file__).parents[2] / "boards" / "native.toml").read_text()
    (boards / "impatient.toml").write_text(re.sub(r"reply_s = .*", "reply_s = 1.0", native))
    return f"--hil-boards={boards}"


# ---- the firmware misbehaves


def test_a_fault_and_a_reset_are_named_and_cost_one_vector_each(
    case: CaseFolder, tmp_path: Path, misbehaving: Image
) -> None:
    asking_for(case, {3: TRAP, 6: RESET})
    finished = run_harness(
        tmp_path, impatient_board(tmp_path), f"--hil-image={misbehaving.path}", "small", board="impatient"
    )
    assert finished.code == FAILED, finished.text
    (report,) = finished.run["cases"]
    assert (finished.run["verdict"], report["verdict"]) == ("failed", "failed")
    assert [(fault["vector"], fault["kind"], fault["stage"]) for fault in report["faults"]] == [
        (3, "usage fault", "prepare"),
        (6, "reset", "unknown"),
    ]
    assert "RunPrepare" in report["faults"][0]["text"]
    assert "pipeline/pipeline.cpp:" in report["faults"][0]["text"]
    assert "the firmware restarted in mid-session (start counter 2 -> 3)" in report["faults"][1]["text"]
    assert set(report["faults"][0]) == {"vector", "kind", "stage", "text"}  # docs/run-json.md
    status = np.load(finished.out / report["records"])["status"]
    assert status.tolist() == [0, 0, 0, 101, 0, 0, 102, 0, 0, 0, 0, 0]
    assert "execution.complete is broken" in finished.text


def test_a_hang_outside_the_stages_is_found_by_time_with_its_place(
    case: CaseFolder, tmp_path: Path, misbehaving: Image
) -> None:
    asking_for(case, {5: HANG_OUTSIDE})
    finished = run_harness(
        tmp_path, impatient_board(tmp_path), f"--hil-image={misbehaving.path}", "small", board="impatient"
    )
    assert finished.code == FAILED, finished.text
    (report,) = finished.run["cases"]
    (fault,) = report["faults"]
    assert fault["vector"] == 5
    assert "hil::TestMode::Run" in fault["text"]
    assert "testmode/test_mode.cpp:" in fault["text"]
    assert "no answer to 'run' within 1 s" in fault["text"]
    status = np.load(finished.out / report["records"])["status"]
    assert (status == [0] * 5 + [103] + [0] * 6).all()


def test_a_hang_in_a_stage_is_ended_by_the_deadline(tmp_path: Path, misbehaving: Image) -> None:
    """In process, because only here a deadline below the ten seconds of the native port can be given."""
    case = imu_motion()
    windows = case.vectors.windows[:4].copy()
    windows[2, 0, 0] = HANG
    small = with_vectors(case, range(4))
    small = replace(small, vectors=replace(small.vectors, windows=windows), deadline={"ns": 50_000_000})
    with native_board(tmp_path) as board:
        evidence = run_case(replace(small, contracts=replace(case.contracts, passes=1)), board, misbehaving).evidence
    (fault,) = evidence.faults
    assert (fault.vector, fault.report.kind, fault.report.stage) == (2, "deadline missed", "prepare")
    assert "hil::Pipeline::RunPrepare" in fault.report.text
    assert evidence.records.status.tolist() == [0, 0, 101, 0]


def test_a_restart_of_the_firmware_is_known_at_once(tmp_path: Path, misbehaving: Image) -> None:
    """Not by the time-out of a minute: the host sees that the control block was made anew."""
    with native_device(tmp_path, image=misbehaving) as device:
        window = np.array([RESET] * 240, "<i2").tobytes()
        begun = time.monotonic()
        with pytest.raises(DeviceReset):
            device.run(window)
        assert time.monotonic() - begun < 10
        assert device.restart().bundle_status == 0


# ---- the arena


def test_a_model_too_large_for_its_arena_is_told_how_much_it_needs(
    case: CaseFolder, tmp_path: Path, image: str
) -> None:
    case.replace("arena_bytes = 4096", "arena_bytes = 2048")
    finished = run_harness(tmp_path, image, "small")
    assert finished.code == FAILED
    assert re.search(r"the model needs [\d,]+ bytes of arena, the case allows 2,048", finished.text)
    broken = [check["id"] for check in finished.run["cases"][0]["checks"] if check["outcome"] == "failed"]
    assert broken[0] == "execution.bundle"


def test_the_arena_that_is_named_is_the_smallest_that_works(tmp_path: Path) -> None:
    """With the figure of the message all checks pass; with 16 bytes less, a step of the arena, the model is refused."""
    case = with_vectors(imu_motion(), range(12))
    with native_board(tmp_path) as board:
        needed = _bundle(case, 2048, board)[1]
        assert _bundle(case, needed - 16, board) == (34, needed)
        exact = replace(case, arena_bytes=needed)
        evidence = run_case(exact, board, native_image()).evidence
    results = [judge(check, evidence) for check in checks_for(exact)]
    assert [result.check for result in results if result.outcome == Outcome.FAILED] == []
    assert evidence.hello.bundle_status == 0


def _bundle(case: Case, arena_bytes: int, board) -> tuple[int, int]:
    hello = run_case(replace(case, arena_bytes=arena_bytes), board, native_image()).evidence.hello
    return hello.bundle_status, hello.bundle_detail


# ---- the board dies


@pytest.mark.parametrize("board", ["native", pytest.param("qemu", marks=pytest.mark.slow)])
def test_a_board_that_is_killed_is_named_with_its_signal(board: str, long_case: CaseFolder, tmp_path: Path) -> None:
    target = {"native": "native", "qemu": "mps2-an386"}[board]
    image = build(target, Path(__file__).parents[2])
    with HarnessRun(tmp_path, f"--hil-image={image}", "long", board=board) as run:
        os.kill(run.wait_for_board(), signal.SIGKILL)
        begun = time.monotonic()
        finished = run.wait()
    assert time.monotonic() - begun < 30
    assert finished.code == FAILED
    assert re.search(rf"BoardError: board {board}: \S+ was killed by SIGKILL", finished.text)
    assert finished.run["verdict"] == "error"
    assert "was killed by SIGKILL" in finished.run["cases"][0]["error"]


# ---- somebody stops the run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_says_so_and_leaves_nothing(
    number: signal.Signals, case: CaseFolder, long_case: CaseFolder, tmp_path: Path, image: str
) -> None:
    """The case that came to its end keeps its results, the one that was cut short is named."""
    with HarnessRun(tmp_path, image, "small", "long") as run:
        run.wait_for_file("long.native.log")
        run.process.send_signal(number)
        finished = run.wait()
    assert finished.code == INTERRUPTED, finished.text
    assert finished.run["verdict"] == "interrupted"
    whole, cut = finished.run["cases"]
    assert (whole["name"], whole["verdict"]) == ("small", "passed")
    assert (cut["name"], cut["verdict"], cut["error"]) == ("long", "error", "interrupted")
    assert len(np.load(finished.out / whole["records"])["status"]) == 12


@pytest.mark.parametrize("between_s", [0.0, 0.02, 0.1])
def test_two_ctrl_c_in_a_row_leave_by_the_same_door(
    between_s: float, long_case: CaseFolder, tmp_path: Path, image: str
) -> None:
    """The second one comes into what the first one has set off. That is the point of the pause."""
    with HarnessRun(tmp_path, image, "long") as run:
        run.wait_for_file("long.native.log")
        run.process.send_signal(signal.SIGINT)
        time.sleep(between_s)
        run.process.send_signal(signal.SIGINT)
        finished = run.wait()
    assert finished.code == INTERRUPTED, finished.text
    assert finished.run["verdict"] == "interrupted"
    assert "Traceback" not in finished.text


def test_nothing_outlives_a_run_that_was_killed(long_case: CaseFolder, tmp_path: Path, image: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text('{"verdict": "passed"}')
    with HarnessRun(tmp_path, image, "long") as run:
        run.wait_for_board()
        assert len(started_with(run.temporary)) >= 2
        run.process.kill()
        finished = run.wait()
    assert finished.code == -signal.SIGKILL
    assert not (out / "run.json").exists()  # no verdict of another run is taken for this one's


# ---- two runs at once


def test_a_second_run_into_the_same_folder_is_refused_with_the_holder(
    case: CaseFolder, long_case: CaseFolder, tmp_path: Path, image: str
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    with HarnessRun(tmp_path, image, "long") as first:
        first.wait_for_board()
        second = run_harness(folder, image, case.path, out=str(first.out))
        assert second.code == USAGE_ERROR
        assert f"output folder {first.out} is in use by pid {first.process.pid} (" in second.text
        assert "give this run its own with --hil-out=DIR" in second.text
        assert first.process.poll() is None
        first.process.send_signal(signal.SIGINT)
        assert first.wait().run["verdict"] == "interrupted"


def test_two_runs_at_once_both_build_and_pass(case: CaseFolder, tmp_path: Path) -> None:
    """Without an image named: both ask for a build of the same checkout."""
    native_image()
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with HarnessRun(folders[0], case.path) as one, HarnessRun(folders[1], case.path) as two:
        for finished in (one.wait(), two.wait()):
            assert finished.code == PASSED, finished.text
            assert finished.run["verdict"] == "passed"
