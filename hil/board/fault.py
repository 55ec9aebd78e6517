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


# Of mcause, RISC-V Privileged Architecture 1.12, table 3.6; the highest bit means an interrupt.
_TRAPS = {
    0: "a jump to an address that is not aligned",
    1: "instruction access fault: no code there",
    2: "illegal instruction",
    3: "breakpoint",
    4: "load from an address that is not aligned",
    5: "load access fault",
    6: "store to an address that is not aligned",
    7: "store access fault",
    11: "environment call",
}


def trap(registers: Mapping[str, int]) -> str:
    """What the CSRs of a RISC-V core say of its last trap, in words; "" when there was none, or on another core."""
    mcause, mepc = registers.get("mcause", 0), registers.get("mepc", 0)
    if not (mcause or mepc) or mcause >> 31:
        return ""
    return f"{_TRAPS.get(mcause, f'trap {mcause}')} (mcause {mcause}), mtval {registers.get('mtval', 0):#010x}"


# What to look at next: of the first bits of CFSR that are set, or of the kind of fault where no bit tells more.
_ADVICE_BY_CFSR = (
    (1 << 4 | 1 << 12, "the stack ran out while the core saved its registers: give it more, or look for a recursion"),
    (
        1 << 1 | 1 << 9,
        "look at the pointer that is used at pc: there is no memory at the address, or the MPU protects it",
    ),
    (1 << 10, "the store lies some instructions before pc: look for a pointer that is wrong there"),
    (1 << 0 | 1 << 8, "a jump to where no code is: look at lr for the caller, and at the function pointer it used"),
    (1 << 16 | 1 << 17, "look at how the code came to pc: a wrong function pointer, or a return address overwritten"),
    (1 << 18 | 1 << 3 | 1 << 11, "the return from an interrupt went wrong: its stack was overwritten"),
    (1 << 19, "a floating-point instruction with the FPU off: is it switched on before this code runs?"),
    (
        1 << 24,
        "LDM, LDRD, STM and STRD need an address that four divides: look at the pointer at pc, and at casts to it",
    ),
    (1 << 25, "a divisor is zero at pc: check it before"),
)
_ADVICE_BY_KIND = {
    "hard fault": "CFSR is 0, so neither an access nor an instruction was found wrong: look for SVC, a breakpoint, or "
    "an interrupt without a handler (the log ends with its number); docs/boards.md says what an emulator does not tell",
    "deadline missed": "look for a loop at pc that does not end; if the stage is only slow, see its latency",
    "hang": "look for a loop at pc that does not end, or what it waits for there; a deadline ends it sooner",
    "reset": "what restarts the core there: a watchdog, a lockup, a software reset? replay this vector alone",
    "stack overflow": "look for a large local array or a recursion at pc, or give the stack more",
    "arena canary overwritten": "a kernel or a stage writes outside the arena: run this vector on `native`",
    "abort or failed assertion": "look at the caller at pc: what it asserts does not hold for this vector",
    "sanitizer report": "the log above says what is wrong, with file and line",
}
_ADVICE = "read the program counter's function and line above; replay this vector alone"


def advice(kind: str, registers: Mapping[str, int]) -> str:
    """What to look at next after a fault of this kind, as far as the fault status tells."""
    cfsr = registers.get("cfsr", 0)
    found = next((text for bits, text in _ADVICE_BY_CFSR if cfsr & bits), "")
    return found or _ADVICE_BY_KIND.get(kind, _ADVICE)


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
