"""What all boards share that give their memory: boot, fault record, post-mortem."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from hil.board.fault import RECORD_BYTES, Fault, causes, decode
from hil.board.logged import LoggedBoard
from hil.board.outside import OnlyMemory, Outside
from hil.errors import BoardError, DeviceEnded, DeviceFault
from hil.image.elf import Image
from hil.link.rtt import Memory, Rtt
from hil.patience import Patience
from hil.records import FaultReport, Hello

_BOOT_POLL_S = 0.5e-3
_FAULT_RECORD = "hil_fault_record"


class FirmwareBoard(LoggedBoard):
    """A board on which firmware with the test agent runs. A kind says how memory is reached and how it starts."""

    request_s = 2e-3  # by way of a probe, or of an emulator that is asked for each byte

    # ---- what a kind gives

    @property
    @abstractmethod
    def memory(self) -> Memory:
        """RAM of the running target."""

    @abstractmethod
    def _start(self) -> None:
        """Let the provisioned firmware run from its reset vector; `_clear` first. Does not wait for it."""

    @abstractmethod
    def _require_alive(self) -> None:
        """Return when the board is there and runs; raise BoardError otherwise. Cheap."""

    def mute(self) -> str:
        """Why what runs the firmware is known not to answer, which is not the firmware's own silence; "" by default."""
        return ""

    def outside(self) -> AbstractContextManager[Outside]:
        """As `Board.outside`; a kind that has a counter, or more memory than the link needs, gives those."""
        return nullcontext(OnlyMemory(self.memory))

    # ---- Board

    def channel(self) -> Rtt:
        return Rtt(self.memory, self.image.symbol("_SEGGER_RTT"))

    def last_taken(self) -> int | None:
        if not self.image.has_symbol("hil_last_request"):
            return None
        return int.from_bytes(self.memory.read(self.image.symbol("hil_last_request"), 4), "little")

    def ping(self, image: Callable[[], Image]) -> Hello:
        """Of a firmware that runs only while the harness has it run."""
        self.provision(image(), b"")
        return self._hello_by(self._client())

    def reset(self) -> None:
        self._stop()
        self._start()
        self._await_boot()

    def check(self) -> None:
        self._raise_fault()
        try:
            self._require_alive()
        except BoardError:
            self._raise_fault()  # what the firmware did comes before what became of the board
            raise

    def postmortem(self) -> FaultReport:
        found = self.fault()
        return self._hang() if found is None else self._died(found)

    # ---- for the kinds

    def fault(self) -> Fault | None:
        """The fault record in target RAM, if the firmware has left one; that of others may have none to leave."""
        if not self.image.has_symbol(_FAULT_RECORD):
            return None
        return decode(self.memory.read(self.image.symbol(_FAULT_RECORD), RECORD_BYTES))

    def _take(self, image: Image, bundle: bytes) -> int:
        """Check and remember the image, and return the address for `bundle`, 0 where there is none to write.

        Raises UsageError for an image that cannot run here, BoardError for a bundle that finds no room.
        """
        self.check_image(image)
        self._image = image
        if self.config.own_model:
            return 0
        start, room = image.symbol("__hil_bundle_start"), image.symbol("__hil_bundle_bytes")
        if len(bundle) > room:
            raise BoardError(
                f"provision: the bundle has {len(bundle):,} bytes, target {self.config.target} has room for {room:,}\n"
                f"  next: use a smaller model, or enlarge __hil_bundle_bytes in the target's linker script"
            )
        return start

    def _clear(self) -> None:
        """Take away the fault record and the link's mark of the firmware that ran before."""
        if self.image.has_symbol(_FAULT_RECORD):
            self.memory.write(self.image.symbol(_FAULT_RECORD), bytes(RECORD_BYTES))
        self.memory.write(self.image.symbol("_SEGGER_RTT"), bytes(16))

    def _await_boot(self) -> None:
        """Wait until the link is up. Raises BoardError with a post-mortem after the board's boot time-out."""
        self._wait(lambda: Rtt.ready(self.memory, self.image.symbol("_SEGGER_RTT")), "boot")

    def _wait(self, done: Callable[[], bool], step: str) -> None:
        limit = self.config.timeout.boot_s
        patience = Patience(limit, self.turns)
        while not done():
            try:
                self.check()
            except DeviceEnded as error:
                text = str(error)
                raise DeviceEnded(text if text.startswith(f"{step}: ") else f"{step}: {text}") from error
            if patience.over() and not done():
                raise BoardError(
                    f"{step}: board {self.config.name} did not open its link within {limit:g} s"
                    f"\n{self.postmortem().text}\n  next: is {self.image.path} firmware with the test agent?"
                )
            time.sleep(_BOOT_POLL_S)

    # ---- inside

    def _raise_fault(self) -> None:
        if found := self.fault():
            raise DeviceFault(found)

    def _hang(self) -> FaultReport:
        registers = dict(self.core_registers())
        if mute := self.mute():
            raise BoardError(f"run: board {self.config.name}: {mute}")
        if "pc" not in registers:
            text = f"no fault record; the program counter is not known{self._log_tail()}"
            return FaultReport("hang", "unknown", text)
        lines = ["no fault record; the core was found here", *(f"  {cause}" for cause in causes(registers))]
        return FaultReport("hang", "unknown", self._explained(lines, registers), registers)

    def _died(self, found: Fault) -> FaultReport:
        lines = [f"{found.kind} in stage {found.stage}", *(f"  {cause}" for cause in found.causes())]
        return FaultReport(found.kind, found.stage, self._explained(lines, found.registers), found.registers)
