"""What all boards share, whatever runs the firmware and however it is reached: image, log, release on every way out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hil.board.base import Progress
from hil.board.config import BoardConfig
from hil.errors import BoardError
from hil.image.elf import Image
from hil.link.channel import Channel
from hil.link.client import LinkClient
from hil.link.messages import decode_hello, hello_command
from hil.patience import Turn
from hil.records import ClockSpec, Hello

LOG_LINES = 12  # of the log, in a post-mortem
_FIRST_REPEAT_S = 0.2  # of a hello: a firmware that was still starting lost the one before


class LoggedBoard(ABC):
    """A board with a log. A kind is this or, where the board gives its memory, a `FirmwareBoard`."""

    request_s = 2e-3
    probe_bundles = True
    once_per_image = False
    resets = True

    def __init__(self, config: BoardConfig, clock: ClockSpec, log: Path) -> None:
        self.config, self.clock, self.log = config, clock, log
        self.progress: Progress = lambda *_: None
        self._image: Image | None = None

    # ---- what a kind gives

    @abstractmethod
    def check_image(self, image: Image) -> None:
        """As `Board.check_image`; `provision` calls it."""

    @abstractmethod
    def provision(self, image: Image, bundle: bytes) -> None:
        """As `Board.provision`."""

    @abstractmethod
    def ping(self, image: Callable[[], Image]) -> Hello:
        """As `Board.ping`."""

    @abstractmethod
    def channel(self) -> Channel:
        """As `Board.channel`."""

    @abstractmethod
    def check(self) -> None:
        """As `Board.check`."""

    @abstractmethod
    def close(self) -> None:
        """As `Board.close`."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop the firmware, where that can be done; what it wrote to its log so far is in the file afterwards. Safe to
        call twice.
        """

    def core_registers(self) -> Mapping[str, int]:
        """As `Board.core_registers`."""
        return {}

    def turns(self) -> Mapping[int, Turn]:
        """As `Board.turns`."""
        return {}

    def words(self) -> str:
        """What was logged and is not in the log file yet."""
        return ""

    # ---- Board

    @property
    def image(self) -> Image:
        if self._image is None:
            raise BoardError(f"board {self.config.name}: no image was provisioned yet")
        return self._image

    def begin_log(self, log: Path) -> None:
        self._stop()  # its last words belong to the log before
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- for the kinds

    def _client(self) -> LinkClient:
        """Of the firmware that starts, or runs, now."""
        return LinkClient(self.channel(), self.check, turns=self.turns)

    def _hello_by(self, client: LinkClient) -> Hello:
        """What the firmware says within the board's boot time-out. Raises DeviceSilent when it says nothing."""
        command, limit = hello_command(), self.config.timeout.boot_s
        return decode_hello(client.request(command, limit, _FIRST_REPEAT_S), client.boot or 0)

    def _log_tail(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = (text + self.words()).strip().splitlines()[-LOG_LINES:]
        return "\n  last lines of the log:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""

    def _explained(self, lines: list[str], registers: Mapping[str, int]) -> str:
        """`lines`, then where PC and LR lie in the source, the registers that are not zero, and the end of the log."""
        for name in ("pc", "lr"):
            if address := registers.get(name):
                lines.append(f"  {name} {address:#010x}  {self.image.locate(address)}")
        lines.append("  " + " ".join(f"{name} {value:#x}" for name, value in registers.items() if value))
        return "\n".join(lines) + self._log_tail()
