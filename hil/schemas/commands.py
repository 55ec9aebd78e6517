"""`hil schema`: translates arguments into calls. No logic lives here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hil.project.schemas import FOLDER


def add_schema_command(commands: Any) -> None:
    """Add `schema` to the subparsers of `hil`."""
    parser = commands.add_parser("schema", help="write the JSON Schemas of case.toml, board files and release.toml")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(FOLDER), metavar="FOLDER", help=f"where to (default: {FOLDER})"
    )
    parser.set_defaults(run=_schema)


def _schema(options: argparse.Namespace) -> int:
    from hil.project.schemas import write_schemas

    for file in write_schemas(options.folder):
        print(f"wrote {file}")
    return 0
