"""QEMU past its firmware: the monitor and the debug stub of one process, over descriptors that it inherits."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from hil.board.gdb import GdbStub
from hil.child import Child
from hil.errors import BoardError
from hil.patience import Patience, Turns

Answer = TypeVar("Answer", str, dict[str, Any])

GIVES_UP = "qemu: fatal:"
_QMP_TIMEOUT_S = 5.0  # it answers in milliseconds, whatever the firmware does
_MUTE = (
    f"QEMU does not answer its monitor within {_QMP_TIMEOUT_S:g} s\n"
    "  next: did somebody stop the process (SIGSTOP), or is the machine overloaded? Run it again"
)
# Names of the monitor: of an Arm core, and of a RISC-V one (where a trap leaves its reason in three CSRs).
_REGISTERS = {"pc": r"(?:R15=|\bpc +)", "lr": r"(?:R14=|x1/ra +)", "sp": r"(?:R13=|x2/sp +)", "xpsr": "XPSR="}
_TRAP = ("mcause", "mepc", "mtval")


def ended_by_lockup(child: Child) -> bool:
    """QEMU gives up when the core locks up: a fault inside the handler of a hard fault."""
    return GIVES_UP in child.words() and "Lockup" in child.words()


def locked_up(postmortem: str) -> str:
    """That, in words. postmortem: of where the core was."""
    what = "the core is in lockup: a fault came up while a fault was being handled"
    return f"{what}\n{postmortem}\n  next: look at the code around pc and lr above, and at the fault handlers"


class Control:
    """Of one QEMU at a time. name: of the board, for messages; turns: as `Board.turns`."""

    def __init__(self, name: str, turns: Turns) -> None:
        self.mute = ""  # why QEMU is known not to answer
        self._name, self._turns = name, turns
        self._monitor: tuple[socket.socket, socket.socket] | None = None
        self._debug: tuple[socket.socket, socket.socket] | None = None
        self._stub: GdbStub | None = None

    def open(self) -> tuple[Sequence[str], Sequence[int]]:
        """Arguments for a QEMU that is about to start, and the descriptors that it inherits."""
        self.close()
        self.mute = ""
        self._monitor, self._debug = socket.socketpair(), socket.socketpair()
        monitor, debug = self._monitor[1].fileno(), self._debug[1].fileno()
        arguments = [
            *("-chardev", f"socket,id=qmp,fd={monitor}", "-mon", "chardev=qmp,mode=control"),
            *("-chardev", f"socket,id=debug,fd={debug}"),  # nobody listens until `attached`
        ]
        return arguments, (monitor, debug)

    def close(self) -> None:
        """Safe to call twice."""
        for pair in (self._monitor, self._debug):
            for end in pair or ():
                end.close()
        self._monitor = self._debug = self._stub = None

    def attached(self) -> GdbStub:
        """The debug stub of the QEMU that runs; it serves one client, once. Raises BoardError."""
        if self._debug is None:
            raise BoardError(f"board {self._name} is not running")
        if self._stub is None:
            try:
                self._ask("gdbserver chardev:debug")
                self._stub = GdbStub(self._debug[0], self._turns)
            except (OSError, ValueError) as error:
                raise BoardError(f"board {self._name}: no debug stub: {error}\n  next: run it again") from error
        return self._stub

    @contextmanager
    def look(self) -> Iterator[GdbStub]:
        """The debug stub, for a look past the firmware, which runs when it begins and when it is over."""
        stub = self.attached()
        stub.resume()
        try:
            yield stub
        finally:
            with suppress(BoardError, OSError):  # what went wrong before is what there is to tell
                stub.resume()

    def registers(self, last_words: str | None = None) -> Mapping[str, int]:
        """pc, lr, sp, xpsr of the core that runs or, where QEMU has ended, as its last words tell them."""
        try:
            answer = self._ask("info registers") if last_words is None else last_words
        except TimeoutError:
            self.mute = _MUTE
            return {}
        except (OSError, ValueError):
            return {}
        wanted = {**_REGISTERS, **{name: rf"\b{name} +" for name in _TRAP}}
        found = {name: re.search(rf"{pattern}([0-9a-f]{{8}})", answer) for name, pattern in wanted.items()}
        return {name: int(match[1], 16) for name, match in found.items() if match}

    def stand_still(self) -> None:
        """Stop the machine. Raises BoardError."""
        try:
            self._ask("stop")
        except (OSError, ValueError) as error:
            raise BoardError(f"board {self._name}: QEMU does not stop the machine: {error}") from error

    def go_on(self) -> None:
        """Let a machine run that was started with -S. Raises BoardError."""
        try:
            self._ask("cont")
        except (OSError, ValueError) as error:
            raise BoardError(f"board {self._name}: QEMU does not let the machine run: {error}") from error

    def instructions(self) -> int:
        """Executed so far by a machine that stands still, as icount counts them. Raises BoardError."""
        try:
            return int(self._call({"execute": "query-replay"}, dict)["icount"])
        except (OSError, ValueError, KeyError) as error:
            raise BoardError(f"board {self._name}: QEMU tells no count of instructions: {error}") from error

    def _ask(self, command: str) -> str:
        """One human-monitor command over QMP. Raises what `_call` raises."""
        request = {"execute": "human-monitor-command", "arguments": {"command-line": command}}
        return self._call(request, str)

    def _call(self, request: object, kind: type[Answer]) -> Answer:
        """A QMP command (docs/interop/qmp-spec of QEMU) and its answer. Raises TimeoutError, OSError when it has
        hung up, and ValueError when it says something else.
        """
        if self._monitor is None:
            raise ValueError("no monitor")
        monitor = self._monitor[0]
        requests = ({"execute": "qmp_capabilities"}, request)
        monitor.sendall(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        patience, received = Patience(_QMP_TIMEOUT_S, self._turns), b""
        while patience.await_data(monitor):
            data = monitor.recv(65536)
            if not data:
                raise ValueError("the monitor closed")
            *lines, received = (received + data).split(b"\n")
            for line in lines:
                said = json.loads(line)
                answer = said.get("return")
                if isinstance(answer, kind) and answer != {}:  # which is what qmp_capabilities returns
                    return answer
        raise TimeoutError
