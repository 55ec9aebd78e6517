"""`hil size`: translates arguments into calls, and answers into text and exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OVER = 1
_MOST = 24


def add_size_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `size` to the subparsers of `hil`; board_folders: where board files are looked for."""
    parser = commands.add_parser("size", help="flash and RAM of an ELF by section and symbol; what grew between two")
    parser.add_argument("elf", metavar="ELF", type=Path, help="a firmware ELF of any compiler")
    parser.add_argument("--against", metavar="OTHER", type=Path, help="the ELF before: list what is not as it was")
    parser.add_argument("--board", metavar="NAME", help="the board whose file names symbols and memories")
    parser.add_argument(
        "--case", metavar="CASE", type=Path, help="hold it to flash_bytes and ram_bytes of this case; 1 when it is over"
    )
    parser.add_argument("--most", type=int, default=_MOST, metavar="N", help=f"symbols to list (default: {_MOST})")
    parser.add_argument("--json", action="store_true", help="for machines: all sections and symbols")
    parser.set_defaults(run=lambda options: _size(options, board_folders()))


def _size(options: argparse.Namespace, board_folders: list[Path]) -> int:
    import json

    from hil.board.config import SizesTable, load_board
    from hil.ledger_text import change_lines, ledger_lines
    from hil.size.measure import budgets, document, read

    table = load_board(options.board, board_folders).sizes if options.board else SizesTable()
    after = read(options.elf, table)
    held = budgets(options.elf, options.case) if options.case else []
    over = any(each.over for each in held)
    before = read(options.against, table) if options.against else None
    if options.json:
        print(json.dumps(document(options.elf, after, before, held), indent=1))
        return _OVER if over else 0
    if before is None:
        print("\n".join(ledger_lines(after, options.most)))
    else:
        from hil.ledger import changes

        print(f"{options.elf} against {options.against}, in bytes")
        print("\n".join(change_lines(changes(before, after), options.most)))
    for each in held:
        print(each)
    return _OVER if over else 0
