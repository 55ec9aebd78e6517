"""`hil trend`: one figure of a case over many runs, on the terminal and as a page."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

DEFAULT_RUNS = ("hil-out",)
DEFAULT_LAST = 20


def add_trend_command(commands: Any) -> None:
    """Add `trend` to the subparsers of `hil`."""
    parser = commands.add_parser("trend", help="one figure of a case over many runs")
    parser.add_argument("case", metavar="CASE", help="name of the case")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="run.json files, folders or patterns (default: hil-out)")
    parser.add_argument("--metric", default="total.p99", help="such as total.p99, arena, accuracy (default: total.p99)")
    parser.add_argument("--last", type=_count, default=DEFAULT_LAST, help=f"newest runs (default: {DEFAULT_LAST})")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the plot, too")
    parser.set_defaults(run=_trend)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def _trend(options: argparse.Namespace) -> int:
    from hil.trend.text import glyphs_for, lines
    from hil.trend.trend import metric_of, run_files, trend

    metric = metric_of(options.metric)
    found = trend(options.case, metric, run_files(options.runs or DEFAULT_RUNS), options.last)
    width = shutil.get_terminal_size((100, 24)).columns
    print("\n".join(lines(found, width, glyphs_for(sys.stdout.encoding))))
    if options.html is not None:
        from hil.trend.html import write_html

        write_html(found, options.html)
        print(f"  wrote {options.html}")
    return 0
