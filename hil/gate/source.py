"""What git says of the sources that a release is made from: commit, and whether anything is uncommitted."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_LIMIT_S = 30.0


class Source(BaseModel):
    """commit: 40 hex digits, "" when git cannot tell; changed: paths that are not as committed, or not in git."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    commit: str = ""
    changed: list[str] = []

    @property
    def clean(self) -> bool:
        return bool(self.commit) and not self.changed


def source_of(folder: Path) -> Source:
    """Of the work tree that `folder` lies in; changes nothing in it."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    listed = _git(folder, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    if commit is None or listed is None:
        return Source()
    return Source(commit=commit.strip(), changed=sorted(entry[3:] for entry in listed.split("\0") if entry))


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
