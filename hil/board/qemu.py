"""Boards of kind `qemu`: a Cortex-M machine of qemu-system-arm, instructions counted by icount."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hil.board.config import BoardConfig, check_settings
from hil.board.gdb import GdbStub
from hil.board.hosted import HostedBoard
from hil.board.outside import Answer, Outside, Request, Spent
from hil.child import Child
from hil.errors import BoardError, MissingTool
from hil.image.elf import Image
from hil.image.flash import Layout, Range, check_firmware, check_placement
from hil.image.toolchain import Tool, install_command
from hil.link.rtt import Memory
from hil.need import Row, tool_row
from hil.patience import Patience
from hil.records import ClockSpec

_NS = 1_000_000_000
_QMP_TIMEOUT_S = 5.0  # it answers in milliseconds, whatever the firmware does
_MUTE = (
    f"QEMU does not answer its monitor within {_QMP_TIMEOUT_S:g} s\n"
    "  next: did somebody stop the process (SIGSTOP), or is the machine overloaded? Run it again"
)
_POLL = "hil_agent_poll"
_GIVES_UP = "qemu: fatal:"
_REGISTERS = {"pc": "R15", "lr": "R14", "sp": "R13", "xpsr": "XPSR"}  # names of the monitor


QEMU = Tool("qemu-system-arm", "qemu-system-arm", "to run the qemu board", "qemu-system-arm", minimum=(7,))


class Settings(BaseModel):
    """The `[qemu]` table of a board file. counter: address of a free-running 32-bit counter, at timer_hz,
    that no firmware uses.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    program: str = "qemu-system-arm"
    machine: str
    icount_shift: int = Field(ge=0, le=10)
    timer_hz: int = Field(gt=0)
    flash_base: int
    flash_bytes: int = Field(gt=0)
    ram_base: int
    ram_bytes: int = Field(gt=0)
    shared_base: int
    shared_bytes: int = Field(gt=0)
    counter: int | None = None

    @property
    def layout(self) -> Layout:
        """Where an image may lie; the core finds its vectors at the start of flash."""
        flash = Range(self.flash_base, self.flash_base + self.flash_bytes)
        ram = Range(self.ram_base, self.ram_base + self.ram_bytes)
        return Layout((flash,), (ram,), self.flash_base)


def open_board(config: BoardConfig, log: Path) -> QemuBoard:
    """The board, not started yet. Raises MissingTool without QEMU, UsageError for a wrong table."""
    return QemuBoard(config, check_settings(config, Settings), log)


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """What this board needs beside the tools that build its image."""
    return [tool_row(QEMU, path=path)]


def instruction_clock(settings: Settings) -> ClockSpec:
    """Under icount each instruction lasts 2^shift ns of emulated time, so timer ticks are instructions times a
    constant.
    """
    per_tick = Fraction(_NS, settings.timer_hz << settings.icount_shift)
    return ClockSpec(
        "instructions", "instructions", per_tick.numerator, per_tick.denominator, 0, True, settings.timer_hz
    )


