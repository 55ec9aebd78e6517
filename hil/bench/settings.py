"""What a board file says of a bench: chip, probe, serial port, times (docs/boards.md)."""

from __future__ import annotations

import shlex
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator
from pydantic_core import PydanticCustomError

NO_LOG = "none"  # as `serial`: nobody listens to the board's UART


class Settings(BaseModel):
    """The `[pyocd]` table of a board file. Times are seconds of host time."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    pyocd_target: str
    probe: str = ""
    board_id: str = ""
    device_id: int | None = Field(default=None, ge=0, le=0xFFF)
    device_id_register: int = 0xE004_2000
    connect_mode: Literal["halt", "pre-reset", "under-reset", "attach"] = "halt"
    swd_hz: int = Field(default=4_000_000, gt=0)
    connect_s: float = Field(default=6.0, gt=0)
    flash_s: float = Field(default=8.0, gt=0)
    lock_wait_s: float = Field(default=0.0, ge=0)
    power_cycle: str = ""
    serial: str = ""
    baud: int = Field(default=115_200, gt=0)
    ram: list[tuple[NonNegativeInt, PositiveInt]] = []
    clock_hz: int = Field(gt=0)
    clock_tree: Literal["", "stm32f4"] = ""
    hse_hz: int = Field(default=8_000_000, gt=0)
    bundle_probes: bool = False
    once_per_image: bool = True
    hardware_map: str = ""
    platform: str = ""

    @field_validator("power_cycle")
    @classmethod
    def _is_command(cls, text: str) -> str:
        try:
            shlex.split(text)
        except ValueError as error:
            raise PydanticCustomError("command", "is no command line: {problem}", {"problem": str(error)}) from error
        return text
