"""Knows how to build the example's firmware for a machine of QEMU, and a short case for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_bare_bench import ENVIRONMENT, EXAMPLE

from hil.board.base import Board
from hil.board.config import BoardConfig, kind_module, read_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult
from hil.image.elf import Image
from hil.session import run_case

ARM = ("mps2_an385", "netduinoplus2", "lm3s6965evb", "mps2_an505")
RISCV = ("riscv_virt",)
MORE = ("mps2_an500", "mps2_an521", "mps3_an547", "microbit", "sifive_e")
_RISCV_TOOLS = ("qemu-system-riscv32", "riscv64-unknown-elf-gcc")
_VECTORS = 60  # as few as a 95th percentile can be bounded with


def need_tools_of(machine: str) -> None:
    """Skip, with the reason, where this machine has no tools for it."""
    if machine in (*RISCV, "sifive_e"):
        for tool in _RISCV_TOOLS:
            if shutil.which(tool) is None:
                pytest.skip(f"no {tool}: setup/bootstrap.sh tests installs it")


def example_copy(folder: Path) -> Path:
    """A copy of the example in which nothing is built, with a case of few vectors and without limits of latency."""
    copy = folder / "c_bare"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("build", "hil-out", "__pycache__"))
    case = copy / "case"
    (case / "case.lock").unlink()
    with np.load(case / "vectors.npz") as whole:
        np.savez(case / "vectors.npz", **{name: whole[name][:_VECTORS] for name in whole.files})
    text = (case / "case.toml").read_text(encoding="utf-8")
    for line in ("prepare.max = 16_000\n", "decide.max = 150\n"):
        assert line in text
        text = text.replace(line, "")
    text = text.replace("27_000", "200_000").replace("replays = 10", "replays = 2")
    (case / "case.toml").write_text(text, encoding="utf-8")
    return copy


def built(example: Path, machine: str, **constants: str) -> Image:
    """Its image. constants: other values for CONSTANTS of the machine's file."""
    folder = example / "machines"
    file = folder / f"{machine}.mk"
    text = file.read_text(encoding="utf-8")
    for name, value in constants.items():
        before = next(word for word in text.split() if word.startswith(f"{name}="))
        text = text.replace(before, f"{name}={value}")
    file.write_text(text, encoding="utf-8")
    command = ["make", "-C", str(folder), f"MACHINE={machine}"]
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Image(example / "build" / f"{machine}.elf")


def board_config(example: Path, machine: str, *edits: tuple[str, str], timeout: str = "") -> BoardConfig:
    """The machine's board file, with edits."""
    file = example / "machines" / "boards" / f"bare-{machine.replace('_', '-')}.toml"
    text = file.read_text(encoding="utf-8")
    for right, wrong in edits:
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    file.write_text(text + timeout, encoding="utf-8")
    return read_board(file)


def opened(config: BoardConfig, folder: Path) -> Board:
    """The board, not started yet."""
    log = folder / "board.log"
    log.touch()
    board: Board = kind_module(config).open_board(config, log)
    return board


def verdicts(example: Path, config: BoardConfig, image: Image, folder: Path) -> dict[str, CheckResult]:
    """Of its case, by check."""
    case = load_case(example / "case")
    with opened(config, folder) as board:
        evidence = run_case(case, board, image).evidence
    return {check.id: judge(check, evidence) for check in checks_for(case)}
