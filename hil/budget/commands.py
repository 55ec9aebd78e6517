"""`hil budget`: translates arguments into calls. No logic lives here."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXIT_OVER = 1


def add_budget_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `budget` to the subparsers of `hil`; board_folders: where board files are looked for."""
    parser = commands.add_parser("budget", help="what a case may spend, what is planned or found, and what is left")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="folder or name of a case (default: all)")
    parser.add_argument(
        "--run", type=Path, dest="run_path", help="run.json, or its folder (default: hil-out, where it has the case)"
    )
    parser.add_argument("--board", help="the board whose power figures and run are meant")
    parser.add_argument(
        "--needed", action="store_true", help="build the image with the operators of each model only, and show its size"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=lambda options: _budget(options, board_folders()))


def _budget(options: argparse.Namespace, board_folders: list[Path]) -> int:
    from hil.budget.find import budget_sheets
    from hil.budget.text import document, lines

    sheets = budget_sheets(options.cases, options.run_path, options.board, board_folders, options.needed)
    if options.json:
        print(json.dumps([document(each) for each in sheets], indent=1, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(lines(each)) for each in sheets))
    return EXIT_OVER if any(each.over for each in sheets) else 0
