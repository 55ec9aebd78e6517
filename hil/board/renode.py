"""Boards of kind `renode`: a Cortex-M machine of Renode, driven through its Robot server; RAM and flash are files that
Renode shares with this process.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from hil.board.config import BoardConfig, check_settings
from hil.board.firmware import FirmwareBoard
from hil.board.memory import Memories, SharedFile, SharedMemory
from hil.board.outside import FreeRunning, OnlyMemory, Outside
from hil.board.renode_settings import Area, Settings, check_files, quoted
from hil.board.renode_uart import RenodeUartBoard
from hil.errors import BoardError, DeviceEnded, UsageError
from hil.image.elf import Image
from hil.image.flash import Layout, Piece, check_firmware, check_placement, contents, mismatch
from hil.need import Row, State
from hil.patience import Turn, turns_of
from hil.records import ClockSpec
from hil.renode.abort import AbortWatch
from hil.renode.process import GET, RenodeProcess, check_version, find_renode, version_of

_ERASED = b"\xff"
_SIGN_S = 10.0  # between two signs of life while the firmware is waited for
_PROBE = 0x5EED_C0DE  # no value that a memory has by itself
_FLASH, _RAM, _CCM = "flash", "ram", "ccm"  # names of the shared memories in the platform, and of their folders
# Where the fault status lies: Armv7-M Architecture Reference Manual, B3.2.2.
_FAULT_STATUS = {"cfsr": 0xE000ED28, "hfsr": 0xE000ED2C, "mmfar": 0xE000ED34, "bfar": 0xE000ED38}
_CORE = {"pc": "PC", "lr": "LR", "sp": "SP", "xpsr": "XProgramStatusRegister"}  # Renode's names


def open_board(config: BoardConfig, log: Path) -> RenodeBoard | RenodeUartBoard:
    """The board, not started yet. Raises UsageError without a Renode of a supported version, or for a wrong table."""
    settings = check_settings(config, Settings)
    check_files(config, settings)
    if settings.uart and not config.own_model:
        raise UsageError(
            f"{config.file}: [renode] uart: a link over a UART is for firmware that holds its own model\n"
            '  fix: say bundle = "none" in [firmware], or leave uart out'
        )
    program = find_renode(config.options.get("hil-renode", ""), settings.program)
    check_version(program, settings.supported)
    board = RenodeUartBoard if settings.uart else RenodeBoard
    return board(config, settings, program, log)


def own_models(_: BoardConfig) -> bool:
    """Firmware whose model is compiled in runs on it: over a UART, or with its rings in the shared memory."""
    return True


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """What this board needs beside the tools that build its image."""
    settings = check_settings(config, Settings)
    needed = settings.supported.removeprefix("Renode v") + "x"
    try:
        version = version_of(find_renode(config.options.get("hil-renode", ""), settings.program, path))
    except UsageError:
        return [Row("renode", "", needed, State.MISSING, command=GET, origin="its GitHub releases")]
    state = State.OK if version.startswith(settings.supported) else State.OLD
    return [Row("renode", version.removeprefix("Renode v"), needed, state, command=GET, origin="its GitHub releases")]


class RenodeBoard(FirmwareBoard):
    """An emulated board. One Renode serves all cases; a reset is Renode's, of the machine."""

    def __init__(self, config: BoardConfig, settings: Settings, program: Path, log: Path) -> None:
        # Virtual time is a count of instructions: one tick each, whatever rate the firmware takes its clock for.
        rate = settings.clock_hz or 0
        super().__init__(config, ClockSpec("instructions", "instructions", 1, 1, 0, True, rate), log)
        self._settings, self._program = settings, program
        self._machine: _Machine | None = None
        self._gone = ""  # why there is none any more, when that was nobody's wish
        self._flashed = ""  # SHA-256 of the image that the machine's translated code stems from

    # ---- what a kind gives

    @property
    def memory(self) -> SharedMemory:
        return self._running().ram

    def check_image(self, image: Image) -> None:
        areas = _areas(self._settings)
        flash, ram = areas.pop(_FLASH).range, tuple(area.range for area in areas.values())
        check_firmware(image, self.config.own_model)
        check_placement(image, Layout((flash,), ram, flash.start))

    @property
    def pid(self) -> int | None:
        """Process id of Renode, or of what launched it, while there is one."""
        return self._machine.pid if self._machine else None

    def provision(self, image: Image, bundle: bytes) -> None:
        start = self._take(image, bundle)
        self._stop()
        if self._flashed != image.sha256:
            self._drop()  # Renode does not see that the file changed, and would go on with what it translated
        if self._machine is None:
            self._machine = _Machine(self.config, self._settings, self._program)
            self._gone = ""
        self._flash(self._machine.flash, [*contents(image), *([] if self.config.own_model else [Piece(start, bundle)])])
        self._flashed = image.sha256
        self._start()
        self._await_boot()

    def outside(self) -> AbstractContextManager[Outside]:
        """All memories, which are shared, and Renode's own count of executed instructions."""
        machine = self._running()
        try:
            machine.instructions()
        except BoardError:  # this Renode does not tell
            return nullcontext(OnlyMemory(machine.memories))
        counter = "Renode's count of executed instructions"
        return nullcontext(FreeRunning(machine.memories, counter, machine.instructions))

    def core_registers(self) -> Mapping[str, int]:
        try:
            return self._running().registers()
        except BoardError:
            return {}

    def turns(self) -> Mapping[int, Turn]:
        pid = self.pid
        return turns_of(pid) if pid is not None else {}

    def mute(self) -> str:
        return self._machine.silence() if self._machine else ""

    def words(self) -> str:
        return self._machine.new_uart() if self._machine else ""

    def close(self) -> None:
        self._drop()  # without a pause first: a Renode that hangs would hold up who wants to leave

    # ---- inside

    def _running(self) -> _Machine:
        if self._machine is None:
            raise BoardError(f"board {self.config.name} is not running{self._gone}")
        return self._machine

    def _flash(self, flash: SharedMemory, pieces: list[Piece]) -> None:
        """Write all, on a flash that is erased elsewhere, and read it back."""
        flash.write(flash.base, _ERASED * flash.size)
        for piece in pieces:
            flash.write(piece.address, piece.data)
        if wrong := mismatch(pieces, flash.read):
            raise BoardError(f"flash: read back after writing: {wrong}\n  next: is the file system of TMPDIR sound?")

    def _start(self) -> None:
        machine = self._running()
        self._clear()
        machine.start()

    def _stop(self) -> None:
        if self._machine is None:
            return
        try:
            self._machine.pause()
        except BoardError as error:  # it hangs or went away, and is made anew when it is provisioned again
            self._drop()
            self._gone = f": {error}"
        else:
            self._keep_log()

    def _keep_log(self) -> None:
        if self._machine is not None and (text := self._machine.take_uart()):
            with self.log.open("a", encoding="utf-8") as log:
                log.write(text)

    def _drop(self) -> None:
        if self._machine is not None:
            self._keep_log()
            machine, self._machine = self._machine, None
            machine.close()

    def _require_alive(self) -> None:
        machine = self._running()
        if ended := machine.ended():
            raise BoardError(f"run: board {self.config.name}: Renode went away: {ended}\n  next: run it again")
        if silence := machine.silence_by_now():
            raise BoardError(f"run: board {self.config.name}: {silence}")
        if abort := machine.abort():
            raise DeviceEnded(f"board {self.config.name}: the core cannot go on: {abort}\n{self.postmortem().text}")


