"""What QEMU and native boards share: the firmware runs in a child process, its link RAM is a file shared with this
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hil.board.config import BoardConfig
from hil.board.firmware import FirmwareBoard
from hil.board.memory import SharedMemory
from hil.child import Child
from hil.errors import BoardError, DeviceEnded
from hil.image.elf import Image
from hil.patience import Turn
from hil.records import ClockSpec


def require_running(
    name: str, child: Child | None, brought_down: Callable[[Child], bool], how: Callable[[str], str]
) -> None:
    """Return while the process of board `name` runs. Raises DeviceEnded when what it runs brought it down, in the words
    of `how`, and BoardError when something else did.
    """
    if child is None:
        raise BoardError(f"board {name} is not running")
    if ended := child.ended():
        if brought_down(child):
            raise DeviceEnded(f"board {name}: {how(ended)}")
        raise BoardError(f"board {name}: {ended}\n  next: run it again; what ended it came from outside")


class HostedBoard(FirmwareBoard):
    """A board in a child process. Kinds give the command line and, where they can, the registers of a hang."""

    request_s = 6e-5  # shared memory, and a processor that is emulated

    def __init__(self, config: BoardConfig, clock: ClockSpec, log: Path, base: int, size: int) -> None:
        super().__init__(config, clock, log)
        self._memory = SharedMemory(base, size)
        self._child: Child | None = None

    # ---- what a kind gives

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        """Command line of the child and the file descriptors it inherits."""
        raise NotImplementedError

    def ended_by_firmware(self, child: Child) -> bool:
        """Whether a child that has ended was brought down by what it ran."""
        return False

    def how_it_ended(self, ended: str) -> str:
        """In words, of a child that `ended` like that because of what it ran."""
        return ended

    # ---- Board

    @property
    def memory(self) -> SharedMemory:
        return self._memory

    @property
    def pid(self) -> int | None:
        """Process id of the child, while there is one."""
        return self._child.pid if self._child else None

    def provision(self, image: Image, bundle: bytes) -> None:
        self._stop()
        start = self._take(image, bundle)
        if not self.config.own_model:
            self._memory.write(start, bundle)
            if self._memory.read(start, len(bundle)) != bundle:
                raise BoardError(f"provision: the bundle read back from {start:#x} differs from what was written")
        self._start()
        self._await_boot()

    def turns(self) -> Mapping[int, Turn]:
        return self._child.turns() if self._child else {}

    def close(self) -> None:
        self._stop()
        self._memory.close()

    def words(self) -> str:
        return self._child.words() if self._child else ""

    # ---- inside

    def _start(self) -> None:
        self._clear()
        command, fds = self.command(self.image)
        self._child = Child(command, fds)

    def _stop(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            text = child.words(1 << 20)
            child.kill()
            if text:
                with self.log.open("a", encoding="utf-8") as log:
                    log.write(text)

    def _require_alive(self) -> None:
        require_running(self.config.name, self._child, self.ended_by_firmware, self.how_it_ended)
