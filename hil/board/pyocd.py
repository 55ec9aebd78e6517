"""Boards of kind `pyocd`: a microcontroller on a debug probe, its log on a serial port, driven through pyOCD."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from hil.bench import clock_tree, cycle_clock
from hil.bench.connection import Connection
from hil.bench.hardware_map import read_hardware_map
from hil.bench.port import check_port
from hil.bench.probe import Bench
from hil.bench.programmer import Programmer
from hil.bench.settings import Settings
from hil.bench.target import CoreState, TargetLost, check_chip, known_memory
from hil.bench.usb import UsbBench, examine_bench
from hil.board.config import BoardConfig, check_settings, require_packages
from hil.board.firmware import FirmwareBoard
from hil.board.outside import FreeRunning, Outside
from hil.errors import BoardError, DeviceEnded, LinkError, MissingTool, UsageError
from hil.image.elf import Image
from hil.image.flash import Layout, Piece, Range, bundle_room, check_apart, check_firmware, check_placement, contents
from hil.link.client import LinkClient
from hil.link.messages import hello_command
from hil.link.rtt import Memory, Rtt
from hil.need import Row
from hil.records import ClockSpec, Hello

_CYCCNT = 0xE0001004  # DWT_CYCCNT, ARMv7-M ARM, C1.8.8
DEVICE_KEYS = {
    "probe": "hil-probe"
}  # of the table: what tells one device of a pool from another; the option that chooses


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


def own_models(_: BoardConfig) -> bool:
    """Firmware whose model is compiled in runs on it: of that, the link in RAM is all that must be there."""
    return True


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


def check_connection(config: BoardConfig, settings: Settings) -> None:
    """Raise UsageError for a chip or a serial port that pyOCD and pyserial do not know."""
    place = f"{config.file}: [{config.kind}]"
    check_chip(settings.pyocd_target, f"{place}: pyocd_target")
    check_port(settings.serial, f"{place}: serial")


def _choices(config: BoardConfig, settings: Settings) -> list[Settings]:
    """The settings, once for each board that would do: of a map, the one whose probe is named elsewhere."""
    chosen = _from_hardware_map(config, settings, config.options.get("hil-hardware-map", ""))
    probe = config.options.get("hil-probe", "") or settings.probe
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
    """A physical board, or a simulated one behind the same probe driver. It is connected at the first `provision`."""

    def __init__(
        self, config: BoardConfig, choices: Sequence[Settings], clock: ClockSpec, bench: Bench, log: Path
    ) -> None:
        """choices: settings of the boards that would do; the one whose probe is plugged in is taken."""
        super().__init__(config, clock, log)
        self.probe_bundles = choices[0].bundle_probes
        self.once_per_image = choices[0].once_per_image
        self.connection = Connection(config.name, config.file, choices, bench, log)
        self._programmer = Programmer(self.connection, config.name)

    # ---- Board

    @property
    def memory(self) -> Memory:
        return self.connection.memory

    def check_image(self, image: Image) -> None:
        check_firmware(image, self.config.own_model)
        if (memory := known_memory(self.connection.settings.pyocd_target)) is not None:
            check_placement(image, self._layout(memory))

    def begin_log(self, log: Path) -> None:
        super().begin_log(log)
        self.connection.begin_log(log)

    def provision(self, image: Image, bundle: bytes) -> None:
        start = self._take(image, bundle)
        target = self.connection.target()
        with self.connection.doing("flash"):
            check_placement(image, self._layout(target.layout))
            if not self.config.own_model:
                check_apart(image, bundle_room(image), target.sector_of, target.layout.flash)
            self._stop()
            self._programmer.bring("image", image.sha256, contents(image), self.progress)
            if not self.config.own_model:
                self._programmer.bring("bundle", sha256(bundle).hexdigest(), (Piece(start, bundle),), self.progress)
        with self.connection.doing("boot"):
            self._start()
            self._await_boot()
        with self.connection.doing("clock"):
            self._check_clock()
        self.connection.step = "run"

    def ping(self, image: Callable[[], Image]) -> Hello:
        """Of the firmware that is there, as it was found: its link is looked for in RAM, as nobody knows its ELF."""
        before = self.connection
        before.release()
        name, file = self.config.name, self.config.file
        self.connection = Connection(name, file, before.choices, before.bench, self.log, as_found=True)
        target = self.connection.target()
        with self.connection.doing("hello"):
            places = [at for ram in self._layout(target.layout).ram for at in self._links(ram)]
            failure: LinkError | None = None
            for address in places:  # what firmware of before left in RAM may lie there too
                try:
                    return self._hello_by(LinkClient(Rtt(self.memory, address), lambda: self._require_running(places)))
                except LinkError as error:
                    failure = error
            raise BoardError(self._nobody(places)) from failure

    def reset(self) -> None:
        with self.connection.doing("boot"):
            super().reset()
        self.connection.step = "run"

    def close(self) -> None:
        self.connection.close()

    def core_registers(self) -> Mapping[str, int]:
        try:
            return self.connection.target().registers()
        except BoardError:  # a post-mortem tells what it can
            return {}

    def words(self) -> str:
        return "\n" + hint if (hint := self.connection.log_hint()) else ""

    def outside(self) -> AbstractContextManager[Outside]:
        """Through the probe: the cycle counter, and the clock tree that the firmware has set up."""
        settings, memory = self.connection.settings, self.memory

        def read(address: int) -> int:
            return int.from_bytes(memory.read(address, 4), "little")

        rate = clock_tree.core_hz(settings.clock_tree, read, settings.hse_hz) if settings.clock_tree else None
        counter = "DWT_CYCCNT, read by the probe"
        return nullcontext(FreeRunning(memory, counter, lambda: read(_CYCCNT), 1 << 32, rate))

    # ---- for FirmwareBoard

    def _start(self) -> None:
        with self.connection.guarded() as target:
            target.halt_in_reset()
            self._clear()
            target.resume()

    def _stop(self) -> None:
        if not self.connection.is_open:
            return
        with self.connection.guarded() as target:
            target.halt()
        self.connection.flush_log()

    def _require_alive(self) -> None:
        with self.connection.guarded() as target:
            state = target.state()
            if state is CoreState.LOCKUP:
                what = "is in lockup: a fault came up while a fault was being handled"
            elif state is CoreState.HALTED:
                by = "a breakpoint instruction" if target.stopped_by_breakpoint() else "another debugger?"
                what = f"was halted ({by})"
            else:
                return
        raise DeviceEnded(
            f"{self.connection.step}: the core of board {self.config.name} {what}\n{self.postmortem().text}\n"
            f"  next: look at the code around pc and lr above, and at the fault handlers"
        )

    # ---- what only this kind has

    def _links(self, ram: Range) -> list[int]:
        """Where control blocks of the link lie; none in RAM that is not there, or has no clock."""
        try:
            return Rtt.find(self.memory, ram.start, ram.end - ram.start)
        except TargetLost:
            raise
        except BoardError:
            return []

    def _require_running(self, places: Sequence[int]) -> None:
        """Raise BoardError unless the core runs or sleeps. places: as in `_nobody`."""
        if self.connection.target().state() in (CoreState.HALTED, CoreState.LOCKUP):
            raise BoardError(self._nobody(places))

    def _nobody(self, places: Sequence[int]) -> str:
        """Why no agent answers, with what to do. places: where its link seemed to be."""
        state = self.connection.target().state()
        found = f"its link lies at {', '.join(f'{at:#010x}' for at in places)}" if places else "no link is in its RAM"
        if state is CoreState.LOCKUP:
            advice = "is its flash empty, or its firmware broken? Write firmware with the test agent:"
        elif state is CoreState.HALTED:
            advice = "let the core run (another debugger stopped it), or start it anew:"
        elif places:
            advice = "is the agent polled? Look where the firmware waits, or write one that polls it:"
        else:
            advice = "does this firmware have the test agent, over RTT? Write one that has it:"
        return (
            f"hello: no agent answers on board {self.config.name}: its core is {state.value}, and {found}\n"
            f"  next: {advice} `pytest --board={self.config.name}` does (docs/own-firmware.md)"
        )

    def _layout(self, memory: Layout) -> Layout:
        """pyOCD's map of the chip, with the RAM of the board file, which may know of more."""
        ram = tuple(Range(start, start + size) for start, size in self.connection.settings.ram)
        return replace(memory, ram=ram) if ram else memory

    def _check_clock(self) -> None:
        """Hold the cycle counter against host time, once a connection, before its cycles are called milliseconds."""
        if self.clock.kind != "cycles" or "clock" in self.connection.found:
            return
        link = LinkClient(Rtt(self.memory, self.image.symbol("_SEGGER_RTT")), self.check)

        def greet() -> None:
            """The firmware stays awake for a while after each request; the counter stands still while it sleeps."""
            link.request(hello_command(), self.config.timeout.boot_s)

        found = cycle_clock.measure(lambda: int.from_bytes(self.memory.read(_CYCCNT, 4), "little"), greet)
        cycle_clock.require(found, self.clock.tick_hz, self.config.name, self.config.file)
        self.connection.found["clock"] = str(found)
