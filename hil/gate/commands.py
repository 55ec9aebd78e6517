"""`hil gate`: translates arguments into calls, and answers into text and exit codes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.gate.policy import POLICY_FILE

if TYPE_CHECKING:
    from hil.gate.policy import PolicyFile
    from hil.gate.question import Question
    from hil.runfile import Run

EXIT_NO = 1


def add_gate_command(commands: Any, board_folders: Callable[[], list[Path]]) -> None:
    """Add `gate` to the subparsers of `hil`; board_folders: where board files are looked for."""
    gate = commands.add_parser("gate", help="whether these runs allow a release, and if not, every reason")
    gate.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run.json, or its folder")
    gate.add_argument(
        "--policy", type=Path, default=Path(POLICY_FILE), help=f"the release policy (default: {POLICY_FILE})"
    )
    gate.add_argument("--json", action="store_true", help="as JSON")
    gate.set_defaults(run=lambda options: _gate(options, board_folders()))


def _gate(options: argparse.Namespace, board_folders: list[Path]) -> int:
    from hil.gate.gate import decide
    from hil.gate.text import document, lines

    runs, _, question = read_question(options.runs, options.policy, board_folders)
    decision = decide(runs, question)
    if options.json:
        print(json.dumps(document(decision, question), indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines(decision, question)))
    return 0 if decision.ready else EXIT_NO


def read_question(
    paths: Sequence[Path], policy: Path, board_folders: list[Path]
) -> tuple[list[Run], PolicyFile, Question]:
    """The runs, the policy, and what the gate is asked with both. Raises UsageError."""
    from hil.gate.policy import read_policy
    from hil.gate.question import ask
    from hil.runfile import read_run

    read = read_policy(policy)
    return [read_run(path) for path in paths], read, ask(read, board_folders)
