"""The host's end of an emulated UART, as a `Port` of hil.link.stream: one end of a socket."""

from __future__ import annotations

import os
import select
import socket

from hil.errors import BoardError
from hil.link.stream import PortGone

_AT_ONCE = 1 << 16  # bytes of one read


class EmulatedUart:
    """name: of the UART, for messages; emulator: whose it is. Nobody is at the other end until `adopt` or `open`."""

    baud = 1_000_000_000  # what is written is there

    def __init__(self, name: str, emulator: str) -> None:
        self.name, self._emulator = name, emulator
        self._ours: socket.socket | None = None
        self._theirs: socket.socket | None = None

    def adopt(self, connected: socket.socket) -> None:
        """Speak over this socket from now on."""
        self.close()
        connected.setblocking(False)
        self._ours = connected

    def open(self) -> int:
        """A new line; returns the descriptor that the emulator inherits."""
        ours, theirs = _pair()
        self.adopt(ours)
        self._theirs = theirs
        return theirs.fileno()

    def handed_over(self) -> None:
        """The emulator has its end; when it closes, the line is gone."""
        theirs, self._theirs = self._theirs, None
        if theirs is not None:
            theirs.close()

    def close(self) -> None:
        """Safe to call twice."""
        self.handed_over()
        ours, self._ours = self._ours, None
        if ours is not None:
            ours.close()

    # ---- Port

    def read(self) -> bytes:
        try:
            data = os.read(self._fd(), _AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortGone(str(error)) from error
        if not data:
            raise PortGone(f"{self._emulator} closed it")
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
        return f"it ends with {self._emulator}"

    def _fd(self) -> int:
        if self._ours is None:
            raise PortGone("it is closed")
        return self._ours.fileno()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection. A pair of Unix sockets is full after some 270 writes of a byte each, and QEMU's
    model of a UART that cannot wait (SiFive's) then throws bytes away.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, peer = server.accept()
    if peer != ours.getsockname():
        ours.close()
        theirs.close()
        raise BoardError("another program connected to the port of the emulated UART\n  next: run it again")
    for end in (ours, theirs):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs
