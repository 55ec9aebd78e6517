"""Knows how to build a copy of examples/c_bare with a mistake in it, and what the harness says of that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil.board.config import kind_module, read_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult
from hil.image.elf import Image
from hil.session import run_case

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "examples" / "c_bare"
TARGETS = {"bare-qemu": "mps2_an386", "bare-nucleo-virtual": "stm32f429"}  # board: what `make BOARD=` calls it
ENVIRONMENT = {"PYTHON": sys.executable, "HIL": str(PROJECT), "PYTHONPATH": str(PROJECT)}  # for the Makefile


@dataclass(frozen=True)
class Mistake:
    """Text of a file of the example, which stands there once, and what is put in its place."""

    file: str
    right: str
    wrong: str


def copy_of(example: Path, folder: Path, *mistakes: Mistake) -> Path:
    """A copy of the example, with what it has built so far."""
    copy = folder / "c_bare"
    shutil.copytree(example, copy, ignore=shutil.ignore_patterns("hil-out", "__pycache__"))
    for mistake in mistakes:
        file = copy / mistake.file
        text = file.read_text(encoding="utf-8")
        assert text.count(mistake.right) == 1, (
            f"{mistake.file}: {mistake.right!r} stands there {text.count(mistake.right)} times"
        )
        file.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    return copy


def shorten(example: Path, step: int) -> None:
    """Leave every so many-th vector of the case; a UART takes a byte at a time, and a window takes long."""
    vectors = example / "case" / "vectors.npz"
    with np.load(vectors) as whole:
        np.savez(vectors, **{name: whole[name][::step] for name in whole.files})
    (example / "case" / "case.lock").unlink()
    file = example / "case" / "case.toml"
    text = file.read_text(encoding="utf-8")
    assert "accuracy = { min = 0.70 }\n" in text, "it holds for all of them"
    file.write_text(text.replace("accuracy = { min = 0.70 }\n", ""), encoding="utf-8")


def built(example: Path, board: str) -> Image:
    """The image of the board."""
    command = ["make", "-C", str(example), f"BOARD={TARGETS[board]}"]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Image(example / "build" / f"{TARGETS[board]}.elf")


def verdicts(example: Path, board: str) -> list[CheckResult]:
    """Of its case, in the order of blame."""
    image = built(example, board)
    case = load_case(example / "case")
    config = read_board(example / "boards" / f"{board}.toml")
    log = example / "log"
    log.touch()
    with kind_module(config).open_board(config, log) as device:
        evidence = run_case(case, device, image).evidence
    return [judge(check, evidence) for check in checks_for(case)]
