"""Boards of kind `native`: the firmware compiled for this machine, with sanitizers, as a child process."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from hil.board.config import BoardConfig, check_settings
from hil.board.hosted import HostedBoard
from hil.board.memory import ProcessMemory
from hil.board.outside import FreeRunning, Outside
from hil.child import Child
from hil.errors import BoardError
from hil.image.elf import Image
from hil.patience import Patience
from hil.records import ClockSpec

HOST_TIME = ClockSpec("host time", "ns", 1, 1, 1_000_000_000, False, 1_000_000_000)
_CONFESS_S = 5.0
_MUTE = (
    f"the firmware's process does not answer a signal within {_CONFESS_S:g} s\n"
    "  next: did somebody stop the process (SIGSTOP), or is the machine overloaded? Run it again"
)


class Settings(BaseModel):
    """The `[native]` table of a board file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    shared_base: int
    shared_bytes: int = Field(gt=0)


def open_board(config: BoardConfig, log: Path) -> NativeBoard:
    """The board, not started yet. Raises UsageError for a wrong table."""
    settings = check_settings(config, Settings)
    return NativeBoard(config, HOST_TIME, log, settings.shared_base, settings.shared_bytes)


class NativeBoard(HostedBoard):
    """A host process; its ticks are host time, on which no latency limit is judged."""

    request_s = 4e-5
    _mute = ""

    def check_image(self, image: Image) -> None:
        image.require_machine(platform.machine())
        image.require_agent()

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        return (str(image.path), "--ram", self._memory.path), (self._memory.fd,)

    def outside(self) -> AbstractContextManager[Outside]:
        """Host time, which is what the firmware's own clock must be; the RAM is that of the process."""
        return self._look()

    @contextmanager
    def _look(self) -> Iterator[Outside]:
        if self.pid is None:
            raise BoardError(f"board {self.config.name} is not running")
        with ProcessMemory(self.pid) as memory:
            yield FreeRunning(memory, "host time", time.monotonic_ns)

    def ended_by_firmware(self, child: Child) -> bool:
        """The process is the firmware: only these signals come from elsewhere."""
        foreign = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        return child.code is not None and -child.code not in foreign

    def core_registers(self) -> Mapping[str, int]:
        """Have the firmware's own deadline handler say where it is."""
        pid = self.pid
        if pid is None:
            return {}
        try:
            os.kill(pid, signal.SIGALRM)
        except ProcessLookupError:  # it has ended
            return {}
        self._mute = ""
        patience = Patience(_CONFESS_S, self.turns)
        while not patience.over():
            if found := self.fault():
                return {"pc": found.registers["pc"]}
            time.sleep(1e-3)
        self._mute = _MUTE
        return {}

    def mute(self) -> str:
        return self._mute
