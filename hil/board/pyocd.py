"""Boards of kind `pyocd`: a microcontroller on a debug probe, its log on a serial port, driven through pyOCD."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator
from pydantic_core import PydanticCustomError

from hil.bench import clock_tree, cycle_clock
from hil.bench.hardware_map import read_hardware_map
from hil.bench.probe import Bench, Connecting, Ladder, Stuck, find_probe, within
from hil.bench.probe_lock import ProbeLock
from hil.bench.serial_log import SerialLog, check_port
from hil.bench.target import Beat, CoreState, FlashError, Identity, Target, TargetLost, Wiring, check_chip, known_memory
from hil.bench.usb import UsbBench, examine_bench
from hil.board.config import BoardConfig, check_settings
from hil.board.firmware import FirmwareBoard
from hil.board.flash import (
    Layout,
    Piece,
    Range,
    check_apart,
    check_firmware,
    check_placement,
    contents,
    differing,
    mismatch,
)
from hil.board.outside import FreeRunning, Outside
from hil.errors import BoardBroken, BoardError, DeviceEnded, MissingTool, UsageError
from hil.image.elf import Image
from hil.link.client import LinkClient
from hil.link.messages import hello_command
from hil.link.rtt import Rtt
from hil.need import Row
from hil.records import ClockSpec

_CYCCNT = 0xE0001004  # DWT_CYCCNT, ARMv7-M ARM, C1.8.8
_CLOSE_S = 2.0
NO_LOG = "none"


class Settings(BaseModel):
    """The `[pyocd]` table of a board file. Times are seconds of host time."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pyocd_target: str
    probe: str = ""
    board_id: str = ""
    device_id: int | None = Field(default=None, ge=0, le=0xFFF)
    device_id_register: int = 0xE004_2000
    connect_mode: Literal["halt", "pre-reset", "under-reset", "attach"] = "halt"
    swd_hz: int = Field(default=4_000_000, gt=0)
    connect_s: float = Field(default=6.0, gt=0)
    flash_s: float = Field(default=8.0, gt=0)
    lock_wait_s: float = Field(default=0.0, ge=0)
    power_cycle: str = ""
    serial: str = ""
    baud: int = Field(default=115_200, gt=0)
    ram: list[tuple[NonNegativeInt, PositiveInt]] = []
    clock_hz: int = Field(gt=0)
    clock_tree: Literal["", "stm32f4"] = ""
    hse_hz: int = Field(default=8_000_000, gt=0)
    bundle_probes: bool = False
    hardware_map: str = ""
    platform: str = ""

    @field_validator("power_cycle")
    @classmethod
    def _is_command(cls, text: str) -> str:
        try:
            shlex.split(text)
        except ValueError as error:
            raise PydanticCustomError("command", "is no command line: {problem}", {"problem": str(error)}) from error
        return text


def open_board(config: BoardConfig, log: Path) -> PyocdBoard:
    """The board, not touched yet. Raises MissingTool without pyOCD, UsageError for a wrong table or hardware map.

    The options hil-probe and hil-hardware-map go before the board file's `probe` and `hardware_map`.
    """
    settings = check_settings(config, Settings)
    require_packages(config, "bench", ("pyocd", "serial"))
    check_connection(config, settings)
    chosen = _choices(config, settings)
    clock = ClockSpec("cycles", "cycles", 1, 1, settings.clock_hz, False, settings.clock_hz)
    return PyocdBoard(config, chosen, clock, UsbBench(config.name), log)


def one_board(_: BoardConfig) -> bool:
    """There is one probe, so that workers use it in turns."""
    return True


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """What the bench of this board has and lacks."""
    settings = check_settings(config, Settings)
    chosen = [settings]
    with suppress(MissingTool):  # a reader of hardware maps, which is among the rows
        chosen = _choices(config, settings)
    return examine_bench([choice.probe for choice in chosen if choice.probe])


