"""`hil init`: translates arguments into calls. No logic lives here."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hil.environment import environment_name


def add_init_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `init` to the subparsers of `hil`; board_folders: where board files are looked for."""
    parser = commands.add_parser("init", help="write a starting project around a model: case, CI jobs, editor support")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("."), metavar="FOLDER", help="the project (default: this folder)"
    )
    parser.add_argument("--model", type=Path, metavar="FILE", required=True, help="the .tflite that ships")
    parser.add_argument("--float", type=Path, metavar="FILE", help="the float .tflite that it must agree with")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="windows or a recording: .npz, .csv or .wav")
    parser.add_argument("--name", default="", help="name of the case (default: that of the model's file)")
    parser.add_argument("--board", default="qemu", help="the board of the CI jobs (default: qemu)")
    parser.add_argument("--install", default="", metavar="WHAT", help="what pip installs in them (default: this hil)")
    parser.set_defaults(run=lambda options: _init(options, board_folders()))


def _init(options: argparse.Namespace, board_folders: list[Path]) -> int:
    from hil.board.config import load_board
    from hil.init.project import Wanted, init_project
    from hil.model.check import kernels_of

    wanted = Wanted(
        options.model,
        load_board(options.board, board_folders),
        kernels_of(os.environ.get(environment_name("hil-tflm"), "")),
        options.float,
        options.vectors,
        options.name,
        options.install,
    )
    made = init_project(options.folder, wanted)
    for name in made.written:
        print(f"wrote {options.folder / name}")
    for note in made.notes:
        print(f"  {note}")
    for name in made.kept:
        print(f"left alone, is there already: {options.folder / name}")
    print("next:")
    if options.folder.resolve() != Path.cwd():
        print(f"  cd {shlex.quote(str(options.folder))}")
    print("  pytest --board=native\n  pytest --board=qemu")
    return 0
