"""Firmware of others on any machine of QEMU: it holds its own model and speaks over a UART of its machine.

It keeps no fault record that the harness knows of: a fault shows as a hang. Where the core then is, QEMU's monitor
tells. Memory is read through QEMU's debug stub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from hil.board.config import BoardConfig
from hil.board.emulated_uart import EmulatedUart
from hil.board.fault import causes, trap
from hil.board.gdb import GdbStub
from hil.board.hosted import require_running
from hil.board.outside import FreeRunning, OnlyMemory, Outside
from hil.board.qemu_control import GIVES_UP, Control, ended_by_lockup, locked_up
from hil.board.qemu_machine import Machine
from hil.board.qemu_settings import Settings, clock_of, icount, serial_of
from hil.board.streamed import EmulatedUartBoard
from hil.child import Child
from hil.errors import BoardError, UsageError
from hil.image.elf import Image
from hil.image.flash import check_inside, check_machine, check_placement, check_start
from hil.link.stream import Stream
from hil.patience import Turn
from hil.records import FaultReport, Hello

COUNTER = "QEMU's count of executed instructions"


class UartBoard(EmulatedUartBoard):
    """command: QEMU's command line of the machine, without an image; machine: what it told of itself. Each start is a
    new process. Raises UsageError when the machine has no such UART.
    """

    request_s = 1e-2  # an emulated processor that is interrupted for each byte

    def __init__(
        self, config: BoardConfig, settings: Settings, command: Sequence[str], machine: Machine, log: Path
    ) -> None:
        super().__init__(config, clock_of(settings, settings.timer_hz or 0), log)
        if settings.uart >= machine.uarts:
            raise UsageError(
                f"{config.file}: [qemu]: uart: {settings.machine} has no UART {settings.uart}\n  fix: {_which(machine)}"
            )
        self._settings, self._machine = settings, machine
        self._command = (*command, *icount(settings))
        self._control = Control(config.name, self.turns)
        self._child: Child | None = None
        self._port_name = f"UART {settings.uart} of {settings.machine}"
        self._port = EmulatedUart(self._port_name, "QEMU")
        self._stream = self._new_stream()

    # ---- Board

    def check_image(self, image: Image) -> None:
        check_machine(image, self._settings.elf_machine)
        if (layout := self._settings.layout) is not None:
            check_placement(image, layout)
        else:
            check_inside(image, self._machine.memory, self._settings.machine)

    def outside(self) -> AbstractContextManager[Outside]:
        """All memory, through QEMU's debug stub, and the instructions that it executed, as icount counts them."""
        return self._look()

    @contextmanager
    def _look(self) -> Iterator[Outside]:
        with self._control.look() as stub:
            counted = self._settings.icount_shift is not None
            yield FreeRunning(stub, COUNTER, lambda: self._count(stub)) if counted else OnlyMemory(stub)

    def _count(self, stub: GdbStub) -> int:
        """A machine that runs has handed over what it executed some time ago; one that stands still, all of it."""
        stub.stop()
        count = self._control.instructions()
        stub.resume()
        return count

    def reset(self) -> None:
        self._afresh()

    def check(self) -> None:
        require_running(self.config.name, self._child, ended_by_lockup, lambda _: locked_up(self.postmortem().text))

    def postmortem(self) -> FaultReport:
        self._stream.settle()
        dead = self._child is not None and self._child.ended() is not None
        registers = dict(self._control.registers(self._child.words() if self._child and dead else None))
        if mute := self._control.mute:
            raise BoardError(f"run: board {self.config.name}: {mute}")
        lines = ["this board keeps no fault record; the core was found here", *causes(registers)]
        if why := trap(registers):
            lines.append(f"  {why}, at mepc {registers['mepc']:#010x}  {self.image.locate(registers['mepc'])}")
        return FaultReport("hang", "unknown", self._explained(lines, registers), registers)

    def turns(self) -> Mapping[int, Turn]:
        return self._child.turns() if self._child else {}

    def close(self) -> None:
        self._stop()

    def words(self) -> str:
        return super().words() + (self._child.words().partition(GIVES_UP)[0] if self._child else "")

    # ---- inside

    def _afresh(self) -> Hello:
        self._start()
        return self._greet()

    def _start(self) -> None:
        self._stop()
        control, fds = self._control.open()
        theirs = self._port.open()
        command = [
            *(*self._command, "-S", "-kernel", str(self.image.path), *control),
            *("-chardev", f"socket,id=link,fd={theirs}", *serial_of(self._settings.uart, "link")),
        ]
        self._child = Child(command, (*fds, theirs))
        self._port.handed_over()
        self._stream = self._new_stream()
        self._check_start()
        self._control.go_on()

    def _check_start(self) -> None:
        """Whether the core starts in the image; where the board file says where it must lie, that is known."""
        if self._settings.layout is not None or self._settings.system != "arm":
            return  # a RISC-V core starts in a ROM of QEMU's
        registers = self._control.registers()
        if "pc" in registers:
            check_start(self.image, registers["pc"], registers.get("sp"), self._settings.machine)

    def _new_stream(self) -> Stream:
        return Stream(self._port, 0.0, self._write)

    def _stop(self) -> None:
        if self._child is not None:
            self._stream.settle()
            child, self._child = self._child, None
            self._write(child.words(1 << 20).encode())
            child.kill()
        self._control.close()
        self._port.close()

    def _take_rate(self, hello: Hello) -> None:
        if self._settings.timer_hz is None:
            self.clock = clock_of(self._settings, hello.clock_hz)

    def _others(self) -> str:
        return _which(self._machine)


def _which(machine: Machine) -> str:
    """The UARTs that there are, as a next step."""
    if machine.uarts == 1:
        return "it has one UART: uart = 0"
    return f"it has UARTs 0 to {machine.uarts - 1}, in the order of the chip's manual: uart = NUMBER"
