"""Boards of kind `qemu`: a Cortex-M machine of qemu-system-arm, instructions counted by icount."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from hil.board.base import Board
from hil.board.config import BoardConfig, check_settings
from hil.board.gdb import GdbStub
from hil.board.hosted import HostedBoard
from hil.board.outside import Answer, Outside, Request, Spent
from hil.board.qemu_control import GIVES_UP, Control, ended_by_lockup, locked_up
from hil.board.qemu_uart import UartBoard
from hil.child import Child
from hil.errors import BoardError, MissingTool, UsageError
from hil.image.elf import Image
from hil.image.flash import Layout, Range, check_firmware, check_placement
from hil.image.toolchain import Tool, install_command
from hil.link.rtt import Memory
from hil.need import Row, tool_row
from hil.records import ClockSpec

_NS = 1_000_000_000
_POLL = "hil_agent_poll"


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
    link: Literal["memory", "uart"] = "memory"
    shared_base: int | None = None
    shared_bytes: int | None = Field(default=None, gt=0)
    counter: int | None = None

    @model_validator(mode="after")
    def _has_memory_for_the_link(self) -> Self:
        if self.link == "memory" and (self.shared_base is None or self.shared_bytes is None):
            raise PydanticCustomError("shared", 'shared_base and shared_bytes are missing: link = "memory" needs them')
        return self

    @property
    def layout(self) -> Layout:
        """Where an image may lie; the core finds its vectors at the start of flash."""
        flash = Range(self.flash_base, self.flash_base + self.flash_bytes)
        ram = Range(self.ram_base, self.ram_base + self.ram_bytes)
        return Layout((flash,), (ram,), self.flash_base)


def open_board(config: BoardConfig, log: Path) -> Board:
    """The board, not started yet. Raises MissingTool without QEMU, UsageError for a wrong table."""
    settings = check_settings(config, Settings)
    if settings.link == "memory":
        return QemuBoard(config, settings, log)
    if not config.own_model:
        raise UsageError(
            f'{config.file}: [qemu] link: "uart" is for firmware that holds its own model\n'
            '  fix: say bundle = "none" in [firmware], or take link = "memory"'
        )
    return UartBoard(config, _machine(config, settings), settings.layout, instruction_clock(settings), log)


def own_models(config: BoardConfig) -> bool:
    """Whether firmware whose model is compiled in runs on it: bundles are read from the shared memory alone."""
    return check_settings(config, Settings).link == "uart"


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


def _machine(config: BoardConfig, settings: Settings) -> list[str]:
    """The command line of a machine without devices of the host. Raises MissingTool."""
    program = shutil.which(settings.program)
    if program is None:
        raise MissingTool(settings.program, f"by board {config.name!r}", install_command([QEMU.package]))
    icount = f"shift={settings.icount_shift},sleep=on"
    return [program, "-M", settings.machine, "-nodefaults", "-display", "none", "-icount", icount]


class QemuBoard(HostedBoard):
    """An emulated board; the machine's PSRAM is RAM shared with the host."""

    def __init__(self, config: BoardConfig, settings: Settings, log: Path) -> None:
        assert settings.shared_base is not None, "checked with the table"
        assert settings.shared_bytes is not None, "checked with the table"
        self._machine = _machine(config, settings)
        super().__init__(config, instruction_clock(settings), log, settings.shared_base, settings.shared_bytes)
        self._settings = settings
        self._control = Control(config.name, self.turns)

    def check_image(self, image: Image) -> None:
        check_firmware(image)
        check_placement(image, self._settings.layout)

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        control, fds = self._control.open()
        size = self._settings.shared_bytes
        command = [
            *(*self._machine, "-kernel", str(image.path)),
            *("-object", f"memory-backend-file,id=ram,size={size},mem-path={self._memory.path},share=on"),
            *("-machine", "memory-backend=ram"),
            *("-chardev", "file,id=log,append=on,path=" + str(self.log).replace(",", ",,"), "-serial", "chardev:log"),
            *control,
        ]
        return command, (self._memory.fd, *fds)

    def outside(self) -> AbstractContextManager[Outside]:
        """Through QEMU's debug stub, which stops the core at the firmware's poll: what it executes is exact."""
        return self._look()

    @contextmanager
    def _look(self) -> Iterator[Outside]:
        if self._child is None:
            raise BoardError(f"board {self.config.name} is not running")
        stub = self._control.attached()
        try:
            yield _Look(stub, self.image, self.clock, self._settings.counter, self.config.timeout.reply_s)
        finally:
            with suppress(BoardError, OSError):  # what went wrong before is what there is to tell
                stub.resume()

    def ended_by_firmware(self, child: Child) -> bool:
        return ended_by_lockup(child)

    def how_it_ended(self, ended: str) -> str:
        return locked_up(self.postmortem().text)

    def words(self) -> str:
        """QEMU's last words are a list of all registers; `core_registers` has those that tell something."""
        return super().words().partition(GIVES_UP)[0]

    def core_registers(self) -> Mapping[str, int]:
        dead = self._child is not None and self._child.ended() is not None
        return self._control.registers(super().words() if dead else None)

    def mute(self) -> str:
        return self._control.mute

    def _stop(self) -> None:
        super()._stop()
        self._control.close()


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
