"""Firmware of others on a machine of Renode that its owner describes: it holds its own model and speaks over a UART.

The script or platform is the user's own, and nothing is asked of it but the UART. There is no fault record that the
harness knows of: a fault shows as a hang. Where the core then is, Renode tells.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path

from hil.board.config import BoardConfig
from hil.board.emulated_uart import EmulatedUart
from hil.board.fault import causes
from hil.board.outside import FreeRunning, OnlyMemory, Outside
from hil.board.renode_settings import Settings, quoted
from hil.board.streamed import EmulatedUartBoard
from hil.errors import BoardError, DeviceEnded, UsageError
from hil.image.elf import Image
from hil.link.stream import Stream
from hil.patience import Turn, turns_of
from hil.records import ClockSpec, FaultReport, Hello
from hil.renode.abort import AbortWatch
from hil.renode.process import RenodeProcess

_TERMINAL = "hil"  # name of the socket in Renode
_PORTS = 3  # attempts at a port that another program may take before Renode does
_CORE = {"pc": "PC", "sp": "SP", "lr": "LR"}  # Renode's names; a RISC-V core has no LR
_COUNTER = "Renode's count of executed instructions"


class RenodeUartBoard(EmulatedUartBoard):
    """One Renode serves all cases with one image; a reset is Renode's, of the machine, and loads the image again."""

    request_s = 2e-2  # a byte at a time, through a socket

    def __init__(self, config: BoardConfig, settings: Settings, program: Path, log: Path) -> None:
        rate = settings.clock_hz or 0
        super().__init__(config, ClockSpec("instructions", "instructions", 1, 1, 0, True, rate), log)
        self._settings, self._program = settings, program
        self._process: RenodeProcess | None = None
        self._abort: AbortWatch | None = None
        self._port_name = settings.uart
        self._port = EmulatedUart(self._port_name, "Renode")
        self._stream = self._new_stream()

    # ---- Board

    @property
    def pid(self) -> int | None:
        """Process id of Renode, or of what launched it, while there is one."""
        return self._process.pid if self._process else None

    def check_image(self, image: Image) -> None:
        """Which core it must be for, the script knows; Renode says so when it loads it."""
        if not image.linked:
            raise UsageError(
                f"{image.path}: is not linked to fixed addresses\n"
                "  fix: give the linker's .elf output, no object file, library or position-independent program"
            )

    def outside(self) -> AbstractContextManager[Outside]:
        """No memory, and the instructions that the core executed, as Renode counts them."""
        try:
            self._instructions()
        except BoardError:  # no such core, or one that does not tell
            return nullcontext(OnlyMemory(None))
        return nullcontext(FreeRunning(None, _COUNTER, self._instructions))

    def reset(self) -> None:
        self._stop()
        if self._process is None:
            self._launch()
        self._begin()

    def check(self) -> None:
        process = self._running()
        name = self.config.name
        if ended := process.ended():
            raise BoardError(f"run: board {name}: Renode went away: {ended}\n  next: run it again")
        if silence := process.robot.silence():
            raise BoardError(f"run: board {name}: {silence}")
        if self._abort is not None and (abort := self._abort.found()):
            raise DeviceEnded(f"board {name}: the core cannot go on: {abort}\n{self.postmortem().text}")

    def postmortem(self) -> FaultReport:
        self._stream.settle()
        registers = self._registers()
        if silence := self._running().robot.silence():
            raise BoardError(f"run: board {self.config.name}: {silence}")
        lines = ["this board keeps no fault record; the core was found here", *causes(registers)]
        return FaultReport("hang", "unknown", self._explained(lines, registers), registers)

    def turns(self) -> Mapping[int, Turn]:
        pid = self.pid
        return turns_of(pid) if pid is not None else {}

    def close(self) -> None:
        self._drop()

    # ---- inside

    def _afresh(self) -> Hello:
        self._drop()  # what was translated of another image would go on
        self._launch()
        return self._begin()

    def _running(self) -> RenodeProcess:
        if self._process is None:
            raise BoardError(f"board {self.config.name} is not running")
        return self._process

    def _new_stream(self) -> Stream:
        return Stream(self._port, 0.0, self._write)

    def _stop(self) -> None:
        """The machine stands still; a Renode that does not obey is ended."""
        if self._process is None:
            return
        self._stream.settle()
        try:
            self._process.robot.command("pause")
        except BoardError:
            self._drop()

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._stream.settle()
            self._port.close()
            process.stop()

    def _launch(self) -> None:
        """A Renode with the machine in it, which stands still, and its UART connected."""
        self._process = process = RenodeProcess(self._program, self._settings.start_s, self._settings.call_s)
        try:
            process.robot.command(f"$log={quoted(process.log)}")
            process.robot.command("logFile $log true")
            process.robot.command(f"$bin={quoted(self.image.path.resolve())}")
            self._make_machine(process)
            process.robot.command("pause")  # the script may have started it
            self._connect(process)
        except BaseException:
            self._drop()
            raise
        self._abort = AbortWatch(process.log)

    def _make_machine(self, process: RenodeProcess) -> None:
        settings, folder = self._settings, self.config.file.parent
        name = settings.script or settings.platform
        try:
            if settings.platform:
                process.robot.command(f"$platform={quoted((folder / settings.platform).resolve())}")
            if settings.script:
                process.robot.script(str((folder / settings.script).resolve()))
            else:
                process.robot.command('mach create "board"')
                process.robot.command("machine LoadPlatformDescription $platform")
            if settings.machine:
                process.robot.command(f'mach set "{settings.machine}"')
        except BoardError as error:
            raise BoardError(
                f"start: Renode does not take {name}: {error}\n"
                f"  next: run it by hand with $bin={self.image.path}; machine of [renode] names one of several machines"
            ) from error

    def _connect(self, process: RenodeProcess) -> None:
        uart = self._settings.uart
        for attempt in range(_PORTS):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = int(free.getsockname()[1])
            try:
                process.robot.command(f'emulation CreateServerSocketTerminal {port} "{_TERMINAL}" false')
                break
            except BoardError:
                if attempt == _PORTS - 1:
                    raise
        try:
            process.robot.command(f"connector Connect {uart} {_TERMINAL}")
        except BoardError as error:
            raise BoardError(
                f"start: there is no UART {uart!r}: {error}\n"
                f"  next: name one that `peripherals` of Renode's monitor lists: uart of [renode] in {self.config.file}"
            ) from error
        self._port.adopt(socket.create_connection(("127.0.0.1", port), timeout=self._settings.call_s))

    def _begin(self) -> Hello:
        """From the reset vector of the image, with a new stream."""
        process = self._running()
        assert self._abort is not None, "made with the process"
        self._abort.begin()
        process.robot.command("machine Reset")
        try:
            process.robot.command("sysbus LoadELF $bin")
        except BoardError as error:
            raise BoardError(
                f"start: Renode does not load {self.image.path}: {error}\n"
                f"  next: is it linked for this machine? {process.last_log_lines().strip()}"
            ) from error
        self._stream = self._new_stream()
        process.robot.command("start")
        return self._greet()

    def _take_rate(self, hello: Hello) -> None:
        self.clock = self._clock(self._settings.clock_hz or hello.clock_hz)

    def _others(self) -> str:
        return f"uart of [renode] in {self.config.file} says which"

    def _clock(self, tick_hz: int) -> ClockSpec:
        """Renode's virtual time is instructions by PerformanceInMips, so ticks are instructions times a constant. A
        core that does not tell is taken for one of an instruction a tick.
        """
        per_tick = Fraction(1)
        with suppress(BoardError):
            mips = self._running().robot.number(f"{self._settings.cpu} PerformanceInMips")
            per_tick = Fraction(mips * 1_000_000, self._settings.timer_hz or tick_hz)
        return ClockSpec("instructions", "instructions", per_tick.numerator, per_tick.denominator, 0, True, tick_hz)

    def _instructions(self) -> int:
        return self._running().robot.number(f"{self._settings.cpu} ExecutedInstructions")

    def _registers(self) -> dict[str, int]:
        """Of the core; those that it does not have are left out."""
        found: dict[str, int] = {}
        process = self._running()
        for name, theirs in _CORE.items():
            with suppress(BoardError):
                found[name] = process.robot.number(f"{self._settings.cpu} {theirs}")
        return found
