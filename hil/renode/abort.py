"""Sees in Renode's log that the core cannot go on."""

from __future__ import annotations

from pathlib import Path

_ABORT = b"CPU abort"


class AbortWatch:
    """Over the log of one Renode. Costs nothing while the log does not grow."""

    def __init__(self, log: Path) -> None:
        self._log, self._read = log, 0

    def begin(self) -> None:
        """What was logged until now is the firmware's of before."""
        self._read = self._log.stat().st_size

    def found(self) -> str | None:
        """What Renode logged when the core could not go on, if it did; told again when asked again."""
        try:
            size = self._log.stat().st_size
            if size <= self._read:
                return None
            with self._log.open("rb") as log:
                log.seek(self._read)
                new = log.read(size - self._read)
        except OSError:
            return None
        whole = new.rfind(b"\n") + 1  # the rest is still being written
        line = next((line for line in new[:whole].splitlines() if _ABORT in line), None)
        if line is not None:
            return line.decode(errors="replace").strip()
        self._read += whole
        return None
