"""`hil compare`: translates arguments into calls, and answers into text and exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXIT_DIFFERENT = 1


def add_compare_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `compare` to the subparsers of `hil`; board_folders: where board files are looked for."""
    parser = commands.add_parser("compare", help="hold two runs against each other, name the first difference")
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="two runs (a run.json, or its folder); else cases"
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--boards", metavar="ONE,OTHER", help="run the cases on two boards, and compare that")
    ways.add_argument(
        "--kernels", metavar="ONE,OTHER", help="run the cases with two builds of TFLM (2020,upstream) on --board"
    )
    parser.add_argument("--board", default="qemu", help="of --kernels (default: qemu)")
    parser.add_argument(
        "--out", type=Path, default=Path("hil-out/compare"), help="folder of these runs (default: hil-out/compare)"
    )
    parser.add_argument(
        "--lsb",
        action="append",
        default=[],
        metavar="[NAME=]N",
        help="steps that an output of integers may differ by (default: 0); NAME: only the output of that name",
    )
    parser.set_defaults(run=lambda options: _compare(options, board_folders()))


def _compare(options: argparse.Namespace, board_folders: list[Path]) -> int:
    from hil.compare.operators import ticks_side_by_side
    from hil.compare.runs import compare
    from hil.compare.sizes import sizes_side_by_side
    from hil.compare.steps import parse_steps

    steps = parse_steps(options.lsb)  # a wrong one is told before the cases run
    first, second = _runs(options, board_folders)
    result = compare(first, second, steps)
    for line in (*result.notes, *result.differences):
        print(line)
    for name, vectors in result.equal.items():
        print(f"{name}: equal in {vectors:,} vectors: gate, prepared tensor, output, decision")
    for line in (*ticks_side_by_side(first, second), *sizes_side_by_side(first, second)):
        print(line)
    return EXIT_DIFFERENT if result.differences else 0


def _runs(options: argparse.Namespace, board_folders: list[Path]) -> tuple[Path, Path]:
    from hil.board.config import load_board
    from hil.compare.make import run, two_boards, two_kernels
    from hil.errors import UsageError

    if options.boards or options.kernels:
        ways = two_boards(options.boards) if options.boards else two_kernels(options.kernels, options.board)
        for way in ways:  # a wrong name is told before the other one has run
            load_board(way.board, board_folders)
        first, second = (run(way, options.paths, options.out) for way in ways)
        return first, second
    if len(options.paths) != 2:
        raise UsageError(
            f"{len(options.paths)} runs are named, two are compared\n"
            f"  fix: hil compare RUN OTHER, or hil compare --boards ONE,OTHER CASE"
        )
    return options.paths[0], options.paths[1]
