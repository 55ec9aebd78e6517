"""Whether everything ran that a release needs, whole, lately, and against the accepted baseline."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import timedelta

from hil.gate.demands import Demand
from hil.gate.integrity import start_of
from hil.gate.question import Question
from hil.gate.reasons import Kind, Reason
from hil.gate.results import Result
from hil.runfile import Run

SHOWN = 8  # names in one line


def names(listed: Sequence[str]) -> str:
    """The first few of a list, and how many more there are."""
    more = len(listed) - SHOWN
    return ", ".join(listed[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def run_reasons(run: Run, question: Question) -> Iterator[Reason]:
    """A run that did not come to its end, or is too old."""
    document = run.document
    board = document.board.name
    if document.verdict == "interrupted":
        yield Reason(Kind.BENCH, f"{run.file}: the run was interrupted", _run_all(board, question), board=board)
    if document.lost_workers:
        lost = ", ".join(document.lost_workers)
        what = f"{run.file}: a worker ended before its time ({lost}); others took up its cases"
        yield Reason(Kind.BENCH, what, f"find out what ended it, then {_run_all(board, question)}", board=board)
    if not document.cases:
        yield Reason(Kind.NOT_RUN, f"{run.file}: nothing ran", _run_all(board, question), board=board)
    most, started = question.policy.max_age_hours, start_of(run)
    if most is not None and started is not None and question.now - started > timedelta(hours=most):
        hours = (question.now - started) / timedelta(hours=1)
        what = f"{run.file}: started {hours:,.1f} h ago, the policy allows {most:g} h"
        yield Reason(Kind.AGE, what, _run_all(board, question), board=board)


def _run_all(board: str, question: Question) -> str:
    return f"pytest --board={board} {question.tree.root}"


def missing(demand: Demand, board: str, question: Question) -> Reason:
    """The case has no result on a board that the policy names."""
    command = f"pytest --board={board} {question.tree.root}/{demand.path}"
    what = f"case {demand.name} did not run on board {board}"
    return Reason(Kind.NOT_RUN, what, f"{command}, and give its run too", case=demand.name, board=board)


def result_reasons(result: Result) -> Iterator[Reason]:
    """A result that is none: the case was refused, the bench broke, or nothing could be judged."""
    case = result.case
    if case.refused:
        what = f"{result}: the case was refused: {case.error.splitlines()[0]}"
        fix = f"mend it (hil case check {case.path} says how), and run again"
        yield Reason(Kind.CASE, what, fix, case=case.name, board=result.board)
    elif case.error:
        what = f"{result}: {case.error.splitlines()[0]}"
        fix = f"see {result.run.folder / case.log}, mend the bench and run again"
        yield Reason(Kind.BENCH, what, fix, case=result.name, board=result.board)
    elif case.verdict == "not judged":
        what = f"{result}: no check was judged"
        yield Reason(Kind.NOT_RUN, what, "see its reasons in run.json", case=result.name, board=result.board)


def whole(result: Result, demand: Demand) -> Iterator[Reason]:
    """A result without all checks that the case asks for, or with others."""
    if result.case.error:
        return  # said already
    there = [check.id for check in result.case.checks]
    lacking = [check for check in demand.checks if check not in there]
    if result.case.baseline is None:  # `baseline_reasons` says what there is to say
        lacking = [check for check in lacking if not check.startswith("baseline.")]
    if lacking:
        yield Reason(
            Kind.NOT_RUN,
            f"{result}: {len(lacking)} checks that the case asks for are not in the run: {names(lacking)}",
            "run the case with this hil and these case files, nothing selected",
            case=demand.name,
            board=result.board,
        )
    if other := [check for check in there if check not in demand.checks]:
        yield Reason(
            Kind.MANIFEST,
            f"{result}: the case asks for no {names(other)}",
            "run the case again: it or hil changed since the run",
            case=demand.name,
            board=result.board,
        )


def baseline_reasons(result: Result, demand: Demand, required: bool) -> Iterator[Reason]:
    """A result that was held to no baseline, or to another one than lies beside the case now."""
    case, board = result.case, result.board
    if case.error:
        return
    accepted, used = demand.baselines.get(board), case.baseline
    if used is None:
        if accepted is not None:
            yield _baseline(result, "the baseline was accepted after the run", "run the case again")
        elif required:
            fix = f"{_accept(result)}, commit it, run again"
            yield _baseline(result, f"there is no baseline for board {board}", fix)
    elif used.board != board or used.case_version != case.version:
        what = (
            f"the baseline is of board {used.board}, case version {used.case_version}; "
            f"the run of {board}, version {case.version}"
        )
        yield _baseline(result, what, _accept(result))
    elif accepted is None:
        yield _baseline(result, f"{used.file} is gone", "restore it, or run the case again")
    elif accepted != used.sha256:
        yield _baseline(result, f"{used.file} changed since the run", "run the case again, or restore the file")


def _accept(result: Result) -> str:
    return f'hil baseline accept {result.run.file} --case {shlex.quote(result.name)} --reason "..."'


def _baseline(result: Result, what: str, fix: str) -> Reason:
    return Reason(Kind.BASELINE, f"{result}: {what}", fix, case=result.name, board=result.board)
