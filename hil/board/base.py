"""What every kind of board offers. A new kind is one file beside this one (docs/boards.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from hil.board.config import BoardConfig
from hil.board.outside import Outside
from hil.image.elf import Image
from hil.link.channel import Channel
from hil.link.rtt import Memory
from hil.patience import Turn
from hil.records import ClockSpec, FaultReport, Hello

Progress = Callable[[str, int, int], None]  # what, done, of how many


class Board(Protocol):
    """A thing that runs an image. A context manager: whatever it holds is released on every exit path.

    All methods raise BoardError when the board cannot be reached, and DeviceFault when the firmware left a fault
    record.
    """

    config: BoardConfig
    clock: ClockSpec
    log: Path  # what the firmware wrote to its log
    progress: Progress  # told of work that takes its time, such as writing flash
    once_per_image: bool  # whether tests that take long, or wear the flash, are remembered with the image's hash
    request_s: float  # about what one small request takes, seconds of host time: how many probes are worth sending
    resets: bool  # whether `reset` starts the firmware again, and is no more than a new hello
    probe_bundles: bool  # whether damaged bundles may be provisioned too: each wears the flash of a physical board

    @property
    def memory(self) -> Memory | None:
        """RAM of the running target; None: this board gives no memory."""

    @property
    def image(self) -> Image:
        """The image that was provisioned."""

    def check_image(self, image: Image) -> None:
        """Raise UsageError unless this board can run the image at all. Needs nothing but the file."""

    def channel(self) -> Channel:
        """The way to the agent that runs now. One client at a time."""

    def last_taken(self) -> int | None:
        """Id of the last request that the firmware took up, where it is kept and can be read; None otherwise."""

    def core_registers(self) -> Mapping[str, int]:
        """Of the running core by name (pc, lr, sp, xpsr, cfsr, hfsr, mmfar, bfar), as many as can be told."""

    def outside(self) -> AbstractContextManager[Outside]:
        """A look past the firmware of a board that runs: its RAM, and a count of time that is not its own."""

    def begin_log(self, log: Path) -> None:
        """Stop the firmware, and let what it writes from now on go to `log`, which is emptied."""

    def provision(self, image: Image, bundle: bytes) -> None:
        """Write image and bundle, read both back, start the firmware and wait until its link is up."""

    def reset(self) -> None:
        """Start the firmware again with the same image and bundle; fault record and link are made anew."""

    def ping(self, image: Callable[[], Image]) -> Hello:
        """What the firmware says in its hello, and nothing else: a firmware that runs somewhere already is neither
        written nor reset; one that runs only while the harness has it run is started from `image`, without a bundle.

        image: is called by such a board alone. Raises BoardError with what to do when nobody answers.
        """

    def check(self) -> None:
        """Return when the board is alive and the firmware has left no fault record; raise otherwise. Cheap."""

    def postmortem(self) -> FaultReport:
        """Where the firmware is or died: registers, function and line, last lines of the log.

        Raises BoardError when the board does not answer either.
        """

    def turns(self) -> Mapping[int, Turn]:
        """What an emulator got of this machine's processors, as `hil.patience.turns_of`; empty when there is none."""

    def close(self) -> None:
        """Release everything. Safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
