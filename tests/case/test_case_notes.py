"""Windows that are copies of each other are told, and only where that looks like a mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from case_folder import Folder, npz, windows

from hil.case.load import load_case
from hil.case.notes import vector_notes
from hil.case.types import Decide, Vectors
from hil.cli import main

IMU = Path(__file__).parents[2] / "golden_vectors" / "imu_motion"
DECIDE = Decide("argmax", 1, labels=("no", "yes"))


def notes(values: list[int], **columns: object) -> tuple[str, ...]:
    """Of windows that hold one value each."""
    stored = np.array(values, np.int16).reshape(-1, 1, 1)
    return vector_notes(Vectors(stored, **columns), DECIDE)


@pytest.mark.parametrize("values", [[1], [1, 2], [1, 2, 1], [3, 1, 2, 3, 4]])
def test_a_few_copies_are_nothing_to_tell(values: list[int]) -> None:
    assert notes(values) == ()


def test_windows_that_are_all_the_same_are_told() -> None:
    assert notes([7] * 12) == ("all 12 windows are the same: was one window saved again and again?",)


def test_few_different_windows_are_told() -> None:
    (note,) = notes([1, 2, 1, 2, 1, 1])
    assert note.startswith("only 2 of 6 windows differ from each other")


def test_a_stream_may_repeat_its_windows() -> None:
    assert notes([7] * 12, sequence=np.zeros(12, np.int64)) == ()


def test_windows_that_are_cut_to_other_lengths_are_others() -> None:
    stored = np.ones((3, 4, 1), np.int16)
    assert vector_notes(Vectors(stored, samples=np.array([4, 3, 2])), DECIDE) == ()


def test_one_window_with_two_labels_is_told() -> None:
    assert notes([1, 2, 3, 1], label=np.array([0, 1, 1, 1])) == (
        "windows #0 and #3 are the same, and labelled 'no' and 'yes'",
    )
    assert notes([1, 2, 3, 1], label=np.array([-1, 1, 1, 1])) == ()


def test_the_case_carries_them(folder: Folder) -> None:
    same = np.repeat(windows(1), 6, axis=0)
    folder.write("vectors.npz", npz(windows=same, label=np.zeros(6, np.int64)))
    assert load_case(folder.path).notes == ("all 6 windows are the same: was one window saved again and again?",)


def test_the_check_of_a_case_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("case.toml", "model_int8.tflite", "model_float.tflite"):
        shutil.copy(IMU / name, tmp_path)
    with np.load(IMU / "vectors.npz") as stored:
        columns = {"windows": np.repeat(stored["windows"][:1], 6, axis=0), "label": stored["label"][[0] * 6]}
    (tmp_path / "vectors.npz").write_bytes(npz(**columns))
    assert main(["case", "check", str(tmp_path)]) == 0
    assert "note: all 6 windows are the same" in capsys.readouterr().out
