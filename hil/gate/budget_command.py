"""`hil budget`: finds cases, their plans and a run, and prints the budget sheets."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.errors import CaseError, UsageError

if TYPE_CHECKING:
    from hil.board.config import BoardConfig
    from hil.gate.budget_file import BudgetFile
    from hil.gate.budget_types import RunCase, Sheet
    from hil.runfile import Run

CASES = Path("golden_vectors")
DEFAULT_RUN = Path("hil-out")
EXIT_OVER = 1
_CASE_FILE, _PLAN_FILE, _RUN_FILE = "case.toml", "budget.toml", "run.json"


@dataclass(frozen=True)
class _Asked:
    """What one call asks for. run: None without one; named: the user named it. notes: said of every case."""

    run: Run | None
    named: bool
    board: BoardConfig | None
    board_folders: list[Path]
    notes: tuple[str, ...]


def add_budget_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `budget` to the subparsers of `hil`; board_folders: where board files are looked for."""
    parser = commands.add_parser("budget", help="what a case may spend, what is planned or found, and what is left")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="folder or name of a case (default: all)")
    parser.add_argument(
        "--run", type=Path, dest="run_path", help="run.json, or its folder (default: hil-out, where it has the case)"
    )
    parser.add_argument("--board", help="the board whose power figures and run are meant")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=lambda options: _budget(options, board_folders()))


def budget_sheets(
    cases: Sequence[str], run: Path | None, board: str | None, board_folders: list[Path]
) -> tuple[Sheet, ...]:
    """The sheets of these cases, or of all below golden_vectors. Raises UsageError."""
    from hil.board.config import load_board

    folders = [_folder(case) for case in cases] or _all_folders()
    wanted = load_board(board, board_folders) if board else None
    found, note = _run(run, wanted.name if wanted is not None else "")
    asked = _Asked(found, run is not None, wanted, board_folders, (note,) if note else ())
    return tuple(_sheet(folder, asked) for folder in folders)


def _run(path: Path | None, board: str) -> tuple[Run | None, str]:
    """The run that is named, else the last one where it serves; what is to be said when it does not.

    Raises UsageError for a named run that cannot be read, or was made on another board than the one named.
    """
    from hil.runfile import read_run

    if path is None and not (DEFAULT_RUN / _RUN_FILE).is_file():
        return None, ""
    try:
        run = read_run(DEFAULT_RUN if path is None else path)
        if board and run.document.board.name != board:
            other = f"{run.file} is a run on {run.document.board.name}, not on {board}"
            raise UsageError(f"{other}\n  fix: name a run on {board}, or leave --board out")
    except UsageError as error:
        if path is not None:
            raise
        return None, f"no actual figures: {str(error).splitlines()[0]}"
    return run, ""


def _folder(case: str) -> Path:
    """The folder that an argument means: a path, or the name of a case below golden_vectors."""
    path = Path(case)
    for folder in (path, path.parent if path.is_file() else path, CASES / case):
        if (folder / _CASE_FILE).is_file() or (folder / _PLAN_FILE).is_file():
            return folder
    fix = f"give the folder of a case, or its name below {CASES}"
    raise UsageError(f"{case}: there is no {_CASE_FILE} and no {_PLAN_FILE}\n  fix: {fix}")


def _all_folders() -> list[Path]:
    files = [*CASES.glob(f"**/{_CASE_FILE}"), *CASES.glob(f"**/{_PLAN_FILE}")]
    if not files:
        raise UsageError(f"there is no case below {CASES}\n  fix: give the folder of a case")
    return sorted({file.parent for file in files})


def _sheet(folder: Path, asked: _Asked) -> Sheet:
    from hil.case.load import load_case
    from hil.gate.budget import sheet
    from hil.gate.budget_types import Sources

    plan = _plan(folder / _PLAN_FILE)
    case = load_case(folder) if (folder / _CASE_FILE).is_file() else None
    name = case.name if case is not None else plan.case if plan is not None else ""
    if case is not None and plan is not None and plan.case != case.name:
        problem = f"it is the plan of {plan.case!r}, the case here is {case.name!r}"
        raise CaseError(folder / _PLAN_FILE, "case", problem, f'write case = "{case.name}"')
    mine, notes = _run_case(asked, name)
    if mine is not None and case is not None:
        notes += _other_files(mine, case.version, case.files)
    board = asked.board or (_board_of(mine.board, asked.board_folders) if mine is not None else None)
    return sheet(Sources(case, plan, mine, board, (*asked.notes, *notes)))


