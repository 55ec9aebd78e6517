"""`hil report RUN`, and the page that every run leaves: thin, nothing of the page is imported before one is made."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.errors import UsageError
from hil.report.outdir import PAGE_FILE
from hil.runfile import Run, read_run


def add_report_command(commands: Any) -> None:
    """The command of `hil`; commands: what `add_subparsers` gave."""
    parser: argparse.ArgumentParser = commands.add_parser("report", help="make the HTML report of a run")
    parser.add_argument("path", type=Path, metavar="RUN", help="a run.json, or its folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"where to write it (default: {PAGE_FILE} beside run.json)"
    )
    parser.add_argument("--case", default="", metavar="NAME", help="only this case (default: all of the run)")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="the folder that the run was started in (default: this one)"
    )
    parser.set_defaults(run=_report)


def write_page(run: Run, file: Path | None = None, root: Path | None = None) -> Path:
    """Write the page, whole or not at all, and return its path. Raises UsageError when it cannot be written."""
    from hil.report.page.build import build_page

    target = file or run.folder / PAGE_FILE
    part = target.with_name(f".{target.name}.part")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {target}: there is no such folder\n  fix: give another file with --out")
    page = build_page(run, root)
    try:
        part.write_bytes(page)
        os.replace(part, target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}\n  fix: give another file with --out") from error
    return target


def only_case(run: Run, name: str) -> Run:
    """The same run with one case. Raises UsageError when it has none of that name."""
    return replace(run, document=run.document.model_copy(update={"cases": [run.case(name)]}))


def _report(options: argparse.Namespace) -> int:
    run = read_run(options.path)
    chosen = only_case(run, options.case) if options.case else run
    print(f"wrote {write_page(chosen, options.out, options.root)}")
    return 0
