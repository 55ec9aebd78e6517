"""`hil board new`: translates arguments into calls. No logic lives here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any


def add_board_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """`hil board`; board_folders: where boards that are known already are looked for."""
    actions = commands.add_parser("board", help="write a board file").add_subparsers(required=True, metavar="action")
    new = actions.add_parser("new", help="write a board file from another tool's file, or from what is plugged in")
    new.add_argument("name", metavar="NAME", help="of the board: boards/NAME.toml is written, and never overwritten")
    source = new.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="a cbuild-run.yml, a hardware map, or a pyocd.yaml"
    )
    source.add_argument(
        "--probe", action="store_true", help="look at the debug probes and serial ports of this machine"
    )
    new.add_argument("--target", default="", metavar="CHIP", help="the chip's name at pyOCD")
    new.add_argument("--clock-hz", type=int, metavar="HZ", help="rate of the core")
    new.add_argument("--platform", default="", metavar="NAME", help="the board's name in a hardware map")
    new.add_argument("--id", default="", metavar="ID", help="a part of the id of the debug probe")
    new.add_argument(
        "--port", default="", metavar="PORT", help="with --probe: the board's serial port, or a URL of pyserial"
    )
    new.add_argument("--baud", type=int, metavar="RATE", help="with --probe: rate of the serial port")
    new.add_argument("--image", type=Path, metavar="ELF", help="the firmware of the board")
    new.set_defaults(run=lambda options: _new(options, board_folders()))


def _new(options: argparse.Namespace, folders: list[Path]) -> int:
    from hil.newboard.files import read_source
    from hil.newboard.text import write_board
    from hil.newboard.types import Wanted

    name = options.name
    wanted = Wanted(name, options.target, options.clock_hz, options.baud, options.platform, options.id, options.port)
    found = read_source(options.source, wanted) if options.source else _plugged_in(wanted, folders)
    if options.image is not None:
        found = replace(found, image=str(options.image.resolve()), own=True)
    config = write_board(Path.cwd() / "boards", name, found, options.source)
    print(f"wrote {config.file}")
    for what in found.left:
        print(f"  not carried over: {what}")
    print(f"next:\n  hil doctor --board {name}\n  hil ping --board {name}")
    return 0


def _plugged_in(wanted: Any, folders: list[Path]) -> Any:
    from hil.bench.usb import UsbBench
    from hil.board.config import board_files, read_board, require_modules
    from hil.newboard.plugged import look, serial_ports

    require_modules(f"to look for board {wanted.name!r}", "bench", ("pyocd", "serial"))
    known = [read_board(file) for file in board_files(folders).values()]
    return look(wanted, UsbBench(wanted.name), serial_ports(), [board for board in known if board.kind == "pyocd"])
