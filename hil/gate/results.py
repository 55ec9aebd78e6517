"""One case on one board, out of the runs that were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.errors import UsageError
from hil.runfile import Case, Check, Run


@dataclass(frozen=True)
class Result:
    """`run` is where it comes from."""

    run: Run
    case: Case

    @property
    def name(self) -> str:
        """What the case is called, so that it is told from every other one of its run."""
        return self.case.called

    @property
    def board(self) -> str:
        return self.run.document.board.name

    @property
    def clock(self) -> str:
        """Kind of the board's clock, "" when the board never started."""
        clock = self.run.document.board.clock
        return clock.kind if clock else ""

    @property
    def host(self) -> bool:
        """Whether the image was built for a workstation, so that its sizes say nothing."""
        return self.case.memory is not None and self.case.memory.host

    def failed(self) -> list[Check]:
        """Checks that failed, quarantined or not, in the order of blame."""
        return [check for check in self.case.checks if check.outcome == "failed"]

    def invalid(self) -> list[Check]:
        """Checks whose instrument is broken, and the broken instruments, in the order of blame."""
        return [check for check in self.case.checks if check.outcome == "invalid"]

    def __str__(self) -> str:
        return f"{self.name} on {self.board}"


def gather(runs: Sequence[Run]) -> list[Result]:
    """Every case of every run, once. Raises UsageError for a case that ran twice on a board with unequal results, also
    where it is one of two of a name in one run and alone in another.
    """
    found: dict[tuple[str, str], Result] = {}
    for run in runs:
        for case in run.document.cases:
            result = Result(run, case)
            first = found.setdefault((result.name, result.board), result)
            if (first.case, first.run.document.board) != (case, run.document.board):
                raise _ambiguous(first, result)
    for result in found.values():
        if (alone := found.get((result.case.name, result.board), result)) is not result:
            raise _ambiguous(alone, result)
    return list(found.values())


def _ambiguous(first: Result, second: Result) -> UsageError:
    other = f" as {second.name}" if second.name != first.name else ""
    return UsageError(
        f"{first} is in {first.run.file} and{other} in {second.run.file}, and they are not equal\n"
        f"  fix: give the gate only one of them: the run that the release is made from"
    )
