"""The release policy, `release.toml`: what a release needs, and which exceptions were accepted (docs/release.md)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from hil.project.toml_settings import Table, Text, read_settings

POLICY_FILE = "release.toml"
PAGE = "docs/release.md"
_EXAMPLES = {
    "boards": 'boards = ["qemu"], the boards on which every case must have run',
    "cases": 'cases = "golden_vectors", the folder that holds the case folders',
    "baseline": 'baseline = "required" or "optional"',
    "quarantine": 'quarantine = "quarantine.toml"',
    "locked": "locked = true or false",
    "clean_tree": "clean_tree = true or false",
    "max_age_hours": "max_age_hours = 24.0",
    "case": 'case = "imu_motion", or a pattern such as "*"',
    "check": 'check = "memory.arena", or a pattern such as "latency.*"',
    "board": 'board = "qemu", or a pattern such as "*"',
    "reason": 'reason = "why it is accepted"',
}


class Explained(Table):
    """An accepted exception. case, check and board are shell patterns; `board` may be left out."""

    case: Text
    check: Text
    board: Text = "*"
    reason: Text

    def covers(self, case: str, check: str, board: str) -> bool:
        pairs = ((case, self.case), (check, self.check), (board, self.board))
        return all(fnmatchcase(name, pattern) for name, pattern in pairs)

    def __str__(self) -> str:
        return f"{self.case} {self.check} on {self.board}"


class Policy(Table):
    """What a release needs.

    cases: folder of case folders, quarantine: file ("" for none), both relative to the policy's own folder; locked:
    every case has a case.lock; clean_tree: git knows of no uncommitted change; max_age_hours: of a run, None for any.
    """

    boards: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    cases: Text
    baseline: Literal["required", "optional"] = "required"
    quarantine: str = ""
    locked: bool = True
    clean_tree: bool = True
    max_age_hours: Annotated[float, Field(gt=0)] | None = None
    marginal: Annotated[tuple[Explained, ...], Field(strict=False)] = ()
    not_judged: Annotated[tuple[Explained, ...], Field(strict=False)] = ()

    @field_validator("boards")
    @classmethod
    def _named_once(cls, boards: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(boards)) < len(boards):
            raise ValueError("a board is named twice")
        return boards


@dataclass(frozen=True)
class PolicyFile:
    """A policy as it was read: its file and bytes are part of the release record."""

    file: Path
    data: bytes
    policy: Policy

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def cases(self) -> Path:
        return self.file.parent / self.policy.cases

    @property
    def quarantine(self) -> Path | None:
        return self.file.parent / self.policy.quarantine if self.policy.quarantine else None


def read_policy(file: Path) -> PolicyFile:
    """The policy in `file`, or in the release.toml of that folder. Raises UsageError that names line, key and fix."""
    file = file / POLICY_FILE if file.is_dir() else file
    policy, data = read_settings(file, Policy, _EXAMPLES, PAGE)
    return PolicyFile(file, data, policy)
