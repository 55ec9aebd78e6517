"""A temporary folder for a foreign program that ends together with this process, whatever ends it: the folder, and all
processes that were started in it.

A program that forks, or that needs named files, cannot be tied to its parent by the kernel alone. So a small guardian
process (`python private_folder.py FOLDER`) waits for this process to go away. Should both be killed, the next
run finds the folder without an owner, and removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PREFIX = "hil-private-"
_LOCK = "owned"
_KILL_S = 5.0


class PrivateFolder:
    """A fresh folder with room for a HOME and a TMPDIR. `remove` ends the processes that have it as their TMPDIR."""

    def __init__(self) -> None:
        remove_ownerless(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        self._guardian: subprocess.Popen[bytes] | None = None
        self._lock = -1
        try:
            self._lock = _own(self.path)
            self.temporary.mkdir()
            self._home.mkdir()
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(self.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at the terminal must not reach it
            )
        except BaseException:
            self.remove()
            raise

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def _home(self) -> Path:
        return self.path / "home"

    @property
    def environment(self) -> dict[str, str]:
        """What the program has to be started with."""
        return {"TMPDIR": str(self.temporary), "HOME": str(self._home)}

    def remove(self) -> None:
        """End the processes, remove the folder, dismiss the guardian. Safe to call twice."""
        end(self.path)
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            assert guardian.stdin is not None
            guardian.stdin.close()
            guardian.wait()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def remove_ownerless(parent: Path) -> None:
    """Remove the folders in `parent` whose owner is gone: their lock can be had."""
    for folder in parent.glob(_PREFIX + "*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue  # just being made, just being removed, or another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            end(folder)
        except OSError:
            pass  # it is in use
        finally:
            os.close(lock)


def _own(folder: Path) -> int:
    """The folder's lock, held until the descriptor is closed. It appears under its name when it is already held."""
    lock = os.open(folder / f".{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(folder / f".{_LOCK}", folder / _LOCK)
    return lock


def end(folder: Path) -> None:
    """Kill all processes that were started with this folder, and remove it."""
    give_up = time.monotonic() + _KILL_S  # a process that the kernel does not let go cannot be helped
    while (running := _started_in(folder)) and time.monotonic() < give_up:
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _started_in(folder: Path) -> list[int]:
    """Living processes whose environment names this folder. Its name is random, so that is proof enough."""
    wanted = b"\0TMPDIR=" + os.fsencode(folder) + b"/tmp\0"
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                with open(f"/proc/{entry.name}/environ", "rb") as file:
                    environment = file.read()
            except OSError:
                continue  # another user's, or it has ended
            if wanted in b"\0" + environment:
                found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.stdin.buffer.read()  # ends when the process that holds the other end does
    end(Path(sys.argv[1]))