def _plan(file: Path) -> BudgetFile | None:
    from hil.gate.budget_file import read_budget

    return read_budget(file) if file.is_file() else None


def _run_case(asked: _Asked, name: str) -> tuple[RunCase | None, tuple[str, ...]]:
    """The case's part of the run, and what is to be said when it has none."""
    from hil.gate.budget_types import RunCase

    run = asked.run
    if run is None:
        return None, ()
    found = [case for case in run.document.cases if case.name == name]
    if len(found) != 1:
        return None, (
            f"{run.file} has {'no' if not found else 'more than one'} case {name}",
        ) if asked.named or found else ()
    notes: tuple[str, ...] = (f"the run of the case broke: {found[0].error.splitlines()[0]}",) if found[0].error else ()
    if not run.sealed:
        notes += (f"{run.file} was changed since the run wrote it",)
    return RunCase(found[0], run.document.board.clock, run.document.board.name, str(run.file)), notes


def _other_files(run: RunCase, version: int, files: Mapping[str, str]) -> tuple[str, ...]:
    """A run of other files than those in the folder is told: its figures may not be theirs."""
    ran = run.case.manifest.files
    other = sorted(name for name in {*ran, *files} if ran.get(name) != files.get(name))
    if not other and run.case.version == version:
        return ()
    return (
        f"the run is of version {run.case.version}; these files are not the same now: {', '.join(other) or 'none'}",
    )


def _board_of(name: str, board_folders: list[Path]) -> BoardConfig | None:
    """The file of the board that a run was made on; None when it is not here."""
    from hil.board.config import board_files, read_board

    files = board_files(board_folders)
    return read_board(files[name]) if name in files else None


# ---- what is printed -------------------------------------------------------------------------------------------------


def _budget(options: argparse.Namespace, board_folders: list[Path]) -> int:
    sheets = budget_sheets(options.cases, options.run_path, options.board, board_folders)
    if options.json:
        print(json.dumps([document(each) for each in sheets], indent=1, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(lines(each)) for each in sheets))
    return EXIT_OVER if any(each.over for each in sheets) else 0


def document(sheet: Sheet) -> dict[str, Any]:
    """A sheet for machines."""
    return {
        "case": sheet.case,
        "version": sheet.version,
        "board": sheet.board,
        "run": sheet.run,
        "over": [f"{row.what} ({row.unit})" for row in sheet.over],
        "rows": [
            {
                "what": row.what,
                "unit": row.unit,
                "budget": row.budget,
                "at_least": row.least,
                "planned": row.planned,
                "actual": row.actual,
                "slack": row.slack,
                "margin_percent": row.margin_percent,
                "state": str(row.state),
                "note": row.note,
            }
            for row in sheet.rows
        ],
        "notes": list(sheet.notes),
    }


def lines(sheet: Sheet) -> Iterator[str]:
    """A sheet for people; columns that nothing stands in are left out."""
    version = f" version {sheet.version}" if sheet.version is not None else " (planned, no case.toml yet)"
    yield (
        f"{sheet.case}{version}"
        + (f", board {sheet.board}" if sheet.board else "")
        + (f", actual figures from {sheet.run}" if sheet.run else ", no run")
    )
    columns = {
        "what": [row.what for row in sheet.rows],
        "unit": [row.unit for row in sheet.rows],
        "budget": [(">= " if row.least and row.budget is not None else "") + _number(row.budget) for row in sheet.rows],
        "planned": [_number(row.planned) for row in sheet.rows],
        "actual": [_number(row.actual) for row in sheet.rows],
        "slack": [_number(row.slack) for row in sheet.rows],
        "margin": ["" if row.margin_percent is None else f"{row.margin_percent:.1f} %" for row in sheet.rows],
        "state": [str(row.state) for row in sheet.rows],
        "note": [row.note for row in sheet.rows],
    }
    yield from (f"  {line}" for line in _table(columns, left=("what", "unit", "state", "note")))
    yield from (f"  note: {note}" for note in sheet.notes)


def _table(columns: Mapping[str, Sequence[str]], left: Sequence[str]) -> Iterator[str]:
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in shown.items()}

    def line(cells: Mapping[str, str]) -> str:
        parts = (f"{cell:{'<' if name in left else '>'}{widths[name]}}" for name, cell in cells.items())
        return "  ".join(parts).rstrip()

    yield line({name: name for name in shown})
    for row in zip(*shown.values(), strict=True):
        yield line(dict(zip(shown, row, strict=True)))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
