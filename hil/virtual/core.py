"""How a Cortex-M4 enters and leaves exceptions, over the registers of the emulator.

Arm DDI 0403E, B1.5. Unicorn executes instructions only; what happens between two of them is here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from unicorn import arm_const as arm

from hil.virtual import exceptions as ex
from hil.virtual.memory import MemoryMap

_GENERAL = [arm.UC_ARM_REG_R0 + i for i in range(13)] + [arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR, arm.UC_ARM_REG_PC]
_BY_SELECTOR = {
    **dict(enumerate(_GENERAL)),
    16: arm.UC_ARM_REG_XPSR,
    17: arm.UC_ARM_REG_MSP,
    18: arm.UC_ARM_REG_PSP,
    33: arm.UC_ARM_REG_FPSCR,
    **{64 + i: arm.UC_ARM_REG_S0 + i for i in range(32)},
}
_PC, _STATUS, _SPECIAL = 15, 16, 20  # selectors of DCRSR
_FRAME_REGISTERS = [*_GENERAL[:4], arm.UC_ARM_REG_R12, arm.UC_ARM_REG_LR]
_FRAME_BYTES, _EXTENDED_FRAME_BYTES = 0x20, 0x68
_TO_HANDLER, _TO_THREAD_MSP, _TO_THREAD_PSP = 0xFFFFFFF1, 0xFFFFFFF9, 0xFFFFFFFD  # EXC_RETURN; bit 4: no FP registers
_THUMB = 1 << 24
_SPSEL, _FPCA = 1 << 1, 1 << 2
_ALIGNED = 1 << 9  # of the stacked xPSR: a word was skipped
_LOCKUP_ADDRESS = 0xFFFFFFFE


class Lockup(Exception):
    """The core found a fault where it can take none."""


class Core:
    """Registers and exceptions of one core. `entered`: told the number of each handler that it goes to."""

    def __init__(self, uc: Any, memory: MemoryMap, entered: Callable[[int], None]) -> None:
        self._uc, self._memory, self._entered = uc, memory, entered
        self.exceptions = ex.Exceptions()
        self.sleeping = self.lockup = False
        self._mpu_on = False
        self.rights_changed = True  # the MPU was written

    def reset(self) -> None:
        """The state after a reset: stack pointer and start address from the vector table."""
        self.lockup = self.sleeping = False
        self.exceptions.reset()
        uc = self._uc
        uc.reg_write(arm.UC_ARM_REG_XPSR, _THUMB)
        self.write_register(_SPECIAL, 0)
        for selector in [*range(_PC), 18, 33, *range(64, 96)]:
            uc.reg_write(_BY_SELECTOR[selector], 0)
        self.rights_changed = True
        self.update_rights()
        stack, start = struct.unpack("<2I", self._memory.flash[:8])
        uc.reg_write(arm.UC_ARM_REG_SP, stack & ~3)
        uc.reg_write(arm.UC_ARM_REG_LR, 0xFFFFFFFF)
        self.pc = start

    # ---- registers

    @property
    def pc(self) -> int:
        return int(self._uc.reg_read(arm.UC_ARM_REG_PC)) & ~1

    @pc.setter
    def pc(self, address: int) -> None:
        self._uc.reg_write(arm.UC_ARM_REG_PC, address | 1)

    @property
    def ipsr(self) -> int:
        """Number of the exception whose handler runs, 0 in thread mode."""
        return int(self._uc.reg_read(arm.UC_ARM_REG_XPSR)) & 0x1FF

    @property
    def thumb(self) -> bool:
        """The T bit; without it the next instruction is a usage fault."""
        return bool(self._uc.reg_read(arm.UC_ARM_REG_XPSR) & _THUMB)

    def masks(self) -> tuple[int, int, int]:
        """PRIMASK, FAULTMASK, BASEPRI."""
        read = self._uc.reg_read
        return (
            int(read(arm.UC_ARM_REG_PRIMASK)) & 1,
            int(read(arm.UC_ARM_REG_FAULTMASK)) & 1,
            int(read(arm.UC_ARM_REG_BASEPRI)) & 0xFF,
        )

    def read_register(self, selector: int) -> int:
        """By the number that DCRSR has for it; 0 for one that is not there."""
        if selector == _SPECIAL:
            primask, faultmask, basepri = self.masks()
            control = int(self._uc.reg_read(arm.UC_ARM_REG_CONTROL)) & 7
            return control << 24 | faultmask << 16 | basepri << 8 | primask
        if selector not in _BY_SELECTOR:
            return 0
        if selector == _PC and self.lockup:
            return _LOCKUP_ADDRESS
        value = int(self._uc.reg_read(_BY_SELECTOR[selector]))
        return value & ~1 if selector == _PC else value

    def write_register(self, selector: int, value: int) -> None:
        """By the number that DCRSR has for it. A new PC ends a lock-up."""
        uc = self._uc
        if selector == _SPECIAL:
            uc.reg_write(arm.UC_ARM_REG_CONTROL, value >> 24 & 7)
            uc.reg_write(arm.UC_ARM_REG_FAULTMASK, value >> 16 & 1)
            uc.reg_write(arm.UC_ARM_REG_BASEPRI, value >> 8 & 0xFF)
            uc.reg_write(arm.UC_ARM_REG_PRIMASK, value & 1)
        elif selector == _PC:
            self.lockup = False
            self.pc = value
        elif selector == _STATUS:
            if self.ipsr and not value & 0x1FF:
                self.exceptions.active = 0  # the debugger took the core out of its handler
            uc.reg_write(arm.UC_ARM_REG_XPSR, value)
        elif selector in _BY_SELECTOR:
            uc.reg_write(_BY_SELECTOR[selector], value)

    # ---- priorities

    def execution_priority(self) -> int:
        return self.exceptions.execution_priority(*self.masks())

    def update_rights(self) -> None:
        """Follow the MPU, which may be off in the handlers of NMI and HardFault."""
        urgent = self.exceptions.active & (1 << ex.NMI | 1 << ex.HARD_FAULT) or self.masks()[1]
        on = self.exceptions.mpu.active(-1 if urgent else 0)
        if on != self._mpu_on or self.rights_changed:
            self._mpu_on, self.rights_changed = on, False
            self._memory.map(self.exceptions.mpu if on else None)

    # ---- taking exceptions

    def take_pending(self, only_faults: bool = False) -> bool:
        """Go to the handler of what is pending, if it is urgent enough; returns whether something has to wait.

        only_faults: the debugger holds back interrupts, PendSV and SysTick.
        """
        number = self.exceptions.most_urgent()
        if number is None or (only_faults and number >= ex.PEND_SV):
            return False
        priority = self.exceptions.group_priority(number)
        primask, faultmask, basepri = self.masks()
        if priority < self.exceptions.execution_priority(0, faultmask, basepri):
            self.sleeping = False  # PRIMASK holds back the handler, not the end of a WFI
        if priority >= self.exceptions.execution_priority(primask, faultmask, basepri):
            return True
        self._enter(number, self.pc)
        return False

    def synchronous(self, number: int, pc: int) -> None:
        """An exception that an instruction caused: its handler, or HardFault. Raises Lockup when that cannot be."""
        if self.exceptions.is_enabled(number) and self.exceptions.group_priority(number) < self.execution_priority():
            self._enter(number, pc)
        else:
            self.exceptions.hfsr |= ex.FORCED
            self.hard_fault(pc)

    def fault(self, number: int, status: int, pc: int) -> None:
        """A fault at `pc` with these bits of CFSR."""
        self.exceptions.cfsr |= status
        self.synchronous(number, pc)

    def hard_fault(self, pc: int) -> None:
        if self.execution_priority() <= -1:
            raise Lockup
        self._enter(ex.HARD_FAULT, pc)

    def _enter(self, number: int, pc: int) -> None:
        """Stack the registers and go to the handler (B1.5.6 to B1.5.8); stacking may cause a fault of its own."""
        extended = self._has_fp_context()
        derived = self._push_frame(pc, extended)
        if derived is not None:
            number = self._more_urgent(number, derived)
        vector = self._memory.words(self.exceptions.vtor + 4 * number, 1)
        if vector is None:
            if number == ex.HARD_FAULT:
                raise Lockup
            self.exceptions.hfsr |= ex.VECTTBL
            number, vector = ex.HARD_FAULT, self._memory.words(self.exceptions.vtor + 4 * ex.HARD_FAULT, 1)
        if vector is None:
            raise Lockup
        self._go_to_handler(number, vector[0], extended)

    def _more_urgent(self, number: int, derived: int) -> int:
        """Which of an exception and the fault of its stacking comes first; the other one is left pending."""
        exceptions = self.exceptions
        enabled = exceptions.is_enabled(derived)
        if not enabled or exceptions.group_priority(derived) >= self.execution_priority():
            exceptions.hfsr |= ex.FORCED
            derived = ex.HARD_FAULT
            if number == ex.HARD_FAULT:
                raise Lockup
        first = min((exceptions.priority_of(n), n) for n in (number, derived))[1]
        for other in {number, derived} - {first}:
            exceptions.pend(other)
        return first

    def _go_to_handler(self, number: int, vector: int, extended: bool) -> None:
        uc = self._uc
        control = uc.reg_read(arm.UC_ARM_REG_CONTROL)
        code = _TO_HANDLER if self.ipsr else _TO_THREAD_PSP if control & _SPSEL else _TO_THREAD_MSP
        # Handler mode first: it brings the main stack pointer into use.
        uc.reg_write(arm.UC_ARM_REG_XPSR, uc.reg_read(arm.UC_ARM_REG_XPSR) & 0xF80F0000 | _THUMB | number)
        uc.reg_write(arm.UC_ARM_REG_CONTROL, control & ~(_SPSEL | _FPCA))
        uc.reg_write(arm.UC_ARM_REG_LR, code & ~0x10 if extended else code)
        self.exceptions.enter(number)
        self.sleeping = False
        self.update_rights()
        self.pc = vector
        self._entered(number)
        if not vector & 1:
            uc.reg_write(arm.UC_ARM_REG_XPSR, uc.reg_read(arm.UC_ARM_REG_XPSR) & ~_THUMB)
            self.fault(ex.USAGE_FAULT, ex.INVSTATE, vector)

    def _has_fp_context(self) -> bool:
        """Whether a frame holds floating-point registers too. They are stored at once, also where silicon is lazy."""
        return bool(self.exceptions.fpccr >> 31) and bool(self._uc.reg_read(arm.UC_ARM_REG_CONTROL) & _FPCA)

    def _push_frame(self, pc: int, extended: bool) -> int | None:
        """Store the exception frame; returns the fault that this caused, None without."""
        uc = self._uc
        stack = uc.reg_read(arm.UC_ARM_REG_SP)
        align = extended or bool(self.exceptions.ccr & ex.STKALIGN)
        frame = stack - (_EXTENDED_FRAME_BYTES if extended else _FRAME_BYTES)
        frame = frame & (~4 if align else ~0) & 0xFFFFFFFF
        status = uc.reg_read(arm.UC_ARM_REG_XPSR) & ~_ALIGNED | (_ALIGNED if align and stack & 4 else 0)
        words = [*(uc.reg_read(register) for register in _FRAME_REGISTERS), pc & ~1, status]
        if extended:
            words += [uc.reg_read(arm.UC_ARM_REG_S0 + i) for i in range(16)]
            words += [uc.reg_read(arm.UC_ARM_REG_FPSCR), 0]
        uc.reg_write(arm.UC_ARM_REG_SP, frame)
        fault = self._stack_fault(frame, 4 * len(words), stacking=True)
        region = self._memory.find(frame, 4 * len(words))
        if fault is None and region is not None:
            at = frame - region.base
            region.view[at : at + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
        return fault

    def _stack_fault(self, address: int, size: int, stacking: bool) -> int | None:
        """The fault of stacking to or unstacking from there, with its status bits set; None: there is none."""
        for edge in (address, address + size - 4):
            allowed = self._memory.allowed(edge)
            if not (allowed.write if stacking else allowed.read):
                self.exceptions.cfsr |= ex.MSTKERR if stacking else ex.MUNSTKERR
                return ex.MEM_MANAGE
        region = self._memory.find(address, size)
        if region is None or (stacking and not region.writable):
            self.exceptions.cfsr |= ex.STKERR if stacking else ex.UNSTKERR
            return ex.BUS_FAULT
        return None

    # ---- leaving them

    def leave(self, code: int) -> int | None:
        """Return from a handler by the EXC_RETURN value `code` (B1.5.8); returns the number of what was left."""
        number = self.ipsr
        if not number:  # to thread mode it is an ordinary address, where nothing may be executed
            self.fault(ex.MEM_MANAGE, ex.IACCVIOL, code & ~1)
            return None
        exceptions = self.exceptions
        nested = bool(exceptions.active & ~(1 << number))
        to_thread, extended = bool(code & 8), not code & 0x10
        legal = code | 0x10 in (_TO_HANDLER, _TO_THREAD_MSP, _TO_THREAD_PSP) and exceptions.active >> number & 1
        fits = (not nested or bool(exceptions.ccr & ex.NONBASETHRDENA)) if to_thread else nested
        exceptions.leave(number)
        if number != ex.NMI:
            self._uc.reg_write(arm.UC_ARM_REG_FAULTMASK, 0)
        self.update_rights()
        if not legal or not fits:
            self.fault(ex.USAGE_FAULT, ex.INVPC, code & ~1)
            return number
        on_process_stack = bool(code & 4)
        stack = self._uc.reg_read(arm.UC_ARM_REG_PSP if on_process_stack else arm.UC_ARM_REG_MSP)
        fault = self._stack_fault(stack, _EXTENDED_FRAME_BYTES if extended else _FRAME_BYTES, stacking=False)
        if fault is not None:
            self.synchronous(fault, code & ~1)
            return number
        self._pop_frame(stack, to_thread, on_process_stack, extended)
        if to_thread and not nested and exceptions.scr & ex.SLEEPONEXIT:
            self.sleeping = True
        return number

    def _pop_frame(self, stack: int, to_thread: bool, on_process_stack: bool, extended: bool) -> None:
        uc = self._uc
        size = _EXTENDED_FRAME_BYTES if extended else _FRAME_BYTES
        words = self._memory.words(stack, size // 4)
        assert words is not None  # `_stack_fault` has looked
        status = words[7]
        if bool(status & 0x1FF) == to_thread:  # the frame is of the other mode
            self.fault(ex.USAGE_FAULT, ex.INVPC, words[6])
            return
        after = stack + size | (4 if status & _ALIGNED else 0)
        uc.reg_write(arm.UC_ARM_REG_PSP if on_process_stack else arm.UC_ARM_REG_MSP, after)
        uc.reg_write(arm.UC_ARM_REG_XPSR, status & ~_ALIGNED)
        control = uc.reg_read(arm.UC_ARM_REG_CONTROL) & ~(_SPSEL | _FPCA)
        control |= (_SPSEL if to_thread and on_process_stack else 0) | (_FPCA if extended else 0)
        uc.reg_write(arm.UC_ARM_REG_CONTROL, control)
        for register, value in zip(_FRAME_REGISTERS, words, strict=False):
            uc.reg_write(register, value)
        if extended:
            for i in range(16):
                uc.reg_write(arm.UC_ARM_REG_S0 + i, words[8 + i])
            uc.reg_write(arm.UC_ARM_REG_FPSCR, words[24])
        self.pc = words[6]
