"""What QEMU and native boards share: the firmware runs in a child process, its link RAM is a file shared with this
one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from hil.board import fault
from hil.board.child import Child
from hil.board.config import BoardConfig
from hil.board.memory import SharedMemory
from hil.errors import BoardError, DeviceEnded, DeviceFault
from hil.image.elf import Image
from hil.link.rtt import Rtt
from hil.records import ClockSpec, FaultReport

LOG_LINES = 12  # of the log, in a post-mortem


class HostedBoard:
    """A board in a child process. Kinds give the command line and, where they can, the program counter of a hang."""

    def __init__(self, config: BoardConfig, clock: ClockSpec, log: Path, base: int, size: int) -> None:
        self.config, self.clock, self.log = config, clock, log
        self._memory = SharedMemory(base, size)
        self._child: Child | None = None
        self._image: Image | None = None

    # ---- what a kind gives

    def command(self, image: Image) -> tuple[Sequence[str], Sequence[int]]:
        """Command line of the child and the file descriptors it inherits."""
        raise NotImplementedError

    def ended_by_firmware(self, child: Child) -> bool:
        """Whether a child that has ended was brought down by what it ran."""
        return False

    def program_counter(self) -> int | None:
        """Where the running firmware is, for a post-mortem; None when it cannot be told."""
        return None

    # ---- Board

    @property
    def memory(self) -> SharedMemory:
        return self._memory

    @property
    def image(self) -> Image:
        if self._image is None:
            raise BoardError(f"board {self.config.name}: no image was provisioned yet")
        return self._image

    @property
    def pid(self) -> int | None:
        """Process id of the child, while there is one."""
        return self._child.pid if self._child else None

    def begin_log(self, log: Path) -> None:
        self._stop()  # its last words belong to the log before
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def provision(self, image: Image, bundle: bytes) -> None:
        self._stop()
        self._image = image
        start, room = image.symbol("__hil_bundle_start"), image.symbol("__hil_bundle_bytes")
        if len(bundle) > room:
            raise BoardError(
                f"provision: the bundle has {len(bundle):,} bytes, target {self.config.target} has room for {room:,}\n"
                f"  next: use a smaller model, or enlarge __hil_bundle_bytes in the target's linker script"
            )
        self._memory.write(start, bundle)
        if self._memory.read(start, len(bundle)) != bundle:
            raise BoardError(f"provision: the bundle read back from {start:#x} differs from what was written")
        self._start()

    def reset(self) -> None:
        self._stop()
        self._start()

    def check(self) -> None:
        if self._child is None:
            raise BoardError(f"board {self.config.name} is not running")
        self._raise_fault()
        if ended := self._child.ended():
            self._raise_fault()
            error = DeviceEnded if self.ended_by_firmware(self._child) else BoardError
            raise error(f"board {self.config.name}: {ended}")

    def postmortem(self) -> FaultReport:
        found = self.fault()
        if found is None:
            pc = self.program_counter()
            where = (
                f"pc {pc:#010x} in {self.image.locate(pc)}" if pc is not None else "the program counter is not known"
            )
            return FaultReport("hang", "unknown", f"no fault record; {where}{self._log_tail()}", {"pc": pc or 0})
        pc, lr = found.registers["pc"], found.registers["lr"]
        lines = [
            f"{found.kind} in stage {found.stage}",
            *(f"  {cause}" for cause in found.causes()),
            f"  pc {pc:#010x}  {self.image.locate(pc)}",
            f"  lr {lr:#010x}  {self.image.locate(lr)}" if lr else "",
            "  " + " ".join(f"{name} {value:#x}" for name, value in found.registers.items() if value),
        ]
        return FaultReport(found.kind, found.stage, "\n".join(filter(None, lines)) + self._log_tail(), found.registers)

    def close(self) -> None:
        self._stop()
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- inside

    def fault(self) -> fault.Fault | None:
        """The fault record in target RAM, if the firmware has left one."""
        return fault.decode(self._memory.read(self.image.symbol("hil_fault_record"), fault.RECORD_BYTES))

    def _raise_fault(self) -> None:
        if found := self.fault():
            raise DeviceFault(found)

    def _start(self) -> None:
        image = self.image
        self._memory.write(image.symbol("hil_fault_record"), bytes(fault.RECORD_BYTES))
        self._memory.write(image.symbol("_SEGGER_RTT"), bytes(16))
        command, fds = self.command(image)
        self._child = Child(command, fds)
        self._wait(lambda: Rtt.ready(self._memory, image.symbol("_SEGGER_RTT")), "boot")

    def _wait(self, done: Callable[[], bool], step: str) -> None:
        limit = self.config.timeout.boot_s
        end = time.monotonic() + limit
        while not done():
            self.check()
            if time.monotonic() > end:
                raise BoardError(
                    f"{step}: board {self.config.name} did not open its link within {limit:g} s"
                    f"\n{self.postmortem().text}\n  next: is {self.image.path} firmware with the test agent?"
                )
            time.sleep(0.5e-3)

    def _log_tail(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = (text + (self._child.words() if self._child else "")).strip().splitlines()[-LOG_LINES:]
        return "\n  last lines of the log:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""

    def _stop(self) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            text = child.words(1 << 20)
            child.kill()
            if text:
                with self.log.open("a", encoding="utf-8") as log:
                    log.write(text)
