"""Exceptions of the Cortex-M4: what is enabled, pending and active, at which priority, and the system control block.

Arm DDI 0403E, B1.5 and B3.2 to B3.4. Nothing here knows the emulator: `Core` (core.py) enters and leaves handlers.
"""

from __future__ import annotations

from hil.virtual import mpu

RESET, NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT = 1, 2, 3, 4, 5, 6
SV_CALL, DEBUG_MONITOR, PEND_SV, SYS_TICK, FIRST_IRQ = 11, 12, 14, 15, 16
IRQS = 91  # of the STM32F42x
COUNT = FIRST_IRQ + IRQS
THREAD_PRIORITY = 256
_PRIORITY_BITS = 0xF0

# CFSR
IACCVIOL, DACCVIOL, MUNSTKERR, MSTKERR, MMARVALID = 1 << 0, 1 << 1, 1 << 3, 1 << 4, 1 << 7
IBUSERR, PRECISERR, UNSTKERR, STKERR, BFARVALID = 1 << 8, 1 << 9, 1 << 11, 1 << 12, 1 << 15
UNDEFINSTR, INVSTATE, INVPC = 1 << 16, 1 << 17, 1 << 18
# HFSR
VECTTBL, FORCED, DEBUGEVT = 1 << 1, 1 << 30, 1 << 31
# CCR, SCR
NONBASETHRDENA, STKALIGN = 1 << 0, 1 << 9
SLEEPONEXIT = 1 << 1

_CONSTANTS = {
    0xE000E004: 2,  # ICTR: three groups of 32 interrupts
    0xE000ED00: 0x410FC241,  # CPUID: Cortex-M4 r0p1
    0xE000ED40: 0x30,
    0xE000ED44: 0x200,
    0xE000ED48: 0x100000,
    0xE000ED50: 0x30,
    0xE000ED58: 0x01000000,
    0xE000ED60: 0x01101110,
    0xE000ED64: 0x02111000,
    0xE000ED68: 0x21112231,
    0xE000ED6C: 0x01111131,
    0xE000ED70: 0x01310102,
    0xE000EF40: 0x10110021,  # MVFR0, MVFR1: a single-precision FPU
    0xE000EF44: 0x11000011,
}


