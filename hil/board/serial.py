"""Boards of kind `serial`: any board behind a serial port or a socket. It gives no memory: all there is are the frames
of the link and the log lines between them.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from hil.bench.command import run_command
from hil.bench.labgrid import CLIENT, SCHEME, Place
from hil.bench.line import SerialPort
from hil.bench.port import check_port, port_row, who
from hil.board.config import BoardConfig, check_settings, require_packages
from hil.board.outside import HostTime, Outside
from hil.board.streamed import StreamedBoard
from hil.board.unheard import Instead, Unheard
from hil.errors import BoardBroken, BoardError, MissingTool, UsageError
from hil.image.elf import Image
from hil.link.client import LinkClient
from hil.link.stream import Heard, Stream
from hil.need import Row, State
from hil.records import ClockSpec, FaultReport, Hello

NONE = "none"
_GET_LABGRID = "pipx install labgrid   # in an environment of its own: it brings a fork of pyserial"
_ELF, _BUNDLE = "{elf}", "{bundle}"  # in a flash command
LINES = ("dtr", "rts")  # that can reset a board
_UNITS = {"cycles": "cycles", "host time": "ns"}  # of a clock of this kind
_REOPEN_S = 0.02
DEVICE_KEYS = {"port": ""}  # of the table: what tells one device of a pool from another; the option that chooses


class Settings(BaseModel):
    """The `[serial]` table of a board file. Times are seconds of host time."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    port: str = Field(min_length=1)
    baud: int = Field(default=115_200, gt=0)
    flash: str = NONE
    flash_s: float = Field(default=120.0, gt=0)
    reset: str = NONE
    reset_s: float = Field(default=10.0, gt=0)
    dtr: bool = True
    rts: bool = True
    patience_s: float = Field(default=5.0, gt=0)
    bundle_probes: bool = False
    clock: Literal["cycles", "host time"] = "cycles"
    clock_hz: int | None = Field(default=None, gt=0)
    labgrid_client: str = CLIENT

    @property
    def place(self) -> str:
        """Of labgrid, at which the port is; "" for a port that is named itself."""
        return self.port.removeprefix(SCHEME) if self.port.startswith(SCHEME) else ""

    @field_validator("flash", "reset")
    @classmethod
    def _is_command(cls, text: str) -> str:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise PydanticCustomError("command", "is no command line: {problem}", {"problem": str(error)}) from error
        if not words:
            raise PydanticCustomError("command", 'is empty: write a command, or "none"')
        return text


def open_board(config: BoardConfig, log: Path) -> SerialBoard:
    """The board, not touched yet. Raises MissingTool without pyserial, UsageError for a wrong table."""
    settings = check_settings(config, Settings)
    require_packages(config, "bench", ("serial",))
    place = f"{config.file}: [serial]"
    if settings.port.lower().startswith("loop://"):
        raise UsageError(
            f"{place}: port: loop:// gives back what is sent: there is no board behind it\n"
            "  fix: write a device, socket://HOST:PORT or rfc2217://HOST:PORT"
        )
    if settings.place:
        if shutil.which(settings.labgrid_client) is None:
            raise MissingTool(settings.labgrid_client, f"by board {config.name!r}", _GET_LABGRID)
    else:
        check_port(settings.port, f"{place}: port")
    if settings.reset in LINES and settings.port.lower().startswith("socket://"):
        raise UsageError(
            f"{place}: reset: a socket has no line {settings.reset.upper()}\n"
            f'  fix: name a command, or "none"; rfc2217:// carries {settings.reset.upper()}'
        )
    return SerialBoard(config, settings, log)


def own_models(_: BoardConfig) -> bool:
    """Firmware whose model is compiled in runs on it."""
    return True


def one_board(_: BoardConfig) -> bool:
    """There is one port, so that workers use it in turns."""
    return True


def examine(config: BoardConfig, path: str | None = None) -> list[Row]:
    """Whether the port is there and free, or who is asked for it."""
    settings = check_settings(config, Settings)
    if not settings.place:
        return [port_row(settings.port)]
    found = shutil.which(settings.labgrid_client, path=path) or ""
    state = State.OK if found else State.MISSING
    return [Row(settings.labgrid_client, found, "", state, command=_GET_LABGRID, origin="labgrid")]