def require_packages(config: BoardConfig, extra: str, packages: Sequence[str]) -> None:
    """Raise MissingTool unless the Python packages of an optional extra are installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingTool(f"Python package {package}", f"by board {config.name!r}", f"pip install -e '.[{extra}]'")


def check_connection(config: BoardConfig, settings: Settings) -> None:
    """Raise UsageError for a chip or a serial port that pyOCD and pyserial do not know."""
    place = f"{config.file}: [{config.kind}]"
    check_chip(settings.pyocd_target, f"{place}: pyocd_target")
    check_port(settings.serial, f"{place}: serial")


def _choices(config: BoardConfig, settings: Settings) -> list[Settings]:
    """The settings, once for each board that would do."""
    chosen = _from_hardware_map(config, settings, config.options.get("hil-hardware-map", ""))
    probe = config.options.get("hil-probe", "")
    if not probe:
        return chosen
    mapped = [choice for choice in chosen if choice.probe and probe.lower() in choice.probe.lower()]
    return mapped or [settings.model_copy(update={"probe": probe})]


def _from_hardware_map(config: BoardConfig, settings: Settings, named: str) -> list[Settings]:
    """The settings, once for each board that the map offers; as they are without a map."""
    file = Path(named) if named else config.file.parent / settings.hardware_map
    if not named and not settings.hardware_map:
        return [settings]
    if not settings.platform:
        raise UsageError(
            f"{config.file}: [{config.kind}]: platform: needed beside a hardware map\n"
            f'  fix: name the board as the map does, such as platform = "nucleo_f429zi"'
        )
    return [
        settings.model_copy(
            update={
                "probe": board.probe,
                "serial": board.serial or settings.serial,
                "baud": board.baud or settings.baud,
            }
        )
        for board in read_hardware_map(file, settings.platform)
    ]


class PyocdBoard(FirmwareBoard):
    """A physical board, or a simulated one behind the same probe driver.

    The probe is found, locked and connected at the first `provision`. Once lost, it is looked for again at once; when
    it does not come back, all that follows raises BoardBroken.
    """

    def __init__(
        self, config: BoardConfig, choices: Sequence[Settings], clock: ClockSpec, bench: Bench, log: Path
    ) -> None:
        """choices: settings of the boards that would do; the one whose probe is plugged in is taken."""
        super().__init__(config, clock, log)
        self._choices, self._settings, self._bench = choices, choices[0], bench
        self.probe_bundles = choices[0].bundle_probes
        self._target: Target | None = None
        self._lock: ProbeLock | None = None
        self._serial: SerialLog | None = None
        self._gone: BoardError | None = None  # why there is no target any more
        self._memory = _BoardMemory(self)
        self._step = "connect"  # named by what goes wrong in it
        self._held: dict[str, str] = {}  # hash of what is known to lie in flash, by name
        self._half = ""  # what is being written and not yet read back
        self._number = ""  # id of the probe that was found
        self._clock_checked = False

    # ---- Board

    @property
    def memory(self) -> _BoardMemory:
        return self._memory

    def check_image(self, image: Image) -> None:
        check_firmware(image)
        if (memory := known_memory(self._settings.pyocd_target)) is not None:
            check_placement(image, self._layout(memory))

    def begin_log(self, log: Path) -> None:
        super().begin_log(log)
        if self._serial is not None:
            self._serial.turn_to(log)

    def provision(self, image: Image, bundle: bytes) -> None:
        start = self._take(image, bundle)
        target = self._connected()
        with self._doing("flash"):
            check_placement(image, self._layout(target.layout))
            room = Range(start, start + image.symbol("__hil_bundle_bytes"))
            check_apart(image, room, target.sector_of, target.layout.flash)
            self._stop()
            self._bring("image", image.sha256, contents(image), target)
            self._bring("bundle", sha256(bundle).hexdigest(), (Piece(start, bundle),), target)
        with self._doing("boot"):
            self._start()
            self._await_boot()
        with self._doing("clock"):
            self._check_clock()
        self._step = "run"

    def reset(self) -> None:
        with self._doing("boot"):
            super().reset()
        self._step = "run"

    def close(self) -> None:
        target, self._target = self._target, None
        serial, self._serial = self._serial, None
        lock, self._lock = self._lock, None
        try:
            if target is not None:
                _close_quickly(target)
            if serial is not None:
                serial.close()
        finally:
            self._bench.close()
            if lock is not None:
                lock.close()

    def core_registers(self) -> Mapping[str, int]:
        try:
            return self._connected().registers()
        except BoardError:  # a post-mortem tells what it can
            return {}

    def words(self) -> str:
        return "\n" + hint if self._serial is not None and (hint := self._serial.hint()) else ""

    def outside(self) -> AbstractContextManager[Outside]:
        """Through the probe: the cycle counter, and the clock tree that the firmware has set up."""
        settings, memory = self._settings, self.memory

        def read(address: int) -> int:
            return int.from_bytes(memory.read(address, 4), "little")

        rate = clock_tree.core_hz(settings.clock_tree, read, settings.hse_hz) if settings.clock_tree else None
        counter = "DWT_CYCCNT, read by the probe"
        return nullcontext(FreeRunning(memory, counter, lambda: read(_CYCCNT), 1 << 32, rate))

    # ---- for FirmwareBoard

    def _start(self) -> None:
        with self._guarded() as target:
            target.halt_in_reset()
            self._clear()
            target.resume()

    def _stop(self) -> None:
        if self._target is None:
            return
        with self._guarded() as target:
            target.halt()
        if self._serial is not None:
            self._serial.flush()

    def _require_alive(self) -> None:
        with self._guarded() as target:
            state = target.state()
            if state is CoreState.LOCKUP:
                what = "is in lockup: a fault came up while a fault was being handled"
            elif state is CoreState.HALTED:
                by = "a breakpoint instruction" if target.stopped_by_breakpoint() else "another debugger?"
                what = f"was halted ({by})"
            else:
                return
        raise DeviceEnded(
            f"{self._step}: the core of board {self.config.name} {what}\n{self.postmortem().text}\n"
            f"  next: look at the code around pc and lr above, and at the fault handlers"
        )

    # ---- connecting

    def _connected(self) -> Target:
        """The target; connects on first use. Raises BoardBroken once the board is gone for good."""
        if self._target is not None:
            return self._target
        if self._gone is not None:
            raise self._gone
        self._step = "connect"
        try:
            return self._adopt(self._ladder().climb())
        except BoardError as error:
            self._gone = error if isinstance(error, BoardBroken) else BoardBroken(str(error))
            if self._gone is error:
                raise
            raise self._gone from error

    def _ladder(self, come_back: bool = False) -> Ladder:
        settings = self._choices[0]  # they differ in probe and port only
        wiring = Wiring(settings.pyocd_target, settings.connect_mode, settings.swd_hz)
        identity = Identity(settings.board_id, settings.device_id, settings.device_id_register)
        return Ladder(self._find, Connecting(wiring, identity, settings.connect_s, settings.power_cycle), come_back)

    def _find(self) -> Any:
        """The board's probe, locked for this run."""
        wanted = [settings.probe for settings in self._choices if settings.probe]
        probe = find_probe(self._bench, wanted, f"--hil-probe=ID, or probe in {self.config.file}")
        number = str(probe.unique_id)
        if self._lock is None:
            self._lock = ProbeLock(self._bench.lock_name(number), self._settings.lock_wait_s)
        fitting = (choice for choice in self._choices if choice.probe.lower() in number.lower())
        self._settings = next(fitting, self._choices[0])
        self._number = number
        return probe

    def _adopt(self, target: Target) -> Target:
        """Make it the board's target, with its log."""
        try:
            self._open_log()
        except BaseException:
            _close_quickly(target)
            raise
        self._target = target
        self._held.clear()
        self._clock_checked = False
        return target

    def _open_log(self) -> None:
        if self._serial is not None:
            if not self._serial.ended:
                return
            self._serial.close()
            self._serial = None
        settings = self._settings
        if settings.serial == NO_LOG:
            return
        port = settings.serial or self._bench.serial_port(self._number)
        if not port:
            raise BoardBroken(
                f"log: probe {self._number} has no serial port on this machine\n"
                f'  next: name one with serial in {self.config.file}, or set serial = "{NO_LOG}" there'
            )
        self._serial = SerialLog(port, settings.baud, self.log, self._bench.friends())

    # ---- losing it

    @contextmanager
    def _doing(self, step: str) -> Iterator[None]:
        """What goes wrong inside is told as trouble of `step`."""
        self._step = step
        with self._guarded():
            yield

    @contextmanager
    def _guarded(self) -> Iterator[Target]:
        """The target, for calls that may lose it."""
        try:
            yield self._connected()
        except TargetLost as error:
            raise self.lose(error) from error

    def lose(self, error: TargetLost) -> BoardError:
        """Look for the board again, and say what came of it. What ran on it has ended in any case."""
        target, self._target = self._target, None
        if target is not None:
            _close_quickly(target)
        said = str(error).splitlines()[0]
        head = f"{self._step}: board {self.config.name} was lost: {said}{self._half_written()}"
        if isinstance(error, Stuck):  # its thread may still hold the probe
            self._gone = BoardBroken(f"{head}\n  next: unplug the board and plug it in again")
            return self._gone
        ladder = self._ladder(come_back=True)
        try:
            self._adopt(ladder.climb("connect again"))
        except BoardError as verdict:
            self._gone = BoardBroken(f"{head}\n  connecting again: {str(verdict).removeprefix('connect: ')}")
            return self._gone
        again = f", after: {'; '.join(ladder.tried)}" if ladder.tried else ""
        return BoardError(
            f"{head}\n  it answers again{again}\n  next: check cables and supply; run this case again on a steady bench"
        )

    def _half_written(self) -> str:
        if not self._half:
            return ""
        return f"\n  the {self._half} in its flash is half-written; the next run of this harness writes it anew"

    # ---- flash

    def _layout(self, memory: Layout) -> Layout:
        """pyOCD's map of the chip, with the RAM of the board file, which may know of more."""
        ram = tuple(Range(start, start + size) for start, size in self._settings.ram)
        return replace(memory, ram=ram) if ram else memory

    def _bring(self, name: str, digest: str, pieces: Sequence[Piece], target: Target) -> None:
        """Have `pieces` in flash, read back; sectors that hold them already are left alone."""
        if self._held.get(name) == digest:
            return
        self._held.pop(name, None)
        try:
            within(self._settings.flash_s, f"writing the {name}", lambda beat: self._write(name, pieces, target, beat))
        except FlashError as error:
            raise BoardBroken(
                f"flash: board {self.config.name}: the {name} cannot be written: {error}{self._half_written()}\n"
                f"  next: lift the write protection of these sectors (option bytes, STM32CubeProgrammer), "
                f"or replace the board"
            ) from error
        except KeyboardInterrupt as stopped:
            if not self._half:
                raise
            raise KeyboardInterrupt(f"{stopped}{self._half_written()}") from stopped  # pytest shows these words
        self._held[name] = digest

    def _write(self, name: str, pieces: Sequence[Piece], target: Target, beat: Beat) -> None:
        def read(address: int, size: int) -> bytes:
            return target.read_much(address, size, beat)

        def progress(part: float) -> None:
            beat()
            self.progress(f"flash {name}", round(part * 100), 100)

        wrong = differing(pieces, read, target.sector_of)
        if not wrong:
            return
        self._half = name
        target.halt_in_reset()  # whatever ran may have left the clocks, the caches or an MPU in the writer's way
        target.program(wrong, progress)
        if found := mismatch(wrong, read):
            raise BoardBroken(
                f"verify: board {self.config.name}: the {name} read back from flash is not what was written: {found}"
                f"{self._half_written()}\n"
                f"  next: lower swd_hz in the board file and check the supply; if it stays, the flash is worn out"
            )
        self._half = ""

    # ---- clock

    def _check_clock(self) -> None:
        """Hold the cycle counter against host time, once a connection, before its cycles are called milliseconds."""
        if self.clock.kind != "cycles" or self._clock_checked:
            return
        link = LinkClient(Rtt(self.memory, self.image.symbol("_SEGGER_RTT")), self.check)
        found = cycle_clock.measure(
            lambda: int.from_bytes(self.memory.read(_CYCCNT, 4), "little"),
            # The firmware stays awake for a while after each request, and the counter stands still while it sleeps.
            lambda: _greet(link, self.config.timeout.boot_s),
        )
        if not found.decides(self.clock.tick_hz):
            raise BoardError(
                f"clock: could not be measured to {cycle_clock.TOLERANCE * 100:g} % "
                f"(reads took {found.read_s * 1e3:.0f} ms): "
                f"the cycle counter of board {self.config.name} runs at {found} of host time\n"
                f"  next: run again on a host that is less busy; plug the probe in without a hub between, "
                f"or raise swd_hz of {self.config.file}"
            )
        if not found.fits(self.clock.tick_hz):
            raise BoardError(
                f"clock: the cycle counter of board {self.config.name} runs at {found} of host time, the board file "
                f"says {self.clock.tick_hz / 1e6:.2f} MHz; nothing here would be right in milliseconds\n"
                f"  next: mend the clock set-up of the firmware, the crystal or ST-LINK clock (MCO) of the board, "
                f"or clock_hz of {self.config.file}"
            )
        self._clock_checked = True


class _BoardMemory:
    """RAM of the board's target, whichever connection there is now."""

    def __init__(self, board: PyocdBoard) -> None:
        self._board = board

    def read(self, address: int, size: int) -> bytes:
        """Raises BoardError, BoardBroken when the board is gone."""
        try:
            return self._board._connected().memory.read(address, size)
        except TargetLost as error:
            raise self._board.lose(error) from error

    def write(self, address: int, data: bytes) -> None:
        """Raises BoardError, BoardBroken when the board is gone."""
        try:
            self._board._connected().memory.write(address, data)
        except TargetLost as error:
            raise self._board.lose(error) from error


def _greet(link: LinkClient, timeout_s: float) -> None:
    link.request(hello_command(), timeout_s)


def _close_quickly(target: Target) -> None:
    with suppress(BoardError):
        within(_CLOSE_S, "closing the probe", lambda _: target.close())
