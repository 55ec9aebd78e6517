"""`hil compare`: two runs that agree are equal, and of two that do not the first difference is named with its stage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness_process import PASSED, run_harness
from native_session import CaseFolder, native_image

from hil.cli import main
from hil.compare import compare
from hil.errors import UsageError
from hil.records import GateReason, Status

VECTORS = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a real run of a small case."""
    folder = tmp_path_factory.mktemp("run")
    case = CaseFolder(folder / "small", vectors=VECTORS)
    finished = run_harness(folder, f"--hil-image={native_image().path}", case.path)
    assert finished.code == PASSED, finished.text
    return finished.out


@pytest.fixture
def other(run: Path, tmp_path: Path) -> Path:
    """A copy of that run, to be changed."""
    return Path(shutil.copytree(run, tmp_path / "other"))


def edit_records(folder: Path, edit: Callable[[dict[str, np.ndarray]], None]) -> None:
    file = folder / "small.native.npz"
    with np.load(file) as stored:
        columns = {name: stored[name].copy() for name in stored.files}
    edit(columns)
    np.savez(file, **columns)


def edit_run(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((folder / "run.json").read_text())
    edit(document)
    (folder / "run.json").write_text(json.dumps(document))


def test_a_run_equals_itself(run: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), str(other / "run.json")]) == 0
    assert capsys.readouterr().out == f"small: equal in {VECTORS} vectors: gate, prepared tensor, output, decision\n"


def test_time_and_memory_of_a_board_are_its_own(run: Path, other: Path) -> None:
    def slower(columns: dict[str, np.ndarray]) -> None:
        columns["ticks"] += 100
        columns["stack_high_water"] += 8

    edit_records(other, slower)
    assert compare(run, other).differences == []


@pytest.mark.parametrize(
    ("column", "stage"),
    [
        ("digest", "prepare"),
        ("saturated", "prepare"),
        ("output", "invoke"),
        ("score", "decide"),
        ("answer", "decide"),
    ],
)
def test_the_first_difference_is_named_with_its_stage(run: Path, other: Path, column: str, stage: str) -> None:
    """Later stages and later vectors differ too: the earliest of both is told."""

    def change(columns: dict[str, np.ndarray]) -> None:
        columns[column][7] += 1
        columns["answer"][7:9] += 1

    edit_records(other, change)
    (difference,) = compare(run, other).differences
    assert difference.stage == stage
    assert difference.column.split(",")[0] == column
    assert difference.vectors == 2
    with np.load(run / "small.native.npz") as stored:
        assert difference.vector == stored["name"][7]


def test_one_output_element_is_named_with_both_values(
    run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(run / "small.native.npz") as stored:
        value = int(stored["output"][3, 2])

    def flip(columns: dict[str, np.ndarray]) -> None:
        columns["output"][3, 2] = value ^ 1

    edit_records(other, flip)
    assert main(["compare", str(run), str(other)]) == 1
    text = capsys.readouterr().out
    assert "first difference in stage invoke, output, element 2" in text
    assert f"1 of {VECTORS} vectors differ" in text
    first, second = (line.split("output ")[1].split() for line in text.splitlines() if "native (" in line)
    assert (int(first[2]), int(second[2])) == (value, value ^ 1)


def test_a_gate_that_rejects_elsewhere_is_told_in_words(run: Path, other: Path) -> None:
    def reject(columns: dict[str, np.ndarray]) -> None:
        columns["status"][0], columns["gate"][0] = Status.REJECTED, GateReason.RANGE

    edit_records(other, reject)
    (difference,) = compare(run, other).differences
    assert difference.column == "status"
    assert difference.second.endswith("status rejected")


def test_other_vectors_are_told_before_anything_else(run: Path, other: Path) -> None:
    def shorten(columns: dict[str, np.ndarray]) -> None:
        for name in columns:
            if name != "label_texts":
                columns[name] = columns[name][:-2]

    edit_records(other, shorten)
    (difference,) = compare(run, other).differences
    assert (difference.stage, difference.vector, difference.vectors) == ("case", str(VECTORS - 2), 2)
    assert "has only 10 vectors" in difference.second


def test_another_model_is_noted(run: Path, other: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["cases"][0]["manifest"]["files"]["model_int8.tflite"] = "0" * 64

    edit_run(other, change)
    assert compare(run, other).notes == ["small: these files of the case are not the same: model_int8.tflite"]


def test_another_image_is_noted(run: Path, other: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["cases"][0]["image"]["sha256"] = "f" * 64

    edit_run(other, change)
    (note,) = compare(run, other).notes
    assert note.startswith("small: not the same image: native ")
    assert note.endswith(", native ffffffffffff")


def test_runs_without_a_case_in_common_are_misuse(run: Path, other: Path) -> None:
    edit_run(other, lambda document: document["cases"][0].update(name="other"))
    with pytest.raises(UsageError, match="no case in common"):
        compare(run, other)


def test_what_is_no_run_is_misuse(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"schema": "other/1"}')
    assert main(["compare", str(tmp_path), str(run)]) == 2
    assert "run.json: schema: 'other/1' is not 'hil-run/1'" in capsys.readouterr().err


def test_damaged_records_are_named(run: Path, other: Path) -> None:
    (other / "small.native.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UsageError, match=r"small\.native\.npz: not the records of a run"):
        compare(run, other)
