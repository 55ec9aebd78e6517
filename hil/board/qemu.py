"""Boards of kind `qemu`: a Cortex-M machine of qemu-system-arm, instructions counted by icount."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hil.board.config import BoardConfig, check_settings
from hil.board.hosted import HostedBoard
from hil.child import Child
from hil.errors import MissingTool
from hil.image.elf import Image
from hil.image.flash import Layout, Range, check_firmware, check_placement
from hil.image.toolchain import Tool, install_command
from hil.need import Row, tool_row
from hil.records import ClockSpec

_NS = 1_000_000_000
_QMP_TIMEOUT_S = 2.0
_GIVES_UP = "qemu: fatal:"
_REGISTERS = {"pc": "R15", "lr": "R14", "sp": "R13", "xpsr": "XPSR"}  # names of the monitor


QEMU = Tool("qemu-system-arm", "qemu-system-arm", "to run the qemu board", "qemu-system-arm", minimum=(7,))


class Settings(BaseModel):
    """The `[qemu]` table of a board file."""

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

    def check_image(self, image: Image) -> None:
        check_firmware(image)
        check_placement(image, self._settings.layout)

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        self._close_monitor()
        self._monitor, theirs = socket.socketpair()
        self._theirs = theirs
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
        ]
        return command, (self._memory.fd, theirs.fileno())

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
            answer = super().words() if dead else _ask_monitor(self._monitor, "info registers")
        except (OSError, ValueError):
            return {}
        found = {name: re.search(rf"{number}=([0-9a-f]{{8}})", answer) for name, number in _REGISTERS.items()}
        return {name: int(match[1], 16) for name, match in found.items() if match}

    def _stop(self) -> None:
        super()._stop()
        self._close_monitor()

    def _close_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._theirs.close()
            self._monitor = None


def _ask_monitor(monitor: socket.socket | None, command: str) -> str:
    """One human-monitor command over QMP (docs/interop/qmp-spec of QEMU)."""
    if monitor is None:
        raise ValueError("no monitor")
    monitor.settimeout(_QMP_TIMEOUT_S)
    stream = monitor.makefile("rw", encoding="utf-8")
    requests = [
        {"execute": "qmp_capabilities"},
        {"execute": "human-monitor-command", "arguments": {"command-line": command}},
    ]
    for request in requests:
        stream.write(json.dumps(request) + "\n")
    stream.flush()
    for line in stream:
        answer = json.loads(line).get("return")
        if isinstance(answer, str):
            return answer
    raise ValueError("the monitor closed")