class Exceptions:
    """The state of all exceptions, and the registers of NVIC and SCB that show it."""

    def __init__(self) -> None:
        self.mpu = mpu.Mpu()
        self.reset()

    def reset(self) -> None:
        self.enabled = 0  # a bit an interrupt, from bit 16 on as the exception numbers
        self.pending = 0
        self.active = 0
        self.priority = bytearray(COUNT)
        self.vtor = 0
        self.prigroup = 0
        self.scr = 0
        self.ccr = STKALIGN
        self.shcsr = 0
        self.cfsr = self.hfsr = self.mmfar = self.bfar = self.afsr = 0
        self.cpacr = 0
        self.fpccr = 0xC0000000
        self.fpcar = self.fpdscr = 0
        self.mpu.reset()

    # ---- priorities

    def priority_of(self, number: int) -> int:
        """Configured priority; lower is more urgent."""
        fixed = {RESET: -3, NMI: -2, HARD_FAULT: -1}
        return fixed.get(number, self.priority[number] if number < COUNT else 0xFF)

    def group_priority(self, number: int) -> int:
        """Priority without the part that only orders what is pending."""
        priority = self.priority_of(number)
        return priority if priority < 0 else priority & self._group_mask()

    def _group_mask(self) -> int:
        return 0xFF & (-2 << self.prigroup)

    def execution_priority(self, primask: int, faultmask: int, basepri: int) -> int:
        """What an exception must beat to be taken now."""
        highest = THREAD_PRIORITY
        active = self.active
        while active:
            number = (active & -active).bit_length() - 1
            highest = min(highest, self.group_priority(number))
            active &= active - 1
        if basepri & _PRIORITY_BITS:
            highest = min(highest, basepri & _PRIORITY_BITS & self._group_mask())
        if primask & 1:
            highest = min(highest, 0)
        return min(highest, -1) if faultmask & 1 else highest

    def is_enabled(self, number: int) -> bool:
        if number >= FIRST_IRQ:
            return bool(self.enabled >> number & 1)
        faults = {MEM_MANAGE: 16, BUS_FAULT: 17, USAGE_FAULT: 18}
        return bool(self.shcsr >> faults[number] & 1) if number in faults else True

    def most_urgent(self) -> int | None:
        """The pending and enabled exception that comes first: lowest priority value, then lowest number."""
        pending = self.pending & (self.enabled | 0xFFFF)
        best: tuple[int, int] | None = None
        while pending:
            number = (pending & -pending).bit_length() - 1
            pending &= pending - 1
            if self.is_enabled(number) and (best is None or (self.priority_of(number), number) < best):
                best = (self.priority_of(number), number)
        return best[1] if best else None

    def pend(self, number: int) -> None:
        self.pending |= 1 << number

    def unpend(self, number: int) -> None:
        self.pending &= ~(1 << number)

    def enter(self, number: int) -> None:
        self.unpend(number)
        self.active |= 1 << number

    def leave(self, number: int) -> None:
        self.active &= ~(1 << number)

    # ---- registers

    def read(self, address: int, ipsr: int) -> int:
        """A word of NVIC, SCB, MPU or FPU; 0 where there is none."""
        if address in _CONSTANTS:
            return _CONSTANTS[address]
        if 0xE000E100 <= address < 0xE000E400:
            bits = (self.enabled, self.enabled, self.pending, self.pending, self.active, 0)
            word = bits[(address - 0xE000E100) >> 7] >> FIRST_IRQ
            return word >> 8 * (address & 0x7C) & 0xFFFFFFFF
        if 0xE000E400 <= address < 0xE000E400 + IRQS:
            return self._priority_word(FIRST_IRQ + address - 0xE000E400)
        if 0xE000ED18 <= address <= 0xE000ED20:
            return self._priority_word(4 + address - 0xE000ED18)
        if address in mpu.REGISTERS:
            return self.mpu.read(address)
        if address == 0xE000ED04:
            return self._icsr(ipsr)
        if address == 0xE000ED0C:
            return 0xFA050000 | self.prigroup << 8
        if address == 0xE000ED24:
            return self._shcsr()
        name = _PLAIN.get(address)
        return int(getattr(self, name)) if name else 0

    def write(self, address: int, value: int) -> None:
        """Store a word. AIRCR's reset request is not here: the machine sees it first."""
        if 0xE000E100 <= address < 0xE000E300:
            bits = (value & 0xFFFFFFFF) << 8 * (address & 0x7C) + FIRST_IRQ & ((1 << COUNT) - 1)
            what = (address - 0xE000E100) >> 7
            self.enabled = self.enabled | bits if what == 0 else self.enabled & ~bits if what == 1 else self.enabled
            self.pending = self.pending | bits if what == 2 else self.pending & ~bits if what == 3 else self.pending
        elif 0xE000E400 <= address < 0xE000E400 + IRQS:
            self._set_priorities(FIRST_IRQ + address - 0xE000E400, value)
        elif 0xE000ED18 <= address <= 0xE000ED20:
            self._set_priorities(4 + address - 0xE000ED18, value)
        elif address in mpu.REGISTERS:
            self.mpu.write(address, value)
        elif address == 0xE000ED04:
            self._write_icsr(value)
        elif address == 0xE000ED0C:
            if value >> 16 == 0x5FA:
                self.prigroup = value >> 8 & 7
        elif address == 0xE000ED24:
            self._write_shcsr(value)
        elif address == 0xE000EF00:
            self.pend(FIRST_IRQ + (value & 0x1FF))  # STIR
        elif address in (0xE000ED28, 0xE000ED2C):  # write one to clear
            setattr(self, _PLAIN[address], getattr(self, _PLAIN[address]) & ~value)
        elif address in _PLAIN:
            setattr(self, _PLAIN[address], value & _WRITABLE.get(address, 0xFFFFFFFF))

    def _priority_word(self, first: int) -> int:
        return int.from_bytes(self.priority[first : first + 4], "little")

    def _set_priorities(self, first: int, value: int) -> None:
        for number, byte in enumerate(value.to_bytes(4, "little"), first):
            if number < COUNT and number not in (7, 8, 9, 10, 13):
                self.priority[number] = byte & _PRIORITY_BITS

    def _icsr(self, ipsr: int) -> int:
        urgent = self.most_urgent() or 0
        base = ipsr and not self.active & ~(1 << ipsr)
        return (
            ipsr
            | (1 << 11 if base or not ipsr else 0)
            | urgent << 12
            | (1 << 22 if self.pending >> FIRST_IRQ else 0)
            | (self.pending >> SYS_TICK & 1) << 26
            | (self.pending >> PEND_SV & 1) << 28
            | (self.pending >> NMI & 1) << 31
        )

    def _write_icsr(self, value: int) -> None:
        for bit, number in ((31, NMI), (28, PEND_SV), (26, SYS_TICK)):
            if value >> bit & 1:
                self.pend(number)
        for bit, number in ((27, PEND_SV), (25, SYS_TICK)):
            if value >> bit & 1:
                self.unpend(number)

    def _shcsr(self) -> int:
        value = self.shcsr
        for bit, number in _SHCSR_ACTIVE:
            value |= (self.active >> number & 1) << bit
        for bit, number in _SHCSR_PENDING:
            value |= (self.pending >> number & 1) << bit
        return value

    def _write_shcsr(self, value: int) -> None:
        self.shcsr = value & 0x70000
        for bit, number in _SHCSR_ACTIVE:
            self.active = self.active & ~(1 << number) | (value >> bit & 1) << number
        for bit, number in _SHCSR_PENDING:
            self.pending = self.pending & ~(1 << number) | (value >> bit & 1) << number


_SHCSR_ACTIVE = (
    (0, MEM_MANAGE),
    (1, BUS_FAULT),
    (3, USAGE_FAULT),
    (7, SV_CALL),
    (8, DEBUG_MONITOR),
    (10, PEND_SV),
    (11, SYS_TICK),
)
_SHCSR_PENDING = ((12, USAGE_FAULT), (13, MEM_MANAGE), (14, BUS_FAULT), (15, SV_CALL))
_PLAIN = {
    0xE000ED08: "vtor",
    0xE000ED10: "scr",
    0xE000ED14: "ccr",
    0xE000ED28: "cfsr",
    0xE000ED2C: "hfsr",
    0xE000ED34: "mmfar",
    0xE000ED38: "bfar",
    0xE000ED3C: "afsr",
    0xE000ED88: "cpacr",
    0xE000EF34: "fpccr",
    0xE000EF38: "fpcar",
    0xE000EF3C: "fpdscr",
}
_WRITABLE = {0xE000ED08: 0xFFFFFF80, 0xE000ED10: 0x16, 0xE000ED14: 0x31B, 0xE000ED88: 0xF00000}
