"""A client of the GDB remote serial protocol, as far as a harness needs it: stop, go on, memory, one breakpoint.

Protocol: "Debugging with GDB", appendix E.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from hil.errors import BoardError, DeviceSilent
from hil.patience import Patience, Turns

_ANSWER_S = 20.0  # longest time that a stub takes for anything but running the target
_CHUNK_BYTES = 1024  # of memory in one packet; stubs have buffers of a few kilobytes
_INTERRUPT = b"\x03"


class GdbStub:
    """A debug stub on the other end of `connection`. The target stands still from now on, until `resume`.

    Every call raises BoardError when the stub does not answer or refuses.
    """

    def __init__(self, connection: socket.socket, turns: Turns = dict) -> None:
        """turns: what the emulator got of this machine's processors; no time-out counts what it lost."""
        self._connection, self._turns = connection, turns
        self._received = b""
        self._ask("?")
        self._running = False

    def resume(self) -> None:
        """Let the target run."""
        if not self._running:
            self._send("c")
            self._running = True

    def stop(self) -> None:
        """Stop the target, and return when it stands still."""
        if self._running:
            self._connection.sendall(_INTERRUPT)
            self.await_stop(_ANSWER_S)

    def await_stop(self, timeout_s: float) -> None:
        """Return when the target has stopped by itself, at a breakpoint. Raises DeviceSilent when it does not."""
        if self._running:
            if self._receive(timeout_s) is None:
                raise DeviceSilent(f"the firmware did not come to the breakpoint within {timeout_s:g} s")
            self._running = False

    def step(self) -> None:
        """Execute one instruction of a target that stands still."""
        self._ask("s")

    def set_breakpoint(self, address: int) -> None:
        self._ask(f"Z0,{address:x},2")

    def clear_breakpoint(self, address: int) -> None:
        self._ask(f"z0,{address:x},2")

    def detach(self) -> None:
        """Take breakpoints away, let the target run, and leave it."""
        self.stop()
        self._ask("D")
        self._running = True

    def read(self, address: int, size: int) -> bytes:
        """Memory of the target; what runs is stopped for as long as it takes."""
        data = b""
        with self._standing():
            while len(data) < size:
                count = min(_CHUNK_BYTES, size - len(data))
                data += bytes.fromhex(self._ask(f"m{address + len(data):x},{count:x}"))
        return data

    def write(self, address: int, data: bytes) -> None:
        """Store into memory of the target; what runs is stopped for as long as it takes."""
        with self._standing():
            for at in range(0, len(data), _CHUNK_BYTES):
                piece = data[at : at + _CHUNK_BYTES]
                self._ask(f"M{address + at:x},{len(piece):x}:{piece.hex()}")

    @contextmanager
    def _standing(self) -> Iterator[None]:
        running = self._running
        self.stop()
        yield
        if running:
            self.resume()

    # ---- packets

    def _ask(self, text: str) -> str:
        self._send(text)
        answer = self._receive(_ANSWER_S)
        if answer is None or answer.startswith("E"):
            what = "did not answer" if answer is None else f"refused (error {answer[1:]})"
            raise BoardError(f"the emulator's debug stub {what}: {text[:40]}\n  next: run it again")
        return answer

    def _send(self, text: str) -> None:
        body = text.encode("ascii")
        self._connection.sendall(b"$%b#%02x" % (body, sum(body) & 0xFF))

    def _receive(self, timeout_s: float) -> str | None:
        """The next packet, acknowledged; None when none comes in time."""
        patience = Patience(timeout_s, self._turns)
        while b"#" not in self._received or len(self._received) < self._received.index(b"#") + 3:
            if not patience.await_data(self._connection):
                return None
            data = self._connection.recv(65536)
            if not data:
                raise BoardError("the emulator's debug stub closed its connection")
            self._received = (self._received + data).lstrip(b"+")
        body, _, rest = self._received.partition(b"#")
        self._received = rest[2:].lstrip(b"+")
        self._connection.sendall(b"+")
        return body.removeprefix(b"$").decode("ascii")
