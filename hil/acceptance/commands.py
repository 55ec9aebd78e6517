"""`hil baseline`: translates arguments into calls. No logic lives here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_FOUND = 1  # exit code: something is missing or differs


def add_baseline_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """`hil baseline accept | show | diff`."""
    actions = commands.add_parser("baseline", help="accepted measurements: accept a run, show, compare").add_subparsers(
        required=True, metavar="action"
    )
    accept = actions.add_parser("accept", help="make a run that passed the baseline of its cases on its board")
    accept.add_argument("run_file", metavar="RUN", type=Path, help="a run.json, or its folder")
    accept.add_argument("--reason", required=True, help="why these figures are right")
    accept.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case (repeatable)")
    accept.add_argument("--by", help="who accepts (default: git's user, else the login name)")
    accept.set_defaults(run=_accept)

    show = actions.add_parser("show", help="what was accepted, by whom and why")
    show.add_argument("path", metavar="CASE", type=Path, help="the case's folder, or its case.toml")
    show.add_argument("--board", help="only the baseline of this board")
    show.set_defaults(run=_show)

    diff = actions.add_parser("diff", help="a run against the baselines on disk; exit code 1 when something is worse")
    diff.add_argument("run_file", metavar="RUN", type=Path, help="a run.json, or its folder")
    diff.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case (repeatable)")
    diff.set_defaults(run=_diff)


def add_limits_command(actions: Any) -> None:
    """Add `limits` to the subparsers of `hil case`."""
    parser = actions.add_parser("limits", help="the limits that a finished run asks for, as TOML")
    parser.add_argument("run_file", metavar="RUN", type=Path, help="a run.json, or its folder")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case (repeatable)")
    parser.add_argument("--write", action="store_true", help="put them into case.toml; limits that are there stay")
    parser.set_defaults(run=_limits)


def _limits(options: argparse.Namespace) -> int:
    from hil.acceptance.limits import lines, proposed, write
    from hil.runfile import read_run

    run = read_run(options.run_file)
    found = [proposed(run, name) for name in options.case or [case.called for case in run.document.cases]]
    for proposal in found:
        print("\n".join(lines(proposal)))
        if options.write:
            written, kept = write(proposal)
            print(f"# wrote {len(written)} limits into {proposal.file}, {len(kept)} were there already")
    return 0


def _accept(options: argparse.Namespace) -> int:
    from hil.acceptance.accept import prepare, write
    from hil.project.git import default_by
    from hil.runfile import read_run

    by = default_by(Path.cwd()) if options.by is None else options.by
    accepted = prepare(read_run(options.run_file), options.case, by=by, reason=options.reason)
    write(accepted)
    for item in accepted:
        entry = item.baseline.accepted
        print(f"{item.path}: {item.baseline.case} on {item.baseline.board}, accepted by {entry.by}: {entry.reason}")
        for line in entry.changes:
            print(f"  {line}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from hil.acceptance.text import show_lines
    from hil.baseline.file import baselines_in, read_baseline

    for path in baselines_in(options.path, options.board):
        for line in show_lines(read_baseline(path)):
            print(line)
    return 0


def _diff(options: argparse.Namespace) -> int:
    from hil.acceptance.diff import diff
    from hil.acceptance.text import diff_lines
    from hil.runfile import read_run

    run = read_run(options.run_file)
    found = [diff(run, name) for name in options.case or [case.called for case in run.document.cases]]
    for item in found:
        for line in diff_lines(item):
            print(line)
    return _FOUND if not found or any(item.failed for item in found) else 0
