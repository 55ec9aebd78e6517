"""Any byte stream as a channel: a serial port, a socket. Log lines may stand between the frames (docs/link.md).

A stream cannot see what the firmware took up, or that it restarted: `boot` of the next reply tells that. What it does
see is that the port went away: then it is opened again, and the firmware is asked who it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hil.errors import BoardBroken
from hil.link.frame import FrameReader

_QUIET_S = 0.03  # a USB serial port may hold bytes back for 16 ms
_BITS = 10  # of a byte on the wire: 8N1
_TEXT = frozenset((*range(0x20, 0x7F), *b"\t\n\r\x1b\0"))


class PortGone(Exception):
    """The port went away. What the operating system said of it."""


class Port(Protocol):
    """An open port. No call waits longer than it says; PortGone is raised when the port is not there any more."""

    name: str  # as messages call it
    baud: int

    def read(self) -> bytes:
        """All bytes that wait; empty when there are none."""

    def write(self, data: bytes) -> int:
        """Hand over as many bytes as there is room for now; returns how many."""

    def waiting(self) -> int:
        """Bytes that were handed over and have not left this machine, as far as that is known."""

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when a byte comes."""

    def reopen(self) -> str:
        """Open it again; "" when it is open, else why it is not there yet. Raises BoardBroken when it is there and
        cannot be had.
        """


@dataclass
class Heard:
    """What came over the line since it was opened, to say what may be wrong with it. odd: bytes that are neither of a
    frame nor of a text.
    """

    bytes: int = 0
    odd: int = 0


class Stream:
    """A channel over a port. patience_s: how long a port may stay away. log: takes the lines between frames."""

    def __init__(self, port: Port, patience_s: float, log: Callable[[bytes], None]) -> None:
        self.port, self._patience_s, self._log = port, patience_s, log
        self.heard = Heard()
        self._reader = FrameReader()
        self._gone = ""  # why the port went away, until it was attached to again
        self._since = self._away_s = 0.0  # host time when it went, and how long it was away
        self._back = False
        self._taken = 0
        self._free_at = self._heard_at = 0.0  # host time when all that was written has passed; of the last byte

    @property
    def made_anew(self) -> bool:
        """Whether the port went away. A restart is not seen otherwise."""
        return bool(self._gone)

    @property
    def published(self) -> bool:
        """Whether the port is back. Raises BoardBroken when it stays away longer than is waited for."""
        if self._back:
            return True
        if not (why := self.port.reopen()):
            self._back, self._away_s = True, time.monotonic() - self._since
            return True
        if time.monotonic() - self._since > self._patience_s:
            raise BoardBroken(
                f"port {self.port.name} went away ({self._gone}) and did not come back within {self._patience_s:g} s\n"
                f"  {why}\n"
                "  next: look at cable, hub and power of the board; does its port come back under another name? Then "
                "name it by a path that stays, such as /dev/serial/by-id/..."
            )
        return False

    @property
    def unrestarted(self) -> str:
        """What it means when the port went away and the firmware says that it did not restart."""
        return (
            f"port {self.port.name} went away in mid-session and came back after {self._away_s:.1f} s, and "
            "the firmware has not restarted meanwhile\n"
            "  next: look at cable, hub and the power saving of USB; or another program took the port"
        )

    @property
    def taken(self) -> int:
        """Bytes that were sent: nobody sees which of them the firmware took."""
        return self._taken

    def attach(self) -> None:
        self._gone, self._back = "", False

    def look(self) -> None:
        """There is nothing to be seen."""

    def read(self) -> bytes:
        if self._gone:
            return b""
        try:
            data = self.port.read()
        except PortGone as error:
            self._lose(error)
            return b""
        if data:
            self._heard_at = time.monotonic()
            self.heard.bytes += len(data)
            self.heard.odd += sum(byte not in _TEXT for byte in data)
        return data

    def write(self, data: bytes) -> int:
        if self._gone:
            return 0
        try:
            taken = self.port.write(data)
        except PortGone as error:
            self._lose(error)
            return 0
        self._taken += taken
        self._free_at = max(self._free_at, time.monotonic()) + taken * _BITS / self.port.baud
        return taken

    def drained(self) -> bool:
        """Whether all that was written has had the time to pass the wire, and nothing is coming in."""
        now = time.monotonic()
        if self._gone or now < self._free_at or now < self._heard_at + _QUIET_S:
            return False
        try:
            return self.port.waiting() == 0
        except PortGone as error:
            self._lose(error)
            return False

    def told(self) -> str:
        return f"{self.heard.bytes} bytes came from {self.port.name}, {self.heard.odd} of them no text"

    def wait(self, seconds: float) -> None:
        try:
            if self._gone:
                time.sleep(seconds)
            else:
                self.port.wait(seconds)
        except PortGone as error:
            self._lose(error)

    def reader(self, damaged: int = 0) -> FrameReader:
        """Log lines may stand between the frames, or in front of one."""
        self._reader = FrameReader(damaged, self._log)
        return self._reader

    @property
    def unfinished(self) -> bytes:
        """What came behind the last frame or log line."""
        return self._reader.unfinished

    def settle(self) -> None:
        """Between two requests: what has come by now is a log line, or nobody waits for it any more."""
        for _ in self._reader.feed(self.read()):
            pass
        self._reader.finish()

    def _lose(self, error: PortGone) -> None:
        self._gone, self._since, self._back = str(error) or "closed", time.monotonic(), False
