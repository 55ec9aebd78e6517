"""The harness's end of a virtual Nucleo: starts the simulated bench and plugs its probe into pyOCD's view of USB."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from hil.child import Child
from hil.errors import BoardError
from hil.virtual.misbehaviour import Misbehaviour
from hil.virtual.stlink import SERIAL_NUMBERS
from hil.virtual.usb import ControlLine, UsbDevice, replaced_bus

SERIAL_NUMBER = SERIAL_NUMBERS[0]


class VirtualNucleo:
    """A simulated NUCLEO-F429ZI with its ST-LINK/V2-1, in a process of its own that ends with this one.

    `misbehave`: texts such as "unplug:flash" (hil/virtual/misbehaviour.py lists them).
    `flash_image`: a file that keeps the 2 MB of flash between two runs; without it each one starts with a blank chip.
    `probe_id`: the probe's USB serial number, 24 hexadecimal digits.

        with VirtualNucleo() as bench, bench.plugged_in():
            session = ConnectHelper.session_with_chosen_probe(unique_id=bench.serial_number, ...)

    Raises UsageError for an unknown misbehaviour, BoardError when the process does not start.
    """

    def __init__(self, misbehave: Sequence[str] = (), flash_image: Path | None = None, probe_id: str = "") -> None:
        self.serial_number = probe_id or SERIAL_NUMBER  # of the probe that the board hangs on
        self.misbehaviour = Misbehaviour.parse(misbehave)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "hil.virtual.server", "--control", str(theirs.fileno())]
        command += [f"--misbehave={text}" for text in misbehave]
        if flash_image is not None:
            command += ["--flash", str(flash_image)]
        command += ["--probe-id", self.serial_number]
        try:
            self._child = Child(command, (theirs.fileno(),))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._line = ControlLine(ours)
        try:
            self._serial_path = self._line.serial_path()
        except OSError as error:
            words = self._child.ended() or self._child.words() or "it said nothing"
            self.close()
            raise BoardError(f"start: the virtual board did not come up ({error}): {words}") from error

    @property
    def serial_path(self) -> str:
        """Path of the virtual COM port (a pty that pyserial opens); the last one while the cable is pulled."""
        with suppress(OSError):
            self._serial_path = self._line.serial_path()
        return self._serial_path

    @property
    def pid(self) -> int:
        """Process id of the simulated bench."""
        return self._child.pid

    @property
    def devices(self) -> list[UsbDevice]:
        """The devices on the simulated USB bus now, as pyusb would list them; none once it is gone or silent."""
        return self._line.devices()

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Let pyOCD's ST-Link driver see this bench's USB bus, and no real one, until the context ends."""
        with replaced_bus(self._line.devices):
            yield

    def ended(self) -> str | None:
        """None while the process runs and answers, else how it ended, with its last words."""
        ended = self._child.ended()
        if ended is None and self._line.silent:
            return "the simulated board does not answer"
        return ended

    def words(self) -> str:
        """What the process wrote to its standard streams: nothing, unless it broke."""
        return self._child.words()

    def close(self) -> None:
        """End the process and give the line back. Safe to call twice."""
        self._line.close()
        self._child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
