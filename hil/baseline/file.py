"""Reads and writes `<case>/baseline/<board>.json`: sorted keys, one figure a line, whole files only, sealed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from pydantic import ValidationError

from hil.baseline.types import SCHEMA, Baseline, BaselineFile
from hil.case.types import BASELINES, Case
from hil.errors import UsageError
from hil.runfile import seal
from hil.validation import explain

_FIX = "\n  fix: restore it from version control, or delete it and run `hil baseline accept RUN --reason ...`"


def baseline_path(case: Path, board: str) -> Path:
    """Where the baseline of a board lies; `case` is the path of a case.toml."""
    return case.parent / BASELINES / f"{board}.json"


def baselines_in(case: Path, board: str | None = None) -> list[Path]:
    """The baselines of a case folder, or of its case.toml: all, or that of one board. Raises UsageError without any."""
    folder = (case if case.is_dir() else case.parent) / BASELINES
    found = sorted(folder.glob("*.json" if board is None else f"{board}.json"))
    if not found:
        which = f"baseline of board {board}" if board else "baseline"
        raise UsageError(f"{folder}: there is no {which}\n  fix: accept a run: hil baseline accept RUN --reason ...")
    return found


def baseline_of(case: Case, board: str) -> BaselineFile | None:
    """The accepted measurements of `case` on `board`, None when there are none. Raises UsageError."""
    path = case.baselines.get(board)
    return None if path is None else read_baseline(path)


def read_baseline(path: Path) -> BaselineFile:
    """One baseline. Raises UsageError that names file and key."""
    try:
        data = path.read_bytes()
        document = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}{_FIX}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"{path}: schema: {schema!r} is not {SCHEMA!r}{_FIX}")
    if document.pop("seal", "") != seal(document):
        raise UsageError(f"{path}: seal: the file was changed after it was accepted{_FIX}")
    try:
        baseline = Baseline.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error, Baseline)}{_FIX}") from error
    return BaselineFile(path, hashlib.sha256(data).hexdigest(), baseline)


def baseline_text(baseline: Baseline) -> str:
    """The file's text."""
    document = baseline.model_dump(mode="json", by_alias=True)
    for name in ("further_inputs", "further_outputs"):
        if not document[name]:
            del document[name]  # most models have one of each
    if document["sizes"] is None:
        del document["sizes"]
    document["seal"] = seal(document)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_baseline(path: Path, baseline: Baseline) -> None:
    """The whole file or none of it. Raises UsageError when it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        part.write_text(baseline_text(baseline), encoding="utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}\n  fix: make its folder writable") from error
