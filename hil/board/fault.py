"""The fault record that the firmware leaves behind (docs/link.md), decoded and put into words."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = 0x464C5431
RECORD_BYTES = 18 * 4
KINDS = {
    1: "hard fault",
    2: "memory management fault",
    3: "bus fault",
    4: "usage fault",
    5: "deadline missed",
    6: "stack overflow",
    7: "arena canary overwritten",
    8: "abort or failed assertion",
    9: "sanitizer report",
}
_STAGE_OF = {0: "idle", 1: "gate", 2: "prepare", 3: "invoke", 4: "decide", 5: "agent", 6: "start"}
_REGISTERS = ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr", "cfsr", "hfsr", "mmfar", "bfar", "sp", "exc_return")

# Bits of CFSR, Armv7-M Architecture Reference Manual, B3.2.15.
_CFSR_BITS = {
    0: "instruction access violation",
    1: "data access violation",
    3: "fault on exception return",
    4: "fault while stacking: the stack ran out",
    5: "fault while saving FPU state",
    8: "instruction bus error",
    9: "precise data bus error",
    10: "imprecise data bus error",
    11: "bus error on exception return",
    12: "bus error while stacking: the stack ran out",
    13: "bus error while saving FPU state",
    16: "undefined instruction",
    17: "invalid state (a jump to an even address?)",
    18: "invalid EXC_RETURN",
    19: "no coprocessor (FPU off?)",
    24: "unaligned access",
    25: "division by zero",
}
_MMFAR_VALID, _BFAR_VALID = 1 << 7, 1 << 15


@dataclass(frozen=True)
class Fault:
    """kind and stage in words, id of the request in progress (0: none), registers by name."""

    kind: str
    stage: str
    request: int
    registers: dict[str, int]

    def causes(self) -> list[str]:
        """What the fault status registers say, in words."""
        return causes(self.registers)

    def __str__(self) -> str:
        return f"{self.kind} in stage {self.stage}, pc {self.registers['pc']:#010x}"


def causes(registers: Mapping[str, int]) -> list[str]:
    """What the fault status registers cfsr, mmfar and bfar say, in words; those that are not there count as zero."""
    cfsr = registers.get("cfsr", 0)
    found = [text for bit, text in _CFSR_BITS.items() if cfsr >> bit & 1]
    for valid, name in ((_MMFAR_VALID, "mmfar"), (_BFAR_VALID, "bfar")):
        if cfsr & valid:
            found.append(f"at address {registers.get(name, 0):#010x}")
    return found


def decode(record: bytes) -> Fault | None:
    """The fault in `record` (RECORD_BYTES of target RAM), or None when the firmware has left none."""
    words = struct.unpack("<18I", record)
    if words[0] != MAGIC:
        return None
    return Fault(
        kind=KINDS.get(words[1], f"unknown fault kind {words[1]}"),
        stage=_STAGE_OF.get(words[3], f"unknown stage {words[3]}"),
        request=words[2],
        registers=dict(zip(_REGISTERS, words[4:], strict=True)),
    )
