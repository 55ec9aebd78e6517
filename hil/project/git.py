"""What git says of the sources that a release is made from, commit and anything uncommitted, and of who works there."""

from __future__ import annotations

import getpass
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


def default_by(folder: Path) -> str:
    """Who accepts, when nobody says: git's user, else the login name."""
    name, mail = (_git_config(key, folder) for key in ("user.name", "user.email"))
    known = " ".join(filter(None, (name, f"<{mail}>" if mail else "")))
    try:
        return known or getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return ""


def _git_config(key: str, folder: Path) -> str:
    try:
        found = subprocess.run(["git", "config", key], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
