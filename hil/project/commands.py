"""`hil cache`: translates arguments into calls, and answers into text."""

from __future__ import annotations

import argparse
from typing import Any


def add_cache_command(commands: Any) -> None:
    """Add `cache` to the subparsers of `hil`."""
    from hil.project.cache import KEPT_DAYS

    parser = commands.add_parser("cache", help="what hil keeps in the user's cache; --clean removes what is old")
    parser.add_argument("--clean", action="store_true", help="remove builds that nobody used for so long")
    parser.add_argument(
        "--days", type=float, default=KEPT_DAYS, metavar="N", help=f"how long is kept (default: {KEPT_DAYS})"
    )
    parser.set_defaults(run=_cache)


def _cache(options: argparse.Namespace) -> int:
    from hil.project.cache import entries, prune
    from hil.project.places import cache_folder

    if options.clean:
        removed = prune(options.days)
        for entry in removed:
            print(f"removed {entry.path}: {entry.bytes / 1e6:,.1f} MB, unused for {entry.days:,.0f} days")
        print(f"{len(removed)} removed, {sum(entry.bytes for entry in removed) / 1e6:,.1f} MB")
        return 0
    found = entries()
    print(f"{cache_folder()}: {sum(entry.bytes for entry in found) / 1e6:,.1f} MB")
    for entry in found:
        what = "builds of firmware" if entry.workplace else "shared"
        print(f"  {entry.path.name:<24}{entry.bytes / 1e6:>10,.1f} MB  {what}, used {entry.days:,.0f} days ago")
    return 0
