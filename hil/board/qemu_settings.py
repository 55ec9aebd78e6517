"""The `[qemu]` table of a board file, and what of QEMU's command line follows from it alone."""

from __future__ import annotations

import shutil
from fractions import Fraction
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hil.board.config import BoardConfig
from hil.errors import MissingTool
from hil.image.flash import Layout, Range
from hil.image.toolchain import Tool, install_command
from hil.records import ClockSpec

_NS = 1_000_000_000
_FOR_MEMORY = (
    "icount_shift",
    "timer_hz",
    "flash_base",
    "flash_bytes",
    "ram_base",
    "ram_bytes",
    "shared_base",
    "shared_bytes",
)
_LAYOUT = ("flash_base", "flash_bytes", "ram_base", "ram_bytes")
# What the harness says itself, so that two would contradict each other. `-machine` may be given twice.
_OURS = {"-M", "-cpu", "-kernel", "-serial", "-S", "-s", "-gdb", "-qmp", "-monitor", "-mon", "-icount", "-nodefaults"}
_OURS |= {"-nographic", "-display", "-daemonize"}
TOOLS = {
    "arm": Tool("qemu-system-arm", "qemu-system-arm", "to run the qemu board", "qemu-system-arm", minimum=(7,)),
    "riscv32": Tool(
        "qemu-system-riscv32", "qemu-system-riscv32", "to run a RISC-V board", "qemu-system-misc", minimum=(7,)
    ),
}
MACHINES = {"arm": "arm", "riscv32": "riscv"}  # what an ELF for it is built for


class Settings(BaseModel):
    """The `[qemu]` table of a board file. counter: address of a free-running 32-bit counter, at timer_hz,
    that no firmware uses. Without icount_shift time is the host's. Where memory lies is told by QEMU when it is not
    given, and the rate of the clock by the firmware; link = "memory" wants all of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    system: Literal["arm", "riscv32"] = "arm"
    program: str = ""
    machine: str = Field(min_length=1)
    cpu: str = ""
    arguments: tuple[str, ...] = ()
    icount_shift: int | None = Field(default=None, ge=0, le=10)
    timer_hz: int | None = Field(default=None, gt=0)
    flash_base: int | None = Field(default=None, ge=0)
    flash_bytes: int | None = Field(default=None, gt=0)
    ram_base: int | None = Field(default=None, ge=0)
    ram_bytes: int | None = Field(default=None, gt=0)
    link: Literal["memory", "uart"] = "memory"
    uart: int = Field(default=0, ge=0, lt=8)
    shared_base: int | None = None
    shared_bytes: int | None = Field(default=None, gt=0)
    counter: int | None = None

    @field_validator("arguments")
    @classmethod
    def _are_not_ours(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if word in _OURS:
                raise PydanticCustomError("ours", "{word} is given by the harness: leave it out", {"word": word})
        return words

    @model_validator(mode="after")
    def _has_what_the_link_needs(self) -> Self:
        wanted = _FOR_MEMORY if self.link == "memory" else _LAYOUT if self._has_any(_LAYOUT) else ()
        missing = [name for name in wanted if getattr(self, name) is None]
        if missing and self.link == "memory":
            text = f'{" and ".join(missing)} {_verb(missing)} missing: link = "memory" needs {_them(missing)}'
            raise PydanticCustomError("memory", "{text}", {"text": text})
        if missing:
            text = f"{' and '.join(missing)} {_verb(missing)} missing: give all four of the memory's, or none of them"
            raise PydanticCustomError("layout", "{text}", {"text": text})
        return self

    def _has_any(self, names: tuple[str, ...]) -> bool:
        return any(getattr(self, name) is not None for name in names)

    @property
    def layout(self) -> Layout | None:
        """Where an image may lie; a Cortex-M finds its vectors at the start of flash. None: QEMU has to tell."""
        bounds = self.flash_base, self.flash_bytes, self.ram_base, self.ram_bytes
        if None in bounds:
            return None
        flash_at, flash, ram_at, ram = (number or 0 for number in bounds)
        return Layout((Range(flash_at, flash_at + flash),), (Range(ram_at, ram_at + ram),), flash_at)

    @property
    def tool(self) -> Tool:
        """The QEMU of this system."""
        return TOOLS[self.system]

    @property
    def elf_machine(self) -> str:
        """What an ELF must be built for, as `Image.machine`."""
        return MACHINES[self.system]


def _verb(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def machine_of(config: BoardConfig, settings: Settings) -> list[str]:
    """The command line of a machine without devices of the host. Raises MissingTool."""
    wanted = settings.program or settings.tool.program
    program = shutil.which(wanted)
    if program is None:
        raise MissingTool(wanted, f"by board {config.name!r}", install_command([settings.tool.package]))
    command = [program, "-M", settings.machine, *(["-cpu", settings.cpu] if settings.cpu else [])]
    if settings.system == "riscv32" and "-bios" not in settings.arguments:
        command += ["-bios", "none"]  # the firmware is all that runs
    return [*command, *settings.arguments, "-nodefaults", "-display", "none"]


def icount(settings: Settings) -> list[str]:
    """What makes emulated time a count of instructions."""
    return ["-icount", f"shift={settings.icount_shift},sleep=on"] if settings.icount_shift is not None else []


def serial_of(index: int, chardev: str) -> list[str]:
    """UART number `index` speaks with `chardev`; those before it with nobody."""
    return [*(word for _ in range(index) for word in ("-serial", "null")), "-serial", f"chardev:{chardev}"]


def clock_of(settings: Settings, tick_hz: int) -> ClockSpec:
    """A clock of the firmware that ticks at `tick_hz`; 0: that is not known yet. Under icount each instruction lasts
    2^shift ns of emulated time, so ticks are instructions times a constant. Otherwise it is host time that shows.
    """
    if settings.icount_shift is None:
        per_tick = Fraction(_NS, tick_hz or _NS)
        return ClockSpec("host time", "ns", per_tick.numerator, per_tick.denominator, _NS, False, tick_hz)
    per_tick = Fraction(_NS, (tick_hz or _NS) << settings.icount_shift)
    return ClockSpec("instructions", "instructions", per_tick.numerator, per_tick.denominator, 0, True, tick_hz)
