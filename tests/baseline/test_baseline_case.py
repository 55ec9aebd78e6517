"""What a case says of baselines: its tolerances, and the files in its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hil.baseline.file import baseline_of
from hil.case.load import load_case
from hil.case.types import Tolerance
from hil.errors import CaseError, UsageError

IMU_MOTION = Path(__file__).parents[2] / "golden_vectors" / "imu_motion"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("baseline", "case.lock", "expected.npz")
    return Path(shutil.copytree(IMU_MOTION, tmp_path / "imu_motion", ignore=ignored))


def tolerate(folder: Path, lines: str) -> Tolerance:
    with (folder / "case.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[contract.baseline]\n{lines}\n")
    return load_case(folder).contracts.baseline


def test_nothing_is_tolerated_but_what_every_mended_line_moves(folder: Path) -> None:
    tolerance = load_case(folder).contracts.baseline
    assert (tolerance.stack_bytes, tolerance.flash_bytes, tolerance.ram_bytes) == (64, 1024, 32)
    assert (tolerance.latency, tolerance.arena_bytes, tolerance.outputs_lsb, tolerance.accuracy) == (0, 0, 0, 0)
    assert set(tolerance.agreement.values()) == {0}


def test_tolerances_are_read(folder: Path) -> None:
    tolerance = tolerate(folder, "latency = 0.01\narena_bytes = 16\nagreement = { sqnr_db = 0.5 }")
    assert (tolerance.latency, tolerance.arena_bytes, tolerance.agreement["sqnr_db"]) == (0.01, 16, 0.5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("latency = 1.5", "latency"),
        ("latency = -0.1", "latency"),
        ("latency_effect = 0.0", "latency_effect"),
        ("arena_bytes = -1", "arena_bytes"),
        ("arena = 1", "unknown key 'arena'"),
        ("agreement = { top2 = 0.1 }", "unknown key 'top2'"),
    ],
)
def test_a_tolerance_that_makes_no_sense_is_refused(folder: Path, line: str, words: str) -> None:
    with pytest.raises(CaseError, match=words):
        tolerate(folder, line)


def test_baselines_are_found_by_board_and_are_no_files_of_the_case(folder: Path) -> None:
    before = load_case(folder)
    (folder / "baseline").mkdir()
    (folder / "baseline" / "qemu.json").write_text("{}")
    (folder / "baseline" / "notes.txt").write_text("not a baseline")
    case = load_case(folder)
    assert list(case.baselines) == ["qemu"]
    assert case.files == before.files
    assert baseline_of(case, "renode") is None
    with pytest.raises(UsageError, match=r"qemu\.json: schema"):
        baseline_of(case, "qemu")
