"""The `[renode]` table of a board file."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from hil.board.config import BoardConfig
from hil.errors import UsageError
from hil.image.flash import Range
from hil.renode.process import SUPPORTED

_FOR_MEMORY = ("platform", "script", "clock_hz", "flash", "ram")


class Area(BaseModel):
    """One memory of the target."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    base: int = Field(ge=0, description="first address")
    bytes: int = Field(gt=0, multiple_of=mmap.ALLOCATIONGRANULARITY, description="size")

    @property
    def range(self) -> Range:
        return Range(self.base, self.base + self.bytes)


class Settings(BaseModel):
    """The `[renode]` table of a board file. platform and script lie beside it. With `uart` the link is that UART of the
    machine, and script or platform is enough; without, it is the shared memory `ram`. timer_hz: rate at which the
    machine counts the firmware's clock, where the firmware takes it for another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    program: str = "renode"
    supported: str = SUPPORTED
    platform: str = ""
    script: str = ""
    machine: str = ""
    uart: str = ""
    cpu: str = "sysbus.cpu"
    clock_hz: int | None = Field(default=None, gt=0)
    timer_hz: int | None = Field(default=None, gt=0)
    start_s: float = Field(default=30.0, gt=0)
    call_s: float = Field(default=30.0, gt=0)
    flash: Area | None = None
    ram: Area | None = None
    other_ram: Area | None = None

    @model_validator(mode="after")
    def _has_what_the_link_needs(self) -> Self:
        if self.uart:
            if not (self.platform or self.script):
                raise PydanticCustomError("machine", "script and platform are missing: give one of them")
            return self
        missing = [name for name in _FOR_MEMORY if not getattr(self, name)]
        if missing:
            text = f"{' and '.join(missing)}: missing; a link in shared memory needs them, one over a UART needs uart"
            raise PydanticCustomError("memory", "{text}", {"text": text})
        return self


def check_files(config: BoardConfig, settings: Settings) -> None:
    """Raise UsageError unless platform and script, as far as they are named, are there."""
    for key in ("platform", "script"):
        name = getattr(settings, key)
        file = config.file.parent / name
        if name and not file.is_file():
            raise UsageError(
                f"{config.file}: [renode]: {key}: no such file: {file}\n  fix: name one beside the board file"
            )


def quoted(path: Path) -> str:
    """As a string of Renode's monitor and of its platform files."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
