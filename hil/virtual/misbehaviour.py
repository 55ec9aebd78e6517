"""What a virtual Nucleo can be told to do wrong, and how that is written.

no-probe                nothing hangs on the USB bus
two-probes              a second ST-LINK, with no board behind it, hangs on the bus
no-target-power         the debug wire is dead, the probe measures 0 V
board-id:XXXX           the probe names another board
idcode:0xDEV            DBGMCU_IDCODE holds another device id
write-protect:SECTOR    that flash sector is write-protected by the option bytes
stuck-bit:ADDRESS       in the byte of flash there, the first bit that is to become 0 stays 1
unplug:flash[:WORDS]    the USB cable is pulled once so many words were programmed (default 1000)
unplug:run[:TRANSFERS]  the same after so many probe transfers while the firmware runs (default 200), counted from the
                        host's first write to its RAM after each reset: looking whether it has booted does not count
unplug:...:back         after either one the board is back, started afresh, the second time the bus is listed
lockup[:INSTRUCTIONS]   the core locks up so many instructions after a reset (default 200000)
slow:MS                 each command of the probe takes so much longer
uart-garbage            the virtual COM port samples the line at the wrong rate
serial-busy             another process holds the virtual COM port
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hil.errors import UsageError

NAMES = (
    "no-probe",
    "two-probes",
    "no-target-power",
    "board-id",
    "idcode",
    "write-protect",
    "stuck-bit",
    "unplug:flash",
    "unplug:run",
    "lockup",
    "slow",
    "uart-garbage",
    "serial-busy",
)
_LAST_SECTOR = 23


@dataclass(frozen=True)
class Misbehaviour:
    """None or False: behaves in that respect."""

    no_probe: bool = False
    two_probes: bool = False
    no_target_power: bool = False
    board_id: str | None = None
    device_id: int | None = None
    write_protected: tuple[int, ...] = ()  # sectors
    stuck_bits: tuple[int, ...] = ()  # byte addresses
    unplug_flash_words: int | None = None
    unplug_run_transfers: int | None = None
    comes_back: bool = False
    lockup_instructions: int | None = None
    slow_s: float = 0.0
    uart_garbage: bool = False
    serial_busy: bool = False

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Misbehaviour:
        """All of `texts` at once. Raises UsageError that names the wrong one and what there is."""
        found = cls()
        for text in texts:
            try:
                found = dataclasses.replace(found, **found._one(text))
            except (ValueError, KeyError) as error:
                known = ", ".join(NAMES)
                raise UsageError(
                    f"misbehave: {text!r} is not one ({error})\n  fix: use one of {known}, written as in"
                    " hil/virtual/misbehaviour.py"
                ) from error
        return found

    def _one(self, text: str) -> dict[str, Any]:
        name, *values = text.split(":")
        flags = ("no-probe", "two-probes", "no-target-power", "uart-garbage", "serial-busy")
        if name in flags and not values:
            return {name.replace("-", "_"): True}
        if name == "unplug":
            return _unplug(values)
        if name == "lockup" and len(values) < 2:
            return {"lockup_instructions": _number(values[0]) if values else 200_000}
        if len(values) != 1:
            raise ValueError("unknown, or with the wrong number of values")
        return self._with_value(name, values[0])

    def _with_value(self, name: str, value: str) -> dict[str, Any]:
        if name == "board-id":
            if not re.fullmatch("[0-9A-Fa-f]{4}", value):
                raise ValueError("a board id is four hexadecimal digits")
            return {"board_id": value}
        if name == "slow":
            return {"slow_s": float(value) / 1000}
        number = _number(value)
        if name == "idcode":
            return {"device_id": number & 0xFFF}
        if name == "stuck-bit":
            return {"stuck_bits": (*self.stuck_bits, number)}
        if name == "write-protect":
            if number > _LAST_SECTOR:
                raise ValueError(f"the last sector is {_LAST_SECTOR}")
            return {"write_protected": (*self.write_protected, number)}
        raise ValueError("unknown")


def _unplug(values: list[str]) -> dict[str, Any]:
    when, *rest = values or [""]
    back = rest[-1:] == ["back"]
    number = _number(rest[0]) if len(rest) > back else None
    if when == "flash":
        return {"unplug_flash_words": number or 1000, "comes_back": back}
    if when == "run":
        return {"unplug_run_transfers": number or 200, "comes_back": back}
    raise ValueError("unplug:flash or unplug:run")


def _number(text: str) -> int:
    number = int(text, 0)
    if number < 0:
        raise ValueError("a number below 0")
    return number
