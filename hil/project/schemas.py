"""The JSON Schemas of the TOML files that people write, for their editors: which there are, and how a file names one.

`hil/schemas/` has them and makes them; `hil schema` puts copies into a project.
"""

from __future__ import annotations

import os
from pathlib import Path

import hil
from hil.errors import UsageError
from hil.problems import reason_of

FOLDER = "schemas"  # of a project
_HERE = Path(hil.__file__).resolve().parent / "schemas"
_PLACES = (FOLDER, "hil/schemas")  # the second one in a checkout of hil


def file_name(kind: str) -> str:
    """kind: case, board or release."""
    return f"{kind}.schema.json"


def schema_files() -> dict[str, bytes]:
    """File name and content of each."""
    return {file.name: file.read_bytes() for file in sorted(_HERE.glob("*.schema.json"))}


def write_schemas(folder: Path) -> list[Path]:
    """Put them into `folder`, over those of another version of hil. Raises UsageError."""
    written = []
    for name, data in schema_files().items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        except OSError as error:
            raise UsageError(
                f"{folder / name}: cannot be written ({reason_of(error)})\n  fix: name another folder"
            ) from None
        written.append(folder / name)
    return written


def schema_line(folder: Path, kind: str) -> str:
    """The first line of a TOML file in `folder`, which tells Taplo and the editors built on it where the schema lies;
    "" when no folder around has one.
    """
    start = folder.absolute()
    for around in (start, *start.parents):
        for place in _PLACES:
            file = around / place / file_name(kind)
            if file.is_file():
                return f"#:schema {Path(os.path.relpath(file, start)).as_posix()}"
    return ""
