"""The quarantine, `quarantine.toml`: checks that are known to fail, why, and until when that is accepted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Annotated

from pydantic import Field

from hil.errors import CaseError
from hil.project.toml_settings import Table, Text, place, read_settings

QUARANTINE_FILE = "quarantine.toml"
PAGE = "docs/release.md"
_TABLE = "quarantine"
_EXAMPLES = {
    "case": 'case = "imu_motion"',
    "check": 'check = "agreement.sqnr_db", the id of one check',
    "board": 'board = "qemu", or leave it out for all boards',
    "reason": 'reason = "why the check fails, and why that is bearable"',
    "issue": 'issue = "https://tracker.example/issues/12"',
    "expires": "expires = 2026-12-31, a date without quotes: the last day on which the entry holds",
}


class Entry(Table):
    """One check of one case that is known to fail. board: None for every board; expires: the last day that counts."""

    case: Text
    check: Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_.]+$")]
    board: Text | None = None
    reason: Text
    issue: Annotated[str, Field(pattern=r"^https?://\S+$")]
    expires: date

    def covers(self, case: str, check: str, board: str) -> bool:
        return (case, check) == (self.case, self.check) and self.board in (None, board)

    def expired(self, today: date) -> bool:
        return today > self.expires

    def __str__(self) -> str:
        return f"{self.case} {self.check} on {self.board or 'every board'}"


class _File(Table):
    quarantine: Annotated[tuple[Entry, ...], Field(strict=False)] = ()


@dataclass(frozen=True)
class Quarantine:
    """All entries, those that have expired too. data: the file as it was read, empty without one."""

    file: Path | None = None
    data: bytes = b""
    entries: tuple[Entry, ...] = ()

    def of(self, case: str, board: str, today: date) -> dict[str, dict[str, str]]:
        """Check to {reason, issue, expires} of what is accepted on `today` for this case on this board."""
        return {
            entry.check: {"reason": entry.reason, "issue": entry.issue, "expires": entry.expires.isoformat()}
            for entry in self.entries
            if entry.covers(case, entry.check, board) and not entry.expired(today)
        }

    def refuse_unknown(self, checks: Mapping[str, Collection[str]], *, all_cases: bool = False) -> None:
        """Raises UsageError for an entry whose check its case does not ask for. checks: of each case that is known.

        all_cases: there are no others, so that an unknown case is a mistake too.
        """
        for number, entry in enumerate(self.entries):
            if entry.case not in checks and all_cases:
                known = ", ".join(checks) or "none"
                self._refuse(number, "case", f"there is no case {entry.case!r}, only: {known}")
            elif entry.case in checks and entry.check not in checks[entry.case]:
                self._refuse(number, "check", f"case {entry.case} asks for no check {entry.check!r}")

    def _refuse(self, number: int, key: str, problem: str) -> None:
        where = place(self.data.decode("utf-8-sig"), (_TABLE, number, key))
        raise CaseError(self.file or QUARANTINE_FILE, where, problem, "mend the name, or remove the entry")


def load_quarantine(file: Path) -> Quarantine:
    """The entries of `file`. Raises UsageError that names line, key and fix."""
    tables, data = read_settings(file, _File, _EXAMPLES, PAGE)
    quarantine = Quarantine(file, data, tables.quarantine)
    for (_, first), (number, second) in combinations(enumerate(tables.quarantine), 2):
        same = (first.case, first.check) == (second.case, second.check)
        if same and (first.board == second.board or None in (first.board, second.board)):
            where = place(data.decode("utf-8-sig"), (_TABLE, number))
            raise CaseError(file, where, f"{second} is covered by an earlier entry too", "keep one of the two")
    return quarantine
