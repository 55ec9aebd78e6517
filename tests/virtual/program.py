"""Small assembler programs for the simulated microcontroller, and how to run one to its end."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from hil.virtual.coresight import CoreDebug
from hil.virtual.machine import Machine

RESULTS = 0x20000000  # r7 holds it from the start; where a program puts what it saw
DONE = 0x20000FFC
_FINISHED = 0x600D
_LIMIT_S = 20.0
_HANDLERS = ["nmi", "hard_fault", "mem_manage", "bus_fault", "usage_fault", "", "", "", "", "svc", "monitor", ""]
_HANDLERS += ["pend_sv", "sys_tick", *(f"irq{i}" for i in range(91))]
_PREAMBLE = f"""
.syntax unified
.cpu cortex-m4
.fpu fpv4-sp-d16
.thumb
.text
.word 0x20020000
.word start
{"".join(f".word {name or 0}" + chr(10) for name in _HANDLERS)}
{"".join(f".weak {name}" + chr(10) for name in _HANDLERS if name)}
.macro put register
    str \\register, [r7], #4
.endm
.macro load register, value
    movw \\register, #:lower16:(\\value)
    movt \\register, #:upper16:(\\value)
.endm
.macro store address, value
    load r0, \\address
    load r1, \\value
    str r1, [r0]
.endm
.macro finish
    store {DONE:#x}, {_FINISHED:#x}
    b .
.endm
.thumb_func
.global start
start:
    load r7, {RESULTS:#x}
"""


@dataclass(frozen=True)
class Program:
    """An assembled program: where its bytes go, and its labels."""

    file: Path
    labels: dict[str, int]


def assemble(folder: Path, source: str) -> Program:
    """The program that begins with `source`; labels after `.thumb_func` may be named as handlers."""
    text, elf = folder / "program.s", folder / "program.elf"
    text.write_text(_PREAMBLE + source + "\n.ltorg\n", encoding="utf-8")
    compiler = shutil.which("arm-none-eabi-gcc")
    assert compiler is not None, "arm-none-eabi-gcc is needed to build the firmware, and here too"
    flags = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-nostdlib"]
    link = ["-Wl,-Ttext=0x08000000", "-Wl,--entry=start", "-Wl,--build-id=none", "-Wl,-n"]
    done = subprocess.run([compiler, *flags, *link, "-o", str(elf), str(text)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with elf.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".symtab")
        labels = {symbol.name: symbol["st_value"] & ~1 for symbol in table.iter_symbols() if symbol.name}
    return Program(elf, labels)


class Run:
    """A program on a machine of its own."""

    def __init__(self, program: Program, **options: Any) -> None:
        self.sent: list[tuple[int, float]] = []  # bytes on USART3 and their rates
        self.labels = program.labels
        self.machine = Machine(uart=lambda byte, baud: self.sent.append((byte, baud)), **options)
        CoreDebug(self.machine)
        self.machine.load_elf(program.file)
        self.machine.reset()

    def finish(self) -> Run:
        """Wait for the program's `finish`."""
        self.wait(lambda: self.word(DONE) == _FINISHED)
        return self

    def wait(self, done: Callable[[], bool]) -> Run:
        end = time.monotonic() + _LIMIT_S
        while not done():
            if time.monotonic() > end:
                self.machine.halt()
                state = [f"{self.machine.read_register(i):#x}" for i in range(17)]
                status = f"{self.machine.core.exceptions.cfsr:#x}"
                raise AssertionError(f"the program did not come to its end: registers {state}, CFSR {status}")
            time.sleep(1e-3)
        return self

    def word(self, address: int) -> int:
        return int.from_bytes(self.machine.read(address, 4), "little")

    def results(self, count: int) -> list[int]:
        """The first words that the program `put`."""
        return [self.word(RESULTS + 4 * i) for i in range(count)]

    def close(self) -> None:
        self.machine.close()
