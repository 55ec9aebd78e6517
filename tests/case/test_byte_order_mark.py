"""A byte order mark, with which editors of some systems begin a file, is no part of any TOML that is read."""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from case_folder import Folder

from hil.board.config import read_board
from hil.budget.file import read_budget
from hil.case.load import load_case, name_of, write_lock
from hil.case.lock import read_lock
from hil.case.regen import _raised, propose
from hil.gate.policy import read_policy
from hil.project.quarantine import load_quarantine

PROJECT = Path(__file__).resolve().parents[2]
BUDGET = 'case = "motion"\n[memory]\narena_bytes = { budget = 4096 }\n'
QUARANTINE = """\
[[quarantine]]
case = "a"
check = "execution.output"
reason = "r"
issue = "https://tracker.example/issues/12"
expires = 2030-01-01
"""


def marked(file: Path) -> Path:
    file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    return file


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_board, (PROJECT / "boards" / "qemu.toml").read_text(encoding="utf-8")),
        (lambda file: replace(read_policy(file), data=b""), (PROJECT / "release.toml").read_text(encoding="utf-8")),
        (read_budget, BUDGET),
        (lambda file: load_quarantine(file).entries, QUARANTINE),
    ],
    ids=["board", "release", "budget", "quarantine"],
)
def test_files_of_the_project(read: Callable[[Path], Any], content: str, tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text(content, encoding="utf-8")
    before = read(file)
    assert read(marked(file)) == before


def test_a_case_and_its_lock(folder: Folder) -> None:
    marked(folder.toml)
    write_lock(folder.path)
    marked(folder.path / "case.lock")
    case = load_case(folder.path)
    assert (case.name, case.locked) == ("toy", True)
    assert name_of(folder.toml) == "toy"
    assert read_lock(folder.path) is not None


def test_a_fault_behind_it_is_on_its_line(folder: Folder) -> None:
    folder.replace("version = 3", "version = 0")
    marked(folder.toml)
    with pytest.raises(Exception, match=r"line 3, \[case\] version"):
        load_case(folder.path)


def test_a_version_is_raised_with_the_mark_in_its_place(tmp_path: Path) -> None:
    """What `hil case regen --accept` writes differs from what was there by the version."""
    for name in ("case.toml", "model_int8.tflite", "model_float.tflite", "vectors.npz", "expected.npz"):
        shutil.copy(PROJECT / "golden_vectors" / "imu_motion" / name, tmp_path)
    text = (tmp_path / "case.toml").read_text(encoding="utf-8")
    (tmp_path / "case.toml").write_text(text.replace("threshold = ", "threshold = 0.9 # "), encoding="utf-8")
    marked(tmp_path / "case.toml")
    write_lock(tmp_path)
    raised = _raised(propose(tmp_path))
    assert raised.startswith(codecs.BOM_UTF8)
    assert raised.count(codecs.BOM_UTF8) == 1
