"""Knows how to make a board `renode-stand-in`: the project's board file, with the stand-in in place of Renode."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from hil.board.config import BoardConfig, read_board
from hil.board.renode import RenodeBoard, open_board

PROJECT = Path(__file__).resolve().parents[2]
BOARDS = PROJECT / "boards"
STAND_IN = Path(__file__).with_name("renode_stand_in.py")


def launcher(folder: Path, misbehave: str = "", forks: bool = False) -> Path:
    """A program that is called as Renode is. forks: it stays the stand-in's parent, as some launchers of Renode do."""
    program = folder / "renode-stand-in"
    words = [sys.executable, str(STAND_IN), *([f"--misbehave={misbehave}"] if misbehave else [])]
    call = f'{shlex.join(words)} "$@"'
    script = f"{call}\nexit $?" if forks else f"exec {call}"
    program.write_text(f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(PROJECT))}\n{script}\n")
    program.chmod(0o755)
    return program


def board_folder(folder: Path, program: Path, **changes: str) -> Path:
    """A folder for --hil-boards with the board `renode-stand-in`, which accepts the stand-in and no Renode.

    changes: other values for keys of the file, as TOML.
    """
    boards = folder / "boards"
    boards.mkdir()
    for file in ("stm32f429.repl", "stm32f429.resc"):
        (boards / file).write_bytes((BOARDS / file).read_bytes())
    values = {
        "program": f"'{program}'",
        "supported": "'Renode stand-in'",
        "start_s": "10.0",
        "call_s": "10.0",
        **changes,
    }
    lines = (BOARDS / "renode.toml").read_text(encoding="utf-8").splitlines()
    for key, value in values.items():
        places = [number for number, line in enumerate(lines) if line.startswith(f"{key} =")]
        assert len(places) == 1, key
        lines[places[0]] = f"{key} = {value}"
    (boards / "renode-stand-in.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return boards


def stand_in_config(folder: Path, misbehave: str = "", forks: bool = False, **changes: str) -> BoardConfig:
    boards = board_folder(folder, launcher(folder, misbehave, forks), **changes)
    # The machine's own HIL_RENODE would come before the board file.
    return read_board(boards / "renode-stand-in.toml").model_copy(update={"options": {}})


def stand_in_board(folder: Path, misbehave: str = "", forks: bool = False, **changes: str) -> RenodeBoard:
    """The board, not started yet."""
    return open_board(stand_in_config(folder, misbehave, forks, **changes), folder / "board.log")
