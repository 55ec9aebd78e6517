"""The whole way on a real board: run, accept, run again, change something, and the run says what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness_process import FAILED, PASSED, PROJECT, run_harness
from native_session import CaseFolder

pytestmark = pytest.mark.slow


def hil(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hil.cli", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def case(tmp_path: Path) -> CaseFolder:
    """All vectors of imu_motion on the emulated board, accepted as they are."""
    case = CaseFolder(tmp_path / "motion", name="motion", vectors=527)
    assert run_harness(tmp_path, case.toml, board="qemu").code == PASSED
    accepted = hil(tmp_path, "baseline", "accept", "out", "--reason", "release 1", "--by", "Ada")
    assert accepted.returncode == 0, accepted.stderr
    return case


def broken(run: dict[str, Any]) -> list[str]:
    return [check["id"] for case in run["cases"] for check in case["checks"] if check["outcome"] == "failed"]


def test_an_unchanged_run_equals_its_baseline_and_a_changed_threshold_does_not(
    case: CaseFolder, tmp_path: Path
) -> None:
    again = run_harness(tmp_path, case.toml, board="qemu")
    assert again.code == PASSED, again.text
    facts = again.run["cases"][0]["baseline"]
    assert (facts["accepted_by"], facts["reason"]) == ("Ada", "release 1")
    assert {change["verdict"] for change in facts["changes"]} <= {"same", "info"}
    case.replace("threshold = 0.60", "threshold = 0.75")
    changed = run_harness(tmp_path, case.toml, board="qemu")
    assert changed.code == FAILED
    assert broken(changed.run) == ["baseline.decisions", "baseline.accuracy"]
    assert "another threshold of decide" in changed.text
    assert hil(tmp_path, "baseline", "diff", "out").returncode == 1


def test_a_board_without_a_baseline_judges_none_and_a_damaged_file_stops_the_run(
    case: CaseFolder, tmp_path: Path
) -> None:
    native = run_harness(tmp_path, case.toml, board="native")
    assert native.code == PASSED, native.text
    assert "no accepted baseline on board native (there is: qemu)" in native.text
    file = case.path / "baseline" / "qemu.json"
    file.write_text(file.read_text().replace('"version": 1', '"version": 2'))
    stopped = run_harness(tmp_path, case.toml, board="qemu")
    assert stopped.code == FAILED
    (refused,) = stopped.run["cases"]
    assert (refused["verdict"], refused["refused"]) == ("error", True)
    assert "the file was changed after it was accepted" in stopped.text
