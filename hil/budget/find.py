"""Finds what a budget sheet is made of: cases, their plans and a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.board.config import BoardConfig, board_files, load_board, read_board
from hil.budget.cut import CutImage, cut_image
from hil.budget.file import BudgetFile, read_budget
from hil.budget.limits import limits_of
from hil.budget.sheet import sheet
from hil.budget.types import PowerSource, RunCase, Sheet, Sources
from hil.case.load import FILE_NAME, load_case
from hil.case.types import Case
from hil.errors import CaseError, UsageError
from hil.runfile import RUN_FILE, Run, read_run

CASES = Path("golden_vectors")
DEFAULT_RUN = Path("hil-out")
_PLAN_FILE = "budget.toml"


@dataclass(frozen=True)
class _Asked:
    """What one call asks for. run: None without one; named: the user named it. notes: said of every case. needed: the
    image is wanted with the operators of the model only, too.
    """

    run: Run | None
    named: bool
    board: BoardConfig | None
    board_folders: list[Path]
    notes: tuple[str, ...]
    needed: bool


def budget_sheets(
    cases: Sequence[str], run: Path | None, board: str | None, board_folders: list[Path], needed: bool = False
) -> tuple[Sheet, ...]:
    """The sheets of these cases, or of all below golden_vectors. needed: build the image with the operators of each
    model only, and show its size. Raises UsageError, and BuildError when that image cannot be built.
    """
    folders = [_folder(case) for case in cases] or _all_folders()
    wanted = load_board(board, board_folders) if board else None
    found, note = _run(run, wanted.name if wanted is not None else "")
    asked = _Asked(found, run is not None, wanted, board_folders, (note,) if note else (), needed)
    return tuple(_sheet(folder, asked) for folder in folders)


def _run(path: Path | None, board: str) -> tuple[Run | None, str]:
    """The run that is named, else the last one where it serves; what is to be said when it does not.

    Raises UsageError for a named run that cannot be read, or was made on another board than the one named.
    """
    if path is None and not (DEFAULT_RUN / RUN_FILE).is_file():
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
        if (folder / FILE_NAME).is_file() or (folder / _PLAN_FILE).is_file():
            return folder
    fix = f"give the folder of a case, or its name below {CASES}"
    raise UsageError(f"{case}: there is no {FILE_NAME} and no {_PLAN_FILE}\n  fix: {fix}")


def _all_folders() -> list[Path]:
    files = [*CASES.glob(f"**/{FILE_NAME}"), *CASES.glob(f"**/{_PLAN_FILE}")]
    if not files:
        raise UsageError(f"there is no case below {CASES}\n  fix: give the folder of a case")
    return sorted({file.parent for file in files})


def _sheet(folder: Path, asked: _Asked) -> Sheet:
    case = load_case(folder, kernels=None) if (folder / FILE_NAME).is_file() else None
    plan = plan_of(folder, case.name if case is not None else "")
    name = case.name if case is not None else plan.case if plan is not None else ""
    mine, notes = _run_case(asked, name, folder)
    if mine is not None and case is not None:
        notes += _other_files(mine, case.version, case.files)
    board = asked.board or (_board_of(mine.board, asked.board_folders) if mine is not None else None)
    power = PowerSource(board.name, board.file.name, board.power) if board is not None else None
    limits = limits_of(case) if case is not None else None
    cut = _cut(case, board, name) if asked.needed else None
    return sheet(Sources(limits, plan, mine, power, (*asked.notes, *notes), cut))


def _cut(case: Case | None, board: BoardConfig | None, name: str) -> CutImage | None:
    if case is None:
        raise UsageError(f"--needed: {name} has no {FILE_NAME} yet, so no model\n  fix: leave --needed out")
    if board is None:
        raise UsageError("--needed: it is not known for which board\n  fix: name one with --board")
    return cut_image(case.model, board)


def plan_of(folder: Path, case: str) -> BudgetFile | None:
    """The budget.toml in the folder of a case, None without one. case: its name, "" when there is no case yet.

    Raises CaseError when it cannot be read, or is the plan of another case.
    """
    file = folder / _PLAN_FILE
    plan = read_budget(file) if file.is_file() else None
    if plan is not None and case and plan.case != case:
        problem = f"it is the plan of {plan.case!r}, the case here is {case!r}"
        raise CaseError(file, "case", problem, f'write case = "{case}"')
    return plan


def _run_case(asked: _Asked, name: str, folder: Path) -> tuple[RunCase | None, tuple[str, ...]]:
    """The case's part of the run, and what is to be said when it has none."""
    run = asked.run
    if run is None:
        return None, ()
    found = [case for case in run.document.cases if case.name == name]
    if len(found) > 1:
        found = [case for case in found if Path(case.path).resolve().parent == folder.resolve()] or found
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
    files = board_files(board_folders)
    return read_board(files[name]) if name in files else None
