"""A serial port or socket that carries the link: read and written without waiting, lost, and opened again."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hil.bench.port import PortUse, holders, open_port
from hil.errors import BoardBroken, BoardError
from hil.link.stream import PortGone

_MOST_BYTES = 1 << 16  # of one read
_PULSE_S = 0.1  # what reset circuits on DTR or RTS need, and esptool takes
_USE = PortUse("connect", "give the board another port in its board file")


class SerialPort:
    """A `Port` of hil.link.stream. name: a device, or a URL of pyserial. levels: of dtr and rts while it is open."""

    def __init__(self, name: str, baud: int, levels: Mapping[str, bool]) -> None:
        """Not opened yet."""
        self.name, self.baud = name, baud
        self._levels = dict(levels)
        self._serial: Any = None
        self._fd = -1  # -1: pyserial has none for this kind of URL

    def open(self) -> None:
        """Raises BoardBroken that names the port and, where it is in use, who holds it."""
        self.close()
        self._serial = open_port(self.name, self.baud, _USE, 0, lines=self._levels)
        try:
            self._fd = self._serial.fileno()
        except OSError:
            self._fd = -1

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    def close(self) -> None:
        """Give the port back. Safe to call twice."""
        found, self._serial, self._fd = self._serial, None, -1
        if found is not None:
            with suppress(OSError):  # of a port that is not there any more
                found.close()

    def others(self) -> list[int]:
        """Other processes that have it open too, as far as this user may see: they take bytes away."""
        return [] if "://" in self.name else list(holders(self.name))

    def pulse(self, line: str) -> None:
        """Turn DTR or RTS round for a moment. Raises BoardError when this port has no such line."""
        level = self._levels.get(line, True)
        try:
            setattr(self._opened(), line, not level)
            time.sleep(_PULSE_S)
            setattr(self._opened(), line, level)
        except (OSError, PortGone) as error:
            raise BoardError(
                f"reset: port {self.name} does not set {line.upper()}: {error}\n"
                f"  next: name a command in place of reset = {line!r} in the board file"
            ) from error

    # ---- Port

    def read(self) -> bytes:
        found = self._opened()
        try:
            if self._fd < 0:
                return bytes(found.read(found.in_waiting))
            if not select.select([self._fd], [], [], 0)[0]:
                return b""
            data = os.read(self._fd, _MOST_BYTES)
        except BlockingIOError:
            return b""
        except (OSError, TypeError, ValueError) as error:  # what pyserial makes of a port that was closed
            raise PortGone(_words(error)) from error
        if not data:
            raise PortGone("the other end closed it")
        return data

    def write(self, data: bytes) -> int:
        found = self._opened()
        try:
            return int(found.write(data) or 0) if self._fd < 0 else os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except (OSError, TypeError, ValueError) as error:
            raise PortGone(_words(error)) from error

    def waiting(self) -> int:
        self._opened()
        if self._fd < 0:
            return 0
        try:
            return int(struct.unpack("I", fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4)))[0])
        except OSError:  # not every driver tells
            return 0

    def wait(self, seconds: float) -> None:
        self._opened()
        if self._fd < 0:
            time.sleep(seconds)
            return
        try:
            select.select([self._fd], [], [], seconds)
        except (OSError, ValueError) as error:
            raise PortGone(_words(error)) from error

    def reopen(self) -> str:
        try:
            self.open()
        except BoardBroken as error:
            if "is in use by" in str(error):
                raise
            return str(error).splitlines()[0]
        return ""

    def _opened(self) -> Any:
        if self._serial is None:
            raise PortGone("it is closed")
        return self._serial


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
