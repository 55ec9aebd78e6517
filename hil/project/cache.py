"""Knows what lies in the user's cache, what of it is old, and how to remove that without touching what a run uses.

A folder in which firmware is built is called by 16 hex digits. Whoever builds there marks it as used and holds the lock
in its `build/` (hil/image/build.py); one that is locked, or was used lately, is never removed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hil.errors import UsageError
from hil.problems import reason_of
from hil.project.places import cache_folder

KEPT_DAYS = 30  # since the last use
_DAY_S = 86_400
_WORKPLACE = re.compile(r"[0-9a-f]{16}")
_PART = re.compile(r"[0-9a-f]{16}\.(\d+)")  # a copy that was being made, and the process that made it
_USED, _LOCK = "used", Path("build", "firmware.lock")


@dataclass(frozen=True)
class Entry:
    """A file or folder of the cache. days: since it was last used; workplace: firmware is built in it."""

    path: Path
    bytes: int
    days: float
    workplace: bool


def mark_used(folder: Path) -> None:
    """Note that firmware is built in this folder now. One that cannot be written is not noted."""
    with suppress(OSError):
        (folder / _USED).touch()


def entries() -> list[Entry]:
    """What is there, the largest first. Raises UsageError when the cache cannot be read."""
    root = cache_folder()
    try:
        paths = sorted(root.iterdir()) if root.is_dir() else []
    except OSError as error:
        raise UsageError(f"{root}: cannot be read ({reason_of(error)})\n  fix: set XDG_CACHE_HOME") from error
    found = [Entry(path, _size(path), _days(path), _is_workplace(path)) for path in paths]
    return sorted(found, key=lambda entry: -entry.bytes)


def prune(days: float = KEPT_DAYS) -> list[Entry]:
    """Remove the workplaces that nobody used for so many days, and copies whose making broke off; returns them."""
    return [entry for entry in entries() if _removed(entry, days)]


def _removed(entry: Entry, days: float) -> bool:
    broken_off = _PART.fullmatch(entry.path.name)
    if broken_off is not None and not _lives(int(broken_off[1])):
        shutil.rmtree(entry.path, ignore_errors=True)
        return not entry.path.exists()
    if not entry.workplace or entry.days < days:
        return False
    with _unused(entry.path / _LOCK) as free:
        if not free or _days(entry.path) < days:  # a build began since it was looked at
            return False
        gone = entry.path.with_name(f"{entry.path.name}.{os.getpid()}")
        with suppress(OSError):
            entry.path.rename(gone)  # at once, so that nobody finds half of it
    shutil.rmtree(gone, ignore_errors=True)
    return not entry.path.exists()


@contextmanager
def _unused(lock: Path) -> Iterator[bool]:
    """Hold the lock of a workplace for as long as this lasts; False when somebody has it."""
    if not lock.exists():
        yield True
        return
    try:
        with lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
    except OSError:
        yield False


def _is_workplace(path: Path) -> bool:
    return path.is_dir() and _WORKPLACE.fullmatch(path.name) is not None


def _days(path: Path) -> float:
    """Since the last sign of use."""
    times = [0.0]
    for sign in (path, path / _USED, path / _LOCK):
        with suppress(OSError):
            times.append(sign.stat().st_mtime)
    return max(0.0, (time.time() - max(times)) / _DAY_S)


def _size(path: Path) -> int:
    """Bytes of files, links not followed."""
    total = 0
    files = [path]
    if path.is_dir() and not path.is_symlink():
        files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    for file in files:
        with suppress(OSError):
            total += file.lstat().st_size
    return total


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
