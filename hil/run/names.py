"""Names of what a run leaves behind for a case: files in the output folder, pieces of work in that of a crew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hil.case.types import Case
from hil.report.run_json import shown_path
from hil.session import Share

OUTCOME = "outcome."  # what came of a case
HELD = "held"  # the output folder is taken
BROKEN = "broken."  # a worker without a board
BROKEN_DEVICE = "no-device."  # a device of a pool that broke
PROCESS = "process."  # of a worker


def kept_image(target: str) -> str:
    """The copy of the image that was built and judged."""
    return f"{target}.elf"


def title(case: Case, cases: Sequence[Case]) -> str:
    """What messages call a case: its name, with its path where another case of the run has the same name."""
    alone = sum(each.name == case.name for each in cases) < 2
    return case.name if alone else f"{case.name} ({shown_path(case.path)})"


def file_stem(case: Case, cases: Sequence[Case], board: str) -> str:
    """File stem of a case's results; a second case of the same name gets its number."""
    paths = [each.path for each in cases if each.name == case.name]
    number = paths.index(case.path) + 1 if case.path in paths else 1
    return f"{case.name}.{board}" + (f".{number}" if number > 1 else "")


def outcome_piece(case: Case, cases: Sequence[Case]) -> str:
    """What came of the case, judged."""
    return f"{OUTCOME}{_place(case, cases)}"


def refusal_piece(path: Path) -> str:
    """What is said of a case.toml that is no case; behind all that were judged."""
    return f"{OUTCOME}refused.{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


def models_piece(case: Case, cases: Sequence[Case]) -> str:
    """Whether the references take the case's models."""
    return f"models.{_place(case, cases)}"


def said_piece(case: Case, cases: Sequence[Case]) -> str:
    """Who says what broke the run of the case."""
    return f"said.{_place(case, cases)}"


def share_piece(case: Case, cases: Sequence[Case], share: Share) -> str:
    """The run of one share of the case."""
    return f"share.{_place(case, cases)}.{share.number}"


def _place(case: Case, cases: Sequence[Case]) -> str:
    """What the crew calls a case: its place among all."""
    return f"{[each.path for each in cases].index(case.path):04}"
