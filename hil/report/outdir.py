"""The folder of one run's results: one run at a time, whole files only."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from hil.errors import UsageError
from hil.runfile import RUN_FILE

PAGE_FILE, SUMMARY_FILE = "report.html", "summary.md"
_LOCK_FILE = ".lock"


class OutDir:
    """`path`, held by this process until `close`. Raises UsageError when it cannot be written or another run holds
    it.

    crew: name of a run of several processes, which hold the folder together; the first of them forgets the last run.
    """

    def __init__(self, path: Path, crew: str = "") -> None:
        self.path, self._crew = path, crew
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(
                f"output folder {path} cannot be written: {error.strerror}\n  fix: give another one with --hil-out=DIR"
            ) from error
        if not self._take(fcntl.LOCK_EX):
            if not crew or not self._take(fcntl.LOCK_SH) or crew not in self._holder():
                holder = self._holder() or "another run"
                os.close(self._lock)
                raise UsageError(
                    f"output folder {path} is in use by {holder}\n"
                    f"  fix: wait for it, or give this run its own with --hil-out=DIR"
                )
        elif not crew or crew not in self._holder():
            os.ftruncate(self._lock, 0)
            name = f"pid {os.getpid()} ({' '.join(sys.argv)[:120]})"
            os.pwrite(self._lock, " ".join(filter(None, (name, crew))).encode(), 0)
            self._forget_last_run()
        if crew:
            self._take(fcntl.LOCK_SH)  # lets the rest of the crew in

    def _take(self, operation: int) -> bool:
        try:
            fcntl.flock(self._lock, operation | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _holder(self) -> str:
        return os.pread(self._lock, 400, 0).decode(errors="replace").strip()

    def write(self, name: str, data: bytes) -> Path:
        """A whole file or none. Raises UsageError when the folder went away or the disk is full."""
        target = self.path / name
        part = target.with_name(f".{target.name}.part")
        try:
            part.write_bytes(data)
            os.replace(part, target)
        except OSError as error:
            raise UsageError(
                f"cannot write {target}: {error.strerror}\n  fix: free space, or give --hil-out=DIR"
            ) from error
        return target

    def close(self) -> None:
        """Let others in. Safe to call twice."""
        if self._lock >= 0:
            if not self._crew:
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1

    def _forget_last_run(self) -> None:
        """An interrupted run must not leave the verdict of the one before it."""
        try:
            for name in (RUN_FILE, PAGE_FILE, SUMMARY_FILE):
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            self.close()
            raise UsageError(
                f"output folder {self.path} cannot be written: {error.strerror}\n"
                f"  fix: give another one with --hil-out=DIR"
            ) from error
