"""case.lock: the version and the hashes of a released case, so that no file of it changes unnoticed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil.errors import CaseError

LOCK = "case.lock"
BUILD = "build.py"  # covered when it is there
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Lock:
    """Version, and SHA-256 (hex) of each file by its path below the case's folder."""

    version: int
    files: Mapping[str, str]

    def text(self) -> str:
        """The lock as TOML, files sorted by name."""
        lines = [f'"{name}" = "{digest}"' for name, digest in sorted(self.files.items())]
        head = "# Written by `hil case lock`. It vouches for the files of this version of the case; do not edit it."
        return "\n".join((head, f"version = {self.version}", "", "[files]", *lines, ""))


def read_lock(folder: Path) -> Lock | None:
    """The lock of a case folder, None when there is none. Raises CaseError for a file that is no lock."""
    path = folder / LOCK
    if not path.exists():
        return None
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        version, files = tables["version"], tables["files"]
    except (OSError, ValueError, KeyError, RecursionError) as error:  # UTF-8 and TOML errors are ValueErrors
        raise _broken(path, f"it cannot be read ({error})", folder) from None
    good = type(version) is int and isinstance(files, dict) and all(_is_hash(digest) for digest in files.values())
    if not good or tables.keys() != {"version", "files"}:
        raise _broken(path, "it is not what `hil case lock` writes", folder)
    return Lock(version, files)


def _is_hash(digest: object) -> bool:
    return isinstance(digest, str) and len(digest) == 64 and set(digest) <= _DIGITS


def _broken(path: Path, problem: str, folder: Path) -> CaseError:
    return CaseError(path, "", problem, f"restore it, or delete it and run: hil case lock {folder}")


def check_lock(folder: Path, lock: Lock, now: Lock) -> None:
    """Raises CaseError when `now` is not what was locked, and says which file changed and what to do."""
    if changes := _changes(lock, now):
        command = f"run: hil case lock {folder}"
        fix = command if now.version > lock.version else f"{_raise(lock)}, then {command}"
        problem = f"the case changed since version {lock.version} was locked: {changes}"
        raise CaseError(folder / LOCK, "", problem, f"restore what changed; if the change is meant, {fix}")


def new_lock(folder: Path, lock: Lock | None, now: Lock) -> Lock:
    """What may be written now. Raises CaseError when something changed but the version is not above the locked one."""
    if lock is not None and now.version <= lock.version and (changes := _changes(lock, now)):
        problem = (
            f"version {now.version} is not above the locked version {lock.version}, but the case changed: {changes}"
        )
        raise CaseError(folder / "case.toml", "[case] version", problem, _raise(lock))
    return now


def _raise(lock: Lock) -> str:
    return f"raise [case] version in case.toml to {lock.version + 1} or more"


def _changes(lock: Lock, now: Lock) -> str:
    """Which files differ, in words; empty when none does."""
    kinds = {
        "changed": sorted(name for name in lock.files.keys() & now.files if lock.files[name] != now.files[name]),
        "added": sorted(now.files.keys() - lock.files.keys()),
        "gone": sorted(lock.files.keys() - now.files.keys()),
    }
    words = [f"{', '.join(names)} {kind}" for kind, names in kinds.items() if names]
    if lock.version != now.version:
        words.append(f"version is {now.version}")
    return "; ".join(words)