class SerialBoard(StreamedBoard):
    """The port is opened at the first `provision`, and given back while the flash command runs."""

    def __init__(self, config: BoardConfig, settings: Settings, log: Path) -> None:
        rate = settings.clock_hz or 0
        super().__init__(config, ClockSpec(settings.clock, _UNITS[settings.clock], 1, 1, rate, False, rate), log)
        self.settings = settings
        self.probe_bundles = settings.bundle_probes and _BUNDLE in settings.flash
        self.resets = settings.reset != NONE
        self._port = SerialPort(settings.port, settings.baud, {"dtr": settings.dtr, "rts": settings.rts})
        self._stream = Stream(self._port, settings.patience_s, self._write)
        self._place: Place | None = None  # of labgrid, held
        self._written: tuple[str, str] | None = None  # SHA-256 of image and bundle in the flash, as far as is known

    # ---- Board

    def outside(self) -> AbstractContextManager[Outside]:
        """Host time, which is what bounds the firmware's own clock; RAM there is none."""
        return nullcontext(HostTime(self.clock.tick_hz))

    def check_image(self, image: Image) -> None:
        """Any image: who writes it to the flash knows which one fits."""

    def provision(self, image: Image, bundle: bytes) -> None:
        self.check_image(image)
        self._image = image
        wanted = image.sha256, sha256(bundle).hexdigest()
        if self.settings.flash != NONE and self._written != wanted:
            self._written = None
            self._stop()
            self._port.close()  # what writes the flash may need it
            self._flash(image, bundle)
            self._written = wanted
        self.reset()

    def reset(self) -> None:
        self._stop()
        self._open()
        if self.settings.reset in LINES:
            self._port.pulse(self.settings.reset)
        elif self.resets and (failure := run_command(self.settings.reset, self.settings.reset_s)):
            raise BoardError(f"reset: {self.settings.reset}: {failure}\n  next: run the command by hand")
        self._greet()

    def ping(self, image: Callable[[], Image]) -> Hello:
        """Of the firmware that runs there, as it was found: nothing is written, nothing is reset on purpose."""
        self._open()
        return self._greet()

    def check(self) -> None:
        """A port that is gone is seen by the channel; nothing else of this board is."""

    def postmortem(self) -> FaultReport:
        self._stream.settle()
        if pids := self._port.others():
            raise BoardBroken(f"run: {self._shared(pids)}")
        text = "this board gives no memory: neither a fault record nor the program counter can be read"
        return FaultReport("hang", "unknown", text + self._log_tail())

    def close(self) -> None:
        place, self._place = self._place, None
        try:
            self._stop()
            self._port.close()
        finally:
            if place is not None:
                place.close()

    # ---- inside

    def _stop(self) -> None:
        """Nothing stops the firmware; what it said so far goes to the log."""
        if self._port.is_open:
            self._stream.settle()

    def _open(self) -> None:
        """Open the port, unless it is; one that USB is still making is waited for."""
        if self._port.is_open:
            return
        if self.settings.place and self._place is None:
            self._place = Place(self.settings.place, self.settings.labgrid_client)
            self._port.name = self._place.port
        end = time.monotonic() + self.settings.patience_s
        while why := self._port.reopen():
            if time.monotonic() > end:
                raise BoardBroken(
                    f"{why}\n  next: is the board plugged in and powered? Name its port in {self.config.file}; "
                    "`python -m serial.tools.list_ports -v` lists those of this machine"
                )
            time.sleep(_REOPEN_S)

    def _flash(self, image: Image, bundle: bytes) -> None:
        """Run the board file's command with the paths of both in place of {elf} and {bundle}."""
        self.progress("flash", 0, 0)
        with tempfile.NamedTemporaryFile(prefix="hil-bundle-") as file:
            file.write(bundle)
            file.flush()
            paths = {_ELF: str(image.path.resolve()), _BUNDLE: file.name}
            command = shlex.split(self.settings.flash)
            for mark, path in paths.items():
                command = [word.replace(mark, path) for word in command]
            if failure := run_command(command, self.settings.flash_s):
                raise BoardError(
                    f"flash: {shlex.join(command)}: {failure}\n"
                    f"  next: run the command by hand; it is flash of [serial] in {self.config.file}"
                )

    # ---- why nobody answers

    def _greet(self) -> Hello:
        self._stream.heard = Heard()  # of this start
        return super()._greet()

    def _take_rate(self, hello: Hello) -> None:
        if self.settings.clock_hz is None:
            self.clock = replace(self.clock, hz=hello.clock_hz, tick_hz=hello.clock_hz)

    def _why_unheard(self, client: LinkClient) -> str:
        if pids := self._port.others():
            return self._shared(pids) + self._log_tail()
        why, baud = Unheard(self._stream.heard, bool(client.echoed), self._port.name), self.settings.baud
        step = {
            Instead.ECHO: "are TX and RX joined? On a line of two wires, is the firmware at its other end?",
            Instead.NOTHING: (
                "is it powered, does its firmware have the test agent on this port, are TX and RX crossed, "
                f"and is its UART at {baud} baud?"
            ),
            Instead.NOISE: (
                f"is the UART of the firmware at {baud} baud, 8N1? The board file's baud, the clock of the UART, or "
                "the crystal may be wrong"
            ),
            Instead.TEXT: "does this firmware have the test agent, is it polled, and is this its port?",
        }[why.instead]
        unreset = why.instead is Instead.NOTHING and not self.resets
        what = f"{why}; nothing resets it (reset in the board file)" if unreset else why
        return f"{what}\n  next: {step}{self._log_tail()}"

    def _shared(self, pids: list[int]) -> str:
        return f"serial port {self._port.name} is in use by {who(pids)} too, which takes bytes away\n  next: end it"
