"""The `hil` command: translates arguments into calls, and errors into exit codes. No logic lives here."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import hil
from hil.acceptance.commands import add_baseline_commands, add_limits_command
from hil.budget.commands import add_budget_command
from hil.case.commands import add_new_command, add_regen_command
from hil.compare.commands import add_compare_command
from hil.environment import environment_name
from hil.errors import BenchError, HilError, UsageError
from hil.gate.commands import add_gate_command
from hil.init.commands import add_init_command
from hil.model.commands import add_model_command
from hil.newboard.commands import add_board_command
from hil.ping import add_ping_command
from hil.project import places
from hil.project.commands import add_cache_command
from hil.release.commands import add_release_command
from hil.report.page.commands import add_report_command
from hil.schemas.commands import add_schema_command
from hil.shell.commands import add_completion_command
from hil.shell.overview import overview
from hil.size.commands import add_size_command
from hil.trend.commands import add_trend_command

GROUPS = {
    "start": ("init", "doctor", "boards", "board", "ping", "cache"),
    "cases and models": ("case", "model"),
    "runs": ("report", "compare", "trend", "budget", "size"),
    "releases": ("baseline", "gate", "release"),
    "editor and shell": ("schema", "completion"),
}
_MORE = """`pytest --board=NAME` runs the cases; `hil COMMAND --help` has the options of a command.
Pages that messages name as docs/NAME.md lie in {pages}."""
EXIT_FOUND, EXIT_USAGE, EXIT_BENCH = 1, 2, 3
EXIT_PIPE = 128 + signal.SIGPIPE  # as of a program that the signal ended: never taken for a verdict of 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns 0 when all is well, 1 when something is missing or differs, 2 for misuse, 3 for a broken bench.
    """
    options = _parser().parse_args(arguments)
    try:
        result = int(options.run(options))
        sys.stdout.flush()
        return result
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has; what is left goes nowhere, at exit too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except HilError as error:
        print(f"hil: {error}", file=sys.stderr)
        return EXIT_BENCH if isinstance(error, BenchError) else EXIT_USAGE


def board_folders() -> list[Path]:
    """Where board files are looked for: the folder that HIL_BOARDS names, the project's own, what hil brings along.

    Raises UsageError when there is no such folder.
    """
    variable = environment_name("hil-boards")
    further = Path(named) if (named := os.environ.get(variable, "")) else None
    if further is not None and not further.is_dir():
        raise UsageError(
            f"{variable}: there is no folder {further}\n  fix: name the folder of your board files, or unset it"
        )
    return places.board_folders(further, Path.cwd() / "boards")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hil",
        usage="hil COMMAND ...",
        description=hil.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hil {hil.__version__}")
    commands = parser.add_subparsers(required=True, prog="hil", metavar="COMMAND", help=argparse.SUPPRESS)

    add_init_command(commands, board_folders)
    doctor = commands.add_parser("doctor", help="what this machine has and what it lacks")
    doctor.add_argument("--board", default="qemu", help="the board to be used (default: qemu)")
    doctor.set_defaults(run=_doctor)

    boards = commands.add_parser("boards", help="list the boards")
    boards.set_defaults(run=_boards)

    add_board_command(commands, board_folders)
    case = commands.add_parser(
        "case", help="write a case, check it, fill in its limits, lock its files"
    ).add_subparsers(required=True, metavar="action")
    add_new_command(case)
    check = case.add_parser("check", help="read the case and report every mistake")
    check.set_defaults(run=_case_check)
    lock = case.add_parser("lock", help="write case.lock: the hashes of this version's files")
    lock.set_defaults(run=_case_lock)
    for action in (check, lock):
        action.add_argument("path", type=Path, help="the case's folder, or its case.toml")
    add_regen_command(case)
    add_limits_command(case)
    add_model_command(commands)

    add_compare_command(commands, board_folders)
    add_report_command(commands)
    add_trend_command(commands)
    add_budget_command(commands, board_folders)
    add_size_command(commands, board_folders)
    add_baseline_commands(commands)
    add_gate_command(commands, board_folders)
    add_release_command(commands, board_folders)
    add_ping_command(commands, board_folders)
    add_cache_command(commands)
    add_schema_command(commands)
    add_completion_command(commands, _parser)
    parser.epilog = f"{overview(parser, GROUPS)}\n\n{_MORE.format(pages=places.kit() / 'docs')}"
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from hil.board.config import load_board
    from hil.doctor import examine, is_fine, table

    rows = examine(load_board(options.board, board_folders()))
    print(table(rows))
    return 0 if is_fine(rows) else EXIT_FOUND


def _boards(_: argparse.Namespace) -> int:
    from hil.board.config import board_files, read_board

    boards = [read_board(file) for file in board_files(board_folders()).values()]
    if not boards:
        raise UsageError("there is no board file\n  fix: add boards/NAME.toml (docs/boards.md)")
    width = max(len(board.name) for board in boards)
    for board in boards:
        print(f"{board.name:<{width}}  {board.description}")
    return 0


def _case_check(options: argparse.Namespace) -> int:
    from hil.board.config import options_of_environment
    from hil.case.load import load_case
    from hil.model.check import kernels_of
    from hil.reference.compute import check_models

    case = load_case(options.path, kernels_of(options_of_environment().get("hil-tflm", "")))
    check_models(case)
    print(f"{case.path}: case {case.name} version {case.version}, {len(case.vectors)} vectors: in order")
    for note in case.notes:
        print(f"  note: {note}")
    return 0


def _case_lock(options: argparse.Namespace) -> int:
    from hil.case.load import write_lock

    print(f"wrote {write_lock(options.path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