class QemuBoard(HostedBoard):
    """An emulated board; the machine's PSRAM is RAM shared with the host."""

    def __init__(self, config: BoardConfig, settings: Settings, log: Path) -> None:
        program = shutil.which(settings.program)
        if program is None:
            raise MissingTool(settings.program, f"by board {config.name!r}", install_command([QEMU.package]))
        super().__init__(config, instruction_clock(settings), log, settings.shared_base, settings.shared_bytes)
        self._program, self._settings = program, settings
        self._monitor: socket.socket | None = None
        self._mute = ""
        self._debug: tuple[socket.socket, socket.socket] | None = None
        self._stub: GdbStub | None = None

    def check_image(self, image: Image) -> None:
        check_firmware(image)
        check_placement(image, self._settings.layout)

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        self._close_monitor()
        self._mute = ""
        self._monitor, theirs = socket.socketpair()
        self._theirs = theirs
        self._debug = socket.socketpair()
        settings = self._settings
        command = [
            *(self._program, "-M", settings.machine, "-nodefaults", "-display", "none"),
            *("-kernel", str(image.path)),
            *("-icount", f"shift={settings.icount_shift},sleep=on"),
            *(
                "-object",
                f"memory-backend-file,id=ram,size={settings.shared_bytes},mem-path={self._memory.path},share=on",
            ),
            *("-machine", "memory-backend=ram"),
            *("-chardev", "file,id=log,append=on,path=" + str(self.log).replace(",", ",,"), "-serial", "chardev:log"),
            *("-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"),
            *("-chardev", f"socket,id=debug,fd={self._debug[1].fileno()}"),  # nobody listens until `outside`
        ]
        return command, (self._memory.fd, theirs.fileno(), self._debug[1].fileno())

    def outside(self) -> AbstractContextManager[Outside]:
        """Through QEMU's debug stub, which stops the core at the firmware's poll: what it executes is exact."""
        return self._look()

    @contextmanager
    def _look(self) -> Iterator[Outside]:
        stub = self._attached()
        try:
            yield _Look(stub, self.image, self.clock, self._settings.counter, self.config.timeout.reply_s)
        finally:
            with suppress(BoardError, OSError):  # what went wrong before is what there is to tell
                stub.resume()

    def _attached(self) -> GdbStub:
        """The debug stub of the QEMU that runs; it serves one client, once."""
        if self._debug is None or self._child is None:
            raise BoardError(f"board {self.config.name} is not running")
        if self._stub is None:
            try:
                self._ask_monitor("gdbserver chardev:debug")
                self._stub = GdbStub(self._debug[0], self.turns)
            except (OSError, ValueError) as error:
                raise BoardError(f"board {self.config.name}: no debug stub: {error}\n  next: run it again") from error
        return self._stub

    def ended_by_firmware(self, child: Child) -> bool:
        """QEMU gives up when the core locks up: a fault inside the handler of a hard fault."""
        return _GIVES_UP in child.words() and "Lockup" in child.words()

    def how_it_ended(self, ended: str) -> str:
        what = "the core is in lockup: a fault came up while a fault was being handled"
        place = f"{what}\n{self.postmortem().text}"
        return f"{place}\n  next: look at the code around pc and lr above, and at the fault handlers"

    def words(self) -> str:
        """QEMU's last words are a list of all registers; `core_registers` has those that tell something."""
        return super().words().partition(_GIVES_UP)[0]

    def core_registers(self) -> Mapping[str, int]:
        try:
            dead = self._child is not None and self._child.ended() is not None
            answer = super().words() if dead else self._ask_monitor("info registers")
        except TimeoutError:
            self._mute = _MUTE
            return {}
        except (OSError, ValueError):
            return {}
        found = {name: re.search(rf"{number}=([0-9a-f]{{8}})", answer) for name, number in _REGISTERS.items()}
        return {name: int(match[1], 16) for name, match in found.items() if match}

    def mute(self) -> str:
        return self._mute

    def _stop(self) -> None:
        super()._stop()
        self._close_monitor()

    def _ask_monitor(self, command: str) -> str:
        """One human-monitor command over QMP (docs/interop/qmp-spec of QEMU). Raises TimeoutError, OSError when it has
        hung up, and ValueError when it says something else.
        """
        if self._monitor is None:
            raise ValueError("no monitor")
        requests = (
            {"execute": "qmp_capabilities"},
            {"execute": "human-monitor-command", "arguments": {"command-line": command}},
        )
        self._monitor.sendall(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        patience, received = Patience(_QMP_TIMEOUT_S, self.turns), b""
        while patience.await_data(self._monitor):
            data = self._monitor.recv(65536)
            if not data:
                raise ValueError("the monitor closed")
            *lines, received = (received + data).split(b"\n")
            for line in lines:
                answer = json.loads(line).get("return")
                if isinstance(answer, str):
                    return answer
        raise TimeoutError

    def _close_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._theirs.close()
            self._monitor = None
        if self._debug is not None:
            for end in self._debug:
                end.close()
            self._debug = self._stub = None


class _Look:
    """QEMU's target past its firmware. A counted request begins and ends with the core stopped at the agent's poll."""

    core_hz: int | None = None

    def __init__(self, stub: GdbStub, image: Image, clock: ClockSpec, counter: int | None, timeout_s: float) -> None:
        self.memory: Memory = stub
        self._stub, self._clock, self._timeout_s = stub, clock, timeout_s
        self._counter = counter
        self._poll = image.symbol(_POLL) & ~1 if image.has_symbol(_POLL) else None
        self.counter = "QEMU's count of instructions" if counter is not None and self._poll is not None else ""
        stub.resume()

    def spent(self, request: Request[Answer]) -> tuple[Spent, Answer]:
        """From one call of the agent's poll to the next, which is the request and nothing else."""
        stub, poll = self._stub, self._poll
        assert poll is not None, "there is no counter"
        before = 0

        def run() -> None:
            nonlocal before
            before = self._count()
            stub.clear_breakpoint(poll)
            stub.step()
            stub.set_breakpoint(poll)
            stub.resume()

        stub.stop()
        stub.set_breakpoint(poll)
        try:
            stub.resume()
            stub.await_stop(self._timeout_s)
            answer = request(run)
            stub.await_stop(self._timeout_s)
            ticks = (self._count() - before) & 0xFFFFFFFF
        finally:  # a breakpoint that is left would stop the core at its next poll, and nobody would let it go on
            stub.stop()
            stub.clear_breakpoint(poll)
            stub.resume()
        return Spent(int(self._clock.units(np.array(ticks, np.int64))), exact=True), answer

    def _count(self) -> int:
        assert self._counter is not None, "there is no counter"
        return int.from_bytes(self.memory.read(self._counter, 4), "little")
