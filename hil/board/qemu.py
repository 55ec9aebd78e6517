"""Boards of kind `qemu`: a machine of QEMU, instructions counted by icount. Here: with a memory that both share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from hil.board.base import Board
from hil.board.config import BoardConfig, check_settings
from hil.board.gdb import GdbStub
from hil.board.hosted import HostedBoard
from hil.board.outside import Answer, Outside, Request, Spent
from hil.board.qemu_control import GIVES_UP, Control, ended_by_lockup, locked_up
from hil.board.qemu_machine import look_at
from hil.board.qemu_settings import Settings, clock_of, icount, machine_of, serial_of
from hil.board.qemu_uart import UartBoard
from hil.child import Child
from hil.errors import BoardError, UsageError
from hil.image.elf import Image
from hil.image.flash import check_firmware, check_placement
from hil.link.rtt import Memory
from hil.need import Row, tool_row
from hil.records import ClockSpec

_POLL = "hil_agent_poll"
__all__ = ["Settings", "examine", "open_board", "own_models"]


def open_board(config: BoardConfig, log: Path) -> Board:
    """The board, not started yet. Raises MissingTool without QEMU, UsageError for a wrong table, or for a machine that
    this QEMU does not have.
    """
    settings = check_settings(config, Settings)
    machine = machine_of(config, settings)
    if settings.link == "memory":
        return QemuBoard(config, settings, machine, log)
    if not config.own_model:
        raise UsageError(
            f'{config.file}: [qemu] link: "uart" is for firmware that holds its own model\n'
            '  fix: say bundle = "none" in [firmware], or take link = "memory"'
        )
    return UartBoard(config, settings, machine, look_at(machine, f"{config.file}: [qemu]"), log)


def own_models(_: BoardConfig) -> bool:
    """Firmware whose model is compiled in runs on it: over a UART, or with its rings in the shared memory."""
    return True


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """What this board needs beside the tools that build its image."""
    return [tool_row(check_settings(config, Settings).tool, path=path)]


class QemuBoard(HostedBoard):
    """An emulated board; the machine's PSRAM is RAM shared with the host."""

    def __init__(self, config: BoardConfig, settings: Settings, machine: Sequence[str], log: Path) -> None:
        assert settings.shared_base is not None, "checked with the table"
        assert settings.shared_bytes is not None, "checked with the table"
        assert settings.timer_hz is not None, "checked with the table"
        self._machine = tuple(machine)
        clock = clock_of(settings, settings.timer_hz)
        super().__init__(config, clock, log, settings.shared_base, settings.shared_bytes)
        self._settings = settings
        self._control = Control(config.name, self.turns)

    def check_image(self, image: Image) -> None:
        layout = self._settings.layout
        assert layout is not None, "checked with the table"
        check_firmware(image, self.config.own_model, self._settings.elf_machine)
        check_placement(image, layout)

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        control, fds = self._control.open()
        size = self._settings.shared_bytes
        command = [
            *(*self._machine, *icount(self._settings), "-kernel", str(image.path)),
            *("-object", f"memory-backend-file,id=ram,size={size},mem-path={self._memory.path},share=on"),
            *("-machine", "memory-backend=ram"),
            *("-chardev", "file,id=log,append=on,path=" + str(self.log).replace(",", ",,")),
            *serial_of(self._settings.uart, "log"),
            *control,
        ]
        return command, (self._memory.fd, *fds)

    def outside(self) -> AbstractContextManager[Outside]:
        """Through QEMU's debug stub, which stops the core at the firmware's poll: what it executes is exact."""
        return self._look()

    @contextmanager
    def _look(self) -> Iterator[Outside]:
        with self._control.look() as stub:
            yield _Look(stub, self.image, self.clock, self._settings.counter, self.config.timeout.reply_s)

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

    def _require_alive(self) -> None:
        """A machine that QEMU does not have is told as such."""
        try:
            super()._require_alive()
        except BoardError:
            if self._child is not None and (self._child.code or 0) > 0:
                look_at(self._machine, f"{self.config.file}: [qemu]")
            raise

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
