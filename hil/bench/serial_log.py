"""Copies what a firmware writes to a serial port into its log file, in a thread of its own."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from hil.bench.port import PortUse, open_port

_READ_S = 0.05  # longest wait of one read, so the longest that `close` waits
_QUIET_S = 0.03  # a line at 115,200 baud and the 16 ms that a USB serial port may hold bytes back are shorter
_FLUSH_S = 0.5  # longest wait for the port to fall quiet
_ENOUGH_BYTES = 24  # to say anything about what they are
_USE = PortUse("log", 'set serial = "none" in the board file to run without a log')
_TEXT = frozenset((*range(0x20, 0x7F), *b"\t\n\r\x1b"))


class SerialLog:
    """An open port whose bytes are appended to a file, from the start until `close`."""

    def __init__(self, port: str, baud: int, log: Path, friends: frozenset[int] = frozenset()) -> None:
        """port: a device, or a URL of pyserial (socket://HOST:PORT, rfc2217://HOST:PORT).

        friends: processes that may have the port open too. Raises BoardBroken that names the port and who holds it.
        """
        self.port, self._baud, self._log = port, baud, log
        self._lock = threading.Lock()
        self._seen = self._odd = self._lost = 0
        self._failure = ""  # why bytes were lost
        self._last_byte = 0.0
        self._ended = ""
        self._closing = False
        self._serial = open_port(port, baud, _USE, _READ_S, friends)
        self._thread = threading.Thread(target=self._copy, name=f"log of {port}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the port went away."""
        return bool(self._ended)

    def turn_to(self, log: Path) -> None:
        """What comes from now on goes to `log`; the one before ends with the hint, if there is one."""
        with self._lock:
            self._write_hint()
            self._log = log
            self._seen = self._odd = self._lost = 0

    def flush(self) -> None:
        """Return once the port has been quiet for a moment: what was under way is in the file then."""
        end = time.monotonic() + _FLUSH_S
        start = time.monotonic()
        while not self._ended and (now := time.monotonic()) < end and now < max(start, self._last_byte) + _QUIET_S:
            time.sleep(_QUIET_S / 10)

    def hint(self) -> str:
        """What is wrong with the log itself since the last `turn_to`, in words; "" when nothing is."""
        if self._lost:
            return f"({self._lost} of {self._seen} bytes from {self.port} are not in the log: {self._failure})"
        if self._ended:
            return f"(the log ends here: {self._ended})"
        if self._seen >= _ENOUGH_BYTES and self._odd * 4 > self._seen:
            return (
                f"({self._odd} of {self._seen} bytes from {self.port} are no text: is the firmware's UART at "
                f"{self._baud} baud? The board file's baud, the clock of the UART, or the crystal may be wrong)"
            )
        return ""

    def close(self) -> None:
        """Give the port back; the log ends with the hint, if there is one. Safe to call twice."""
        if not self._closing:
            self._closing = True
            self._thread.join()
            self._write_hint()
        self._serial.close()

    def _copy(self) -> None:
        while not self._closing:
            try:
                data = self._serial.read(max(1, self._serial.in_waiting))
            except Exception as error:  # pyserial's own, or the driver's: the port went away
                self._ended = f"port {self.port}: {error}"
                return
            if data:
                self._append(data)

    def _append(self, data: bytes) -> None:
        with self._lock:
            try:
                with self._log.open("ab") as file:
                    file.write(data)
            except OSError as error:  # a full disk may have room again for what comes next
                self._lost += len(data)
                self._failure = f"{self._log}: {error.strerror}"
            self._seen += len(data)
            self._odd += sum(byte not in _TEXT for byte in data)
        self._last_byte = time.monotonic()

    def _write_hint(self) -> None:
        """A run that passes shows its hint nowhere else."""
        if hint := self.hint():
            with suppress(OSError), self._log.open("ab") as file:
                file.write(f"\n{hint}\n".encode())