def _areas(settings: Settings) -> dict[str, Area]:
    """The memories by their names in the platform; flash and RAM are there, which the table has checked."""
    areas = {_FLASH: settings.flash, _RAM: settings.ram, _CCM: settings.other_ram}
    return {name: area for name, area in areas.items() if area is not None}


class _Machine:
    """A Renode with the board's machine in it, paused and not reset yet, and its memories.

    Raises BoardError that names the step, with Renode's words.
    """

    def __init__(self, config: BoardConfig, settings: Settings, program: Path) -> None:
        self._process = RenodeProcess(program, settings.start_s, settings.call_s)
        self._robot = self._process.robot
        self._uart = self._process.folder.path / "uart.log"
        self._uart_taken = 0
        self._abort = AbortWatch(self._process.log)
        self._started = False
        self._sign_of_life = time.monotonic()
        self._memories: list[SharedMemory] = []
        try:
            areas = _areas(settings)
            self._load(config.file.parent / settings.platform, config.file.parent / settings.script, list(areas))
            shared = {name: self._share(name, area) for name, area in areas.items()}
            self.flash, self.ram = shared[_FLASH], shared[_RAM]
            self.memories = Memories([*shared.values()])
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Let the firmware run from its reset vector."""
        self._abort.begin()
        self._robot.command("machine Reset")
        self._robot.command("machine Start" if self._started else "start")  # the first one starts virtual time, too
        self._started = True
        self._sign_of_life = time.monotonic()

    def pause(self) -> None:
        """Stop between two instructions."""
        if self._started:
            self._robot.command("machine Pause")

    def instructions(self) -> int:
        """Executed by the core so far."""
        return self._robot.number("sysbus.cpu ExecutedInstructions")

    def registers(self) -> dict[str, int]:
        """Of the core, which is stopped meanwhile, so that they belong together."""
        ask = self._robot.number
        with self._process.own_doing():  # it complains of a status register that it does not have
            self.pause()
            try:
                found = {name: ask(f"sysbus.cpu {theirs}") for name, theirs in _CORE.items()}
                status = {name: ask(f"sysbus ReadDoubleWord {at:#x}") for name, at in _FAULT_STATUS.items()}
            finally:
                self._robot.command("machine Start")
        return found | status

    def silence_by_now(self) -> str:
        """As `silence`, after asking for a sign of life every few seconds: what the firmware says is in shared memory,
        so a Renode that stands still would only show by the longest wait for the firmware.
        """
        if time.monotonic() > self._sign_of_life + _SIGN_S:
            with suppress(BoardError):
                self._robot.command("version")
            self._sign_of_life = time.monotonic()
        return self.silence()

    def silence(self) -> str:
        """What Renode has not answered, in words; "" as long as it answers."""
        return self._robot.silence()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def ended(self) -> str | None:
        """None while Renode runs, else how it ended."""
        return self._process.ended()

    def abort(self) -> str | None:
        """As `AbortWatch.found`."""
        return self._abort.found()

    def new_uart(self) -> str:
        """What the firmware has sent since `take_uart`."""
        return self._new_uart().decode(errors="replace")

    def take_uart(self) -> str:
        """As `new_uart`, and the next call begins behind it."""
        new = self._new_uart()
        self._uart_taken += len(new)
        return new.decode(errors="replace")

    def _new_uart(self) -> bytes:
        try:
            with self._uart.open("rb") as file:
                file.seek(self._uart_taken)
                return file.read()
        except FileNotFoundError:
            return b""

    def close(self) -> None:
        """End Renode, give the memories back. Safe to call twice."""
        for memory in self._memories:
            memory.close()
        self._process.stop()

    def _load(self, platform: Path, script: Path, names: list[str]) -> None:
        folder = self._process.folder.path
        for name in names:
            (folder / name).mkdir()
        # The platform file says what the machine is; where its shared memories lie is this run's affair.
        shared = "".join(f"{name}: {{ sharedMemoryFileRoot: {quoted(folder / name)} }}\n" for name in names)
        shutil.copy(platform, folder / "board.repl")
        (folder / "run.repl").write_text(f'using "./board.repl"\n\n{shared}', encoding="utf-8")
        variables = {"platform": folder / "run.repl", "uart": self._uart, "log": self._process.log}
        try:
            for name, path in variables.items():
                self._robot.command(f"${name}={quoted(path)}")
            self._robot.script(str(script))
        except BoardError as error:
            raise BoardError(
                f"start: Renode does not load {script.name} with {platform.name}: {error}\n"
                f"  next: mend the file; the version of Renode that it was written for is in its head"
            ) from error

    def _share(self, name: str, area: Area) -> SharedMemory:
        """The memory that the platform calls `name`. Renode makes its file when the memory is first touched, and puts
        the bytes at the end of it. That it does is tried out.
        """
        self._robot.command(f"sysbus ReadDoubleWord {area.base:#x}")
        sizes = {file: file.stat().st_size for file in (self._process.folder.path / name).iterdir()}
        file, size = next(iter(sizes.items()), (None, 0))
        if file is None or len(sizes) != 1 or size < area.bytes:
            found = ", ".join(f"{size:,} bytes" for size in sizes.values()) or "none"
            raise BoardError(self._not_shared(name, area, f"found: {found}"))
        memory = SharedFile(area.base, area.bytes, file, size - area.bytes)
        self._memories.append(memory)
        memory.write(area.base, _PROBE.to_bytes(4, "little"))
        seen = self._robot.number(f"sysbus ReadDoubleWord {area.base:#x}")
        memory.write(area.base, bytes(4))
        if seen != _PROBE:
            raise BoardError(self._not_shared(name, area, f"{_PROBE:#x} written there is read as {seen:#x}"))
        return memory

    def _not_shared(self, name: str, area: Area, found: str) -> str:
        return (
            f"start: {name} should be one shared file with {area.bytes:,} bytes at its end, {found}\n"
            f"  next: give {name} in the platform file this size, and the same as segmentSize"
        )
