"""Replaces several files of a folder as one: after a crash all are old, or the change is there to be finished.

The new files are written into a folder of their own. Renaming that folder is the moment at which the change is made;
only then are they moved over the old ones. What a crash leaves of the first step means nothing; what it leaves of the
second is finished by `finish`, and a case in between is refused, so that nobody reads half a change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hil.errors import CaseError, UsageError

_WRITING, _DECIDED = ".regen.part", ".regen.commit"


def check_finished(folder: Path) -> None:
    """Raises CaseError when a change of the folder's files was interrupted."""
    if (folder / _DECIDED).is_dir():
        problem = "an accepted change of this case was interrupted, its files are in between"
        raise CaseError(folder, "", problem, f"finish it: hil case regen {folder}")


def replace_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files (by name, directly in `folder`) over what is there. Raises UsageError when that is impossible."""
    part = folder / _WRITING
    try:
        if part.exists():
            shutil.rmtree(part)
        part.mkdir()
        for name, data in contents.items():
            with (part / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync(part)
        part.rename(folder / _DECIDED)
        _sync(folder)
        finish(folder)
    except OSError as error:
        problem = f"{folder}: its files cannot be written ({error.strerror})"
        raise UsageError(f"{problem}\n  fix: make the folder writable, free space, run it again") from error


def finish(folder: Path) -> bool:
    """Move the files of a decided change into place; whether there was one. Safe to repeat."""
    decided = folder / _DECIDED
    if not decided.is_dir():
        return False
    for file in sorted(decided.iterdir()):
        file.replace(folder / file.name)
    _sync(folder)
    decided.rmdir()
    return True


def _sync(folder: Path) -> None:
    """Names that were changed in a folder outlive a power cut from here on."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
