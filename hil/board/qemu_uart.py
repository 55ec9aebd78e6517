"""Firmware of others in QEMU: it holds its own model and speaks over the first UART of its machine.

It gives no memory that the harness knows its way in, and so no fault record: a fault shows as a hang. Where the core
then is, QEMU's monitor tells.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from hil.board.config import BoardConfig
from hil.board.fault import causes
from hil.board.hosted import require_running
from hil.board.logged import LoggedBoard
from hil.board.outside import OnlyMemory, Outside
from hil.board.qemu_control import GIVES_UP, Control, ended_by_lockup, locked_up
from hil.child import Child
from hil.errors import BoardError, DeviceSilent
from hil.image.elf import Image
from hil.image.flash import Layout, check_machine, check_placement
from hil.link.stream import PortGone, Stream
from hil.patience import Turn
from hil.records import ClockSpec, FaultReport, Hello

_AT_ONCE = 1 << 16  # bytes of one read


class UartBoard(LoggedBoard):
    """machine: QEMU's command line as far as it does not depend on the image. Each start is a new process."""

    request_s = 1e-2  # an emulated processor that is interrupted for each byte

    def __init__(
        self, config: BoardConfig, machine: Sequence[str], layout: Layout, clock: ClockSpec, log: Path
    ) -> None:
        super().__init__(config, clock, log)
        self._machine, self._layout = tuple(machine), layout
        self._control = Control(config.name, self.turns)
        self._child: Child | None = None
        self._port = _Line()
        self._stream = self._new_stream()

    # ---- Board

    @property
    def memory(self) -> None:
        """This board gives no memory."""
        return None

    def check_image(self, image: Image) -> None:
        check_machine(image)
        check_placement(image, self._layout)

    def channel(self) -> Stream:
        self._stream.attach()
        return self._stream

    def last_taken(self) -> None:
        """It lies in memory."""
        return None

    def outside(self) -> AbstractContextManager[Outside]:
        return nullcontext(OnlyMemory(None))

    def provision(self, image: Image, bundle: bytes) -> None:
        self.check_image(image)
        self._image = image
        self.reset()

    def reset(self) -> None:
        self._start()
        self._greet()

    def ping(self, image: Callable[[], Image]) -> Hello:
        """Of the image, which is started as it is."""
        self._image = image()
        self.check_image(self._image)
        self._start()
        return self._greet()

    def check(self) -> None:
        require_running(self.config.name, self._child, ended_by_lockup, lambda _: locked_up(self.postmortem().text))

    def postmortem(self) -> FaultReport:
        self._stream.settle()
        dead = self._child is not None and self._child.ended() is not None
        registers = dict(self._control.registers(self._child.words() if self._child and dead else None))
        if mute := self._control.mute:
            raise BoardError(f"run: board {self.config.name}: {mute}")
        lines = ["this board keeps no fault record; the core was found here", *causes(registers)]
        return FaultReport("hang", "unknown", self._explained(lines, registers), registers)

    def turns(self) -> Mapping[int, Turn]:
        return self._child.turns() if self._child else {}

    def close(self) -> None:
        self._stop()

    def words(self) -> str:
        said = self._child.words().partition(GIVES_UP)[0] if self._child else ""
        return self._stream.unfinished.decode(errors="replace") + said

    # ---- inside

    def _start(self) -> None:
        self._stop()
        control, fds = self._control.open()
        theirs = self._port.open()
        command = [
            *(*self._machine, "-kernel", str(self.image.path), *control),
            *("-chardev", f"socket,id=link,fd={theirs}", "-serial", "chardev:link"),
        ]
        self._child = Child(command, (*fds, theirs))
        self._port.handed_over()
        self._stream = self._new_stream()

    def _new_stream(self) -> Stream:
        return Stream(self._port, 0.0, self._write)

    def _write(self, text: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(text)

    def _stop(self) -> None:
        if self._child is not None:
            self._stream.settle()
            child, self._child = self._child, None
            self._write(child.words(1 << 20).encode())
            child.kill()
        self._control.close()
        self._port.close()

    def _greet(self) -> Hello:
        """What the firmware says, once it does. Raises BoardError, with where the core is, when it does not."""
        try:
            return self._hello_by(self._client())
        except DeviceSilent as error:
            limit = self.config.timeout.boot_s
            silent = f"boot: board {self.config.name} did not say hello within {limit:g} s: {self._stream.told()}"
            raise BoardError(
                f"{silent}\n{self.postmortem().text}\n"
                f"  next: does {self.image.path} have the test agent, is it polled, and is its line the first UART?"
            ) from error


class _Line:
    """A `Port` of hil.link.stream: the host's end of the UART."""

    name = "QEMU's UART"
    baud = 1_000_000_000  # what is written is there

    def __init__(self) -> None:
        self._ours: socket.socket | None = None
        self._theirs: socket.socket | None = None

    def open(self) -> int:
        """A new line; returns the descriptor that QEMU inherits."""
        self.close()
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        return self._theirs.fileno()

    def handed_over(self) -> None:
        """QEMU has its end; when it closes, the line is gone."""
        theirs, self._theirs = self._theirs, None
        if theirs is not None:
            theirs.close()

    def close(self) -> None:
        """Safe to call twice."""
        self.handed_over()
        ours, self._ours = self._ours, None
        if ours is not None:
            ours.close()

    def read(self) -> bytes:
        try:
            data = os.read(self._fd(), _AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortGone(str(error)) from error
        if not data:
            raise PortGone("QEMU closed it")
        return data

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._fd(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PortGone(str(error)) from error

    def waiting(self) -> int:
        return 0

    def wait(self, seconds: float) -> None:
        select.select([self._fd()], [], [], seconds)

    def reopen(self) -> str:
        return "it ends with QEMU"

    def _fd(self) -> int:
        if self._ours is None:
            raise PortGone("it is closed")
        return self._ours.fileno()
