"""Writes a starting project: a case for a model, CI jobs, what git leaves out, the schemas for editors.

A file that is there is never touched. pytest finds hil by itself, so there is no conftest.py; the boards come with hil,
so there is no board file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import hil
from hil.board.config import BoardConfig, kind_module
from hil.board.pool import each
from hil.case.load import FILE_NAME
from hil.case.schema import NAME
from hil.case.start.new import new_case
from hil.errors import UsageError
from hil.image.toolchain import tools_of_target
from hil.model.kernels.library import KernelLibrary
from hil.need import Row
from hil.problems import reason_of
from hil.project.places import DISTRIBUTION
from hil.project.schemas import FOLDER, file_name, schema_files

CASES = "golden_vectors"
_FILES = {"github.yml": ".github/workflows/hil.yml", "gitlab.yml": ".gitlab-ci.yml", "gitignore": ".gitignore"}


@dataclass(frozen=True)
class Wanted:
    """What the project is made around. float_model, vectors: as of hil.case.start.new.new_case. board: on which the CI
    jobs run. install: what pip installs in them, by default this version of hil.
    """

    model: Path
    board: BoardConfig
    kernels: KernelLibrary
    float_model: Path | None = None
    vectors: Path | None = None
    name: str = ""
    install: str = ""


@dataclass(frozen=True)
class Made:
    """Paths are relative to the project's folder. kept: were there already. notes: of the case that was written."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...]


def init_project(folder: Path, wanted: Wanted) -> Made:
    """Write what is not there yet into `folder`. Raises UsageError: for a model that cannot be run, before anything is
    written; for a folder that cannot be written.
    """
    _check_words(wanted)
    files = _files(wanted)
    case = f"{CASES}/{wanted.name or _case_name(wanted.model)}"
    kept = [name for name in (f"{case}/{FILE_NAME}", *files) if _is_there(folder / name)]
    written: list[str] = []
    notes: tuple[str, ...] = ()
    if f"{case}/{FILE_NAME}" not in kept:
        schema = f"#:schema ../../{FOLDER}/{file_name('case')}"
        new = new_case(folder / case, wanted.model, wanted.float_model, wanted.vectors, wanted.kernels, schema=schema)
        notes = new.notes
        written += [f"{case}/{file.name}" for file in sorted((folder / case).iterdir())]
    for name, data in files.items():
        if name not in kept:
            _write(folder / name, data)
            written.append(name)
    return Made(tuple(written), tuple(kept), notes)


def _check_words(wanted: Wanted) -> None:
    if wanted.name and not re.fullmatch(NAME, wanted.name):
        fix = "write up to 63 letters, digits, _ and -, such as --name=wrist"
        raise UsageError(f"--name: {wanted.name!r} cannot name a case\n  fix: {fix}")
    if not wanted.install.isprintable() or {*wanted.install} & {*"\"'$`\\"}:
        fix = "name a version, a file or an address, such as hil-tinyml==1.0.0"
        raise UsageError(f"--install: {wanted.install!r} has characters that a shell takes apart\n  fix: {fix}")


def _is_there(file: Path) -> bool:
    return file.exists() or file.is_symlink()


def _case_name(model: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", model.stem)[:63] or "case"


def _files(wanted: Wanted) -> dict[str, bytes]:
    """Everything beside the case: path to content."""
    words = {
        "PACKAGES": " ".join(_packages(wanted.board)),
        "INSTALL": wanted.install or f"{DISTRIBUTION}=={hil.__version__}",
        "VERSION": hil.__version__,
        "BOARD": wanted.board.name,
    }
    templates = Path(__file__).parent / "files"
    made = {name: _filled((templates / file).read_text(encoding="utf-8"), words) for file, name in _FILES.items()}
    return {**made, **{f"{FOLDER}/{name}": data for name, data in schema_files().items()}}


def _packages(board: BoardConfig) -> list[str]:
    """Debian's names of all that a CI machine needs. Raises UsageError for a board that needs more than packages."""
    kind = kind_module(board)
    rows: list[Row] = [row for one in each(board) for row in kind.examine(one)] if hasattr(kind, "examine") else []
    if others := [row.name for row in rows if not row.package]:
        raise UsageError(
            f"the CI jobs cannot be written for board {board.name!r}: no Debian package brings {', '.join(others)}\n"
            f"  fix: leave --board out, and change the jobs by hand (docs/ci-recipes.md)"
        )
    return sorted({*(tool.package for tool in tools_of_target(board.target)), *(row.package for row in rows)})


def _filled(text: str, words: Mapping[str, str]) -> bytes:
    for name, word in words.items():
        text = text.replace(f"@{name}@", word)
    return text.encode()


def _write(file: Path, data: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(data)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({reason_of(error)})\n  fix: name another folder") from None
