"""The microcontroller: core, memories and peripherals on Unicorn, run by a thread of its own.

Time is counted in HCLK cycles, one for each executed instruction; what a sleeping core skips is added to it. The
debugger's side may be called from any thread: memories are read and written while the core runs, for everything else
the core is held between two instructions.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from hil.virtual import exceptions as ex
from hil.virtual import stm32f4
from hil.virtual.core import Core, Lockup
from hil.virtual.devices import DWT_CYCCNT, FLASH_REGISTERS, RANGES, DebugEvents, Devices
from hil.virtual.emulator import BKPT, DATA_ABORT, EXCEPTION_RETURN, PREFETCH_ABORT, SVC, Emulator, u
from hil.virtual.memory import CCM_BASE, BusError, MemoryMap, Region
from hil.virtual.mpu import REGISTERS as MPU_REGISTERS

_SLICE = 100_000  # instructions between two looks at what the debugger wants; a few milliseconds at most
_MASKED_SLICE = 500  # the same while an interrupt waits for the firmware to unmask it
_SLEEP_S = 0.010  # a sleeping core is woken for its timers no more often than this
_WFI, _WFI_WIDE, _WFE = b"\x30\xbf", b"\xaf\xf3\x03\x80", b"\x20\xbf"
_FETCH_ERRORS = (u.UC_ERR_FETCH_UNMAPPED, u.UC_ERR_FETCH_PROT)
_WRITES = (u.UC_MEM_WRITE_PROT, u.UC_MEM_WRITE_UNMAPPED)
_MANY_WRITES, _LARGE_WRITE = 16, 4096  # beyond this all translated code is forgotten, not only what was written to


class Machine:
    """An STM32F429 that runs what its flash holds.

    `flash` (2 MB), `sram` (192 KB) and `ccm` (64 KB): buffers to use, writable, kept by the caller until `close`;
    without them the flash is blank. `uart`: called with each byte that USART3 sends and its rate in baud.
    `lockup_after`: instructions of firmware in flash after which the core locks up. `protected`, `stuck`: see
    `FlashInterface`.

    A new machine is halted at power-on reset; `resume` runs it. After `load` or `load_elf`: `reset`.
    """

    def __init__(
        self,
        flash: memoryview | None = None,
        sram: memoryview | None = None,
        uart: Callable[[int, float], None] = lambda byte, baud: None,
        protected: tuple[int, ...] = (),
        stuck: tuple[int, ...] = (),
        lockup_after: int | None = None,
        ccm: memoryview | None = None,
    ) -> None:
        self._emulator = Emulator()
        self._uc = uc = self._emulator.uc
        self.memory = MemoryMap(uc, flash, sram, ccm)
        self.core = Core(uc, self.memory, self._handler_entered)
        self.flash_interface = stm32f4.FlashInterface(self.memory.flash, protected, stuck)
        self.devices = Devices(
            self.core.exceptions, self.flash_interface, lambda: self.instructions, lambda: self.now, uart
        )
        self.rcc, self.pwr, self.usart3 = self.devices.rcc, self.devices.pwr, self.devices.usart3
        self.halted = True
        self._lockup_after = lockup_after
        self._instructions = 0  # executed before the run in progress
        self._running = False  # inside a run
        self._slept = 0  # HCLK cycles
        self._event: tuple[str, int] | None = None  # why the run ends, as a hook has seen it
        self._bad_access: tuple[int, int] | None = None  # Unicorn's kind and the address
        self._fixes: list[tuple[int, bytes]] = []  # flash bytes that a store must not have changed
        self._flash_changed = False
        self._dirty: list[tuple[int, int]] = []  # written by the debugger: address, size
        self._breakpoints: dict[int, Any] = {}
        self._watchpoints: list[Any] = []
        self._passed_breakpoint: int | None = None  # where the core was resumed
        self._last_pc = 0
        for base, size in _without(RANGES, FLASH_REGISTERS):
            uc.mmio_map(base, size, self._on_read, base, self._on_write, base)
        uc.mmio_map(*FLASH_REGISTERS, self._on_flash_read, None, self._on_flash_write, None)
        uc.hook_add(u.UC_HOOK_MEM_INVALID, self._on_invalid)
        uc.hook_add(u.UC_HOOK_INTR, self._on_interrupt)
        self._reset_now()
        self._waiting = 0  # threads that want the core held
        self._waiting_lock = threading.Lock()
        self._held = threading.Condition(threading.RLock())
        self._quit = False
        self._thread = threading.Thread(target=self._work, name="core", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the core's thread. Safe to call twice."""
        with self.stopped():
            self._quit = True
        self._thread.join()

    def attach(self, events: DebugEvents) -> None:
        """Wire debug logic to it."""
        self.devices.debug = events

    # ---- how it stands

    @property
    def instructions(self) -> int:
        """Executed since the machine was made; exact also inside a device access."""
        return self._instructions + (self._emulator.begun - 1 if self._running else 0)

    @property
    def now(self) -> int:
        """HCLK cycles since the machine was made."""
        return self.instructions + self._slept

    @property
    def sleeping(self) -> bool:
        """In WFI or WFE."""
        return self.core.sleeping

    @property
    def lockup(self) -> bool:
        """Whether it has found a fault where it can take none, and executes nothing until a reset."""
        return self.core.lockup

    def cycle_counter(self) -> int:
        """DWT_CYCCNT, which debug logic (`CoreDebug`) switches on."""
        return self.devices.cycle_count

    @property
    def runs_from_flash(self) -> bool:
        """Whether the core runs, and not a flash loader in RAM: as of the last look at it."""
        return not self.halted and self._last_pc < CCM_BASE

    @property
    def in_conversation(self) -> bool:
        """Whether firmware in flash runs, and the debugger has written to its RAM since the last reset."""
        return self.runs_from_flash and self._spoken_to

    # ---- for the debugger

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Hold the core between two instructions for as long as the context lasts."""
        with self._waiting_lock:
            self._waiting += 1
        with self._held:
            with self._waiting_lock:
                self._waiting -= 1
            try:
                yield
            finally:
                self._held.notify_all()

    def halt(self) -> None:
        """Stop the core; returns when it has stopped."""
        with self.stopped():
            if not self.halted:
                self._halt("halt")

    def resume(self) -> None:
        """Let the core run. A core that is locked up stays so."""
        with self.stopped():
            self.halted = False
            self._passed_breakpoint = self.core.pc

    def step(self) -> None:
        """Execute one instruction of a halted core, or all that an IT instruction holds together."""
        with self.stopped():
            if self.halted:
                self._passed_breakpoint = self.core.pc
                self._guarded(self._step)
                self.halted = True
                self.devices.debug.halted("step")

    def reset(self, hold: bool = False) -> None:
        """A system reset; the core then runs, unless `hold` or the debugger stops it at its first instruction."""
        with self.stopped():
            self._reset_now()
            self.halted = self.devices.debug.reset() or hold

    def power_cycle(self) -> None:
        """What a pulled and plugged cable does: RAM loses its contents, the core starts."""
        with self.stopped():
            self.memory.lose_power()
            self.reset()

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes as the debug port's bus sees them. Raises BusError."""
        data = self.memory.read(address, size)
        if data is not None:
            return data
        _require_device(address)
        with self.stopped():
            words = range(address & ~3, address + size, 4)
            data = b"".join(self.devices.read(word, self._ipsr).to_bytes(4, "little") for word in words)
        return data[address & 3 : (address & 3) + size]

    def write(self, address: int, data: bytes) -> None:
        """Store `data` through the debug port's bus; four aligned bytes are one store. Raises BusError."""
        region = self.memory.find(address, len(data))
        if region is not None:
            self._write_memory(region, address, data)
            return
        _require_device(address)
        with self.stopped():
            while data:
                size = min(4 - address % 4, len(data))
                self._store(address, int.from_bytes(data[:size], "little"), size)
                address, data = address + size, data[size:]
            if self.devices.reset_requested:
                self.reset()

    def read_register(self, selector: int) -> int:
        """A core register by its number in DCRSR."""
        with self.stopped():
            return self.core.read_register(selector)

    def write_register(self, selector: int, value: int) -> None:
        """Set a core register by its number in DCRSR."""
        with self.stopped():
            self.core.write_register(selector, value)

    def set_breakpoints(self, addresses: set[int]) -> None:
        """Stop before the instructions at these addresses. While there is one, the core is about ten times slower."""
        with self.stopped():
            for address in set(self._breakpoints) - addresses:
                self._uc.hook_del(self._breakpoints.pop(address))
            for address in addresses - set(self._breakpoints):
                hook = self._uc.hook_add(u.UC_HOOK_CODE, self._at_breakpoint, begin=address, end=address)
                self._breakpoints[address] = hook
            self._uc.ctl_flush_tb()

    def set_watchpoints(self, points: list[tuple[int, int, bool, bool]]) -> None:
        """Stop after an access to one of these: address, size, whether reads count, whether writes do."""
        with self.stopped():
            if not points and not self._watchpoints:
                return
            for hook in self._watchpoints:
                self._uc.hook_del(hook)
            self._watchpoints = [
                self._uc.hook_add(
                    (u.UC_HOOK_MEM_READ if reads else 0) | (u.UC_HOOK_MEM_WRITE if writes else 0),
                    self._at_watchpoint,
                    begin=address,
                    end=address + size - 1,
                )
                for address, size, reads, writes in points
            ]
            self._uc.ctl_flush_tb()

    def load(self, segments: list[tuple[int, bytes]]) -> None:
        """Put bytes into memories directly, as a factory would. Raises BusError where there is none."""
        with self.stopped():
            for address, data in segments:
                region = self.memory.find(address, len(data))
                if region is None:
                    raise BusError(address)
                region.view[address - region.base : address - region.base + len(data)] = data
            self._uc.ctl_flush_tb()

    def load_elf(self, path: Path) -> None:
        """Put the loadable segments of an ELF file at their physical addresses."""
        with path.open("rb") as file:
            found = [s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
            self.load([(segment["p_paddr"], segment.data()) for segment in found])

    def _write_memory(self, region: Region, address: int, data: bytes) -> None:
        at = address - region.base
        if region.view is self.memory.flash:
            with self.stopped():
                self._program(at, data)
        elif region.writable:
            self._spoken_to |= not self.halted
            if len(data) == 4 and not at & 3:
                ctypes.c_uint32.from_address(region.pointer + at).value = int.from_bytes(data, "little")
            else:
                region.view[at : at + len(data)] = data
            if self.halted and region.executable:
                self._dirty.append((address, len(data)))
            if self.sleeping:
                with self._held:
                    self._held.notify_all()

    def _program(self, at: int, data: bytes) -> None:
        for offset in range(at, at + len(data), 4):
            part = data[offset - at : offset - at + 4]
            value = int.from_bytes(part, "little")
            kept = self.flash_interface.program(stm32f4.FLASH_BASE + offset, len(part), value)
            self.memory.flash[offset : offset + len(part)] = kept.to_bytes(len(part), "little")
        self._flash_changed = True

    # ---- hooks: called by the emulator in the middle of an instruction

    def _on_read(self, uc: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        if self._waiting:
            self._emulator.stop_after_this()
        if address == DWT_CYCCNT:
            return self.devices.cycle_count
        value = self.devices.read(address & ~3, self._ipsr)
        return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def _on_flash_read(self, uc: Any, offset: int, size: int, data: object) -> int:
        """As `_on_read`: a flash loader asks for the status of every word, and this is the short way to it."""
        if self._waiting:
            self._emulator.stop_after_this()
        return self.flash_interface.read(offset & ~3) >> 8 * (offset & 3)

    def _on_flash_write(self, uc: Any, offset: int, size: int, value: int, data: object) -> None:
        if size < 4:
            self._on_write(uc, offset, size, value, FLASH_REGISTERS[0])
            return
        self.flash_interface.write(offset, value & 0xFFFFFFFF)
        self._look_at_flash()
        if self._waiting:
            self._emulator.stop_after_this()

    def _on_write(self, uc: Any, offset: int, size: int, value: int, base: int) -> None:
        address = base + offset
        self._store(address, value & ((1 << 8 * size) - 1), size)
        if self._waiting or self.devices.may_change_course(address):
            self._emulator.stop_after_this()

    def _store(self, address: int, value: int, size: int) -> None:
        self.devices.store(address, value, size, self._ipsr)
        if address in MPU_REGISTERS:
            self.core.rights_changed = True
        self._look_at_flash()

    def _look_at_flash(self) -> None:
        if self.flash_interface.erased:
            self.flash_interface.erased = False
            self._flash_changed = True

    def _on_invalid(self, uc: Any, kind: int, address: int, size: int, value: int, data: object) -> bool:
        at = self.memory.flash_offset(address)
        if kind == u.UC_MEM_WRITE_PROT and at is not None and self.memory.allowed(address).write:
            stored = value & ((1 << 8 * size) - 1)
            kept = self.flash_interface.program(stm32f4.FLASH_BASE + at, size, stored)
            if kept != stored:  # the store goes through, and is put right after this instruction
                self._fixes.append((at, kept.to_bytes(size, "little")))
                self._emulator.stop_after_this()
            self._flash_changed = True
            return True
        self._bad_access = (kind, address)
        return False

    def _on_interrupt(self, uc: Any, number: int, data: object) -> None:
        self._event = ("interrupt", number)
        uc.emu_stop()

    def _at_breakpoint(self, uc: Any, address: int, size: int, data: object) -> None:
        if address == self._passed_breakpoint and self._emulator.begun == 1:
            return
        self._event = ("breakpoint", address)
        uc.emu_stop()

    def _at_watchpoint(self, uc: Any, kind: int, address: int, size: int, value: int, data: object) -> None:
        if self._event is None:
            self._event = ("watchpoint", address)
        self._emulator.stop_after_this()

    def _ipsr(self) -> int:
        return self.core.ipsr

    # ---- the core's thread

    def _work(self) -> None:
        with self._held:
            while not self._quit:
                if self._waiting or self.halted or self.core.lockup:
                    self._held.wait()
                else:
                    self._guarded(self._go_on)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Lockup:
            self.core.lockup = True

    def _go_on(self) -> None:
        """Take what is pending, then run until something can happen."""
        self.devices.update()
        held_back = self.core.take_pending(self.devices.debug.interrupts_masked())
        if self.halted:
            return
        if self.sleeping:
            self._sleep()
            return
        limit = _MASKED_SLICE if held_back else _SLICE
        event = self.devices.next_event()
        if event is not None:
            limit = max(1, min(limit, event - self.now))
        self._execute(limit)
        due = self._lockup_after is not None and self._instructions - self._reset_at > self._lockup_after
        if due and self._last_pc < CCM_BASE:
            raise Lockup

    def _step(self) -> None:
        self.devices.update()
        self.core.take_pending(self.devices.debug.interrupts_masked())
        self._execute(1)

    def _sleep(self) -> None:
        """Skip to the next event, but wake the host for it no more often than every few milliseconds.

        A write by the debugger ends the wait, so that firmware that polls memory in its timer's beat answers soon.
        """
        event = self.devices.next_event()
        if event is None:
            self._held.wait()
            return
        self._held.wait(max((event - self.now) / self.rcc.hclk_hz, _SLEEP_S))
        if not self._waiting and not self.halted:
            cycles = max(0, event - self.now)
            self._slept += cycles
            self.devices.slept(cycles)

    def _execute(self, limit: int) -> None:
        """Run up to `limit` instructions and act on what ended the run."""
        if self.core.rights_changed:
            self.core.update_rights()
        if self._dirty or self._flash_changed:
            self._forget_old_code()
        self._event = self._bad_access = None
        self._running = True
        try:
            error = self._emulator.run(limit)
        finally:
            begun, self._running = self._emulator.begun, False
        for at, kept in self._fixes:
            self.memory.flash[at : at + len(kept)] = kept
        self._fixes.clear()
        pc = self._last_pc = self.core.pc
        self._instructions += begun - self._unfinished(error, pc)
        if self.devices.reset_requested:
            self._reset_now()
            self.halted = self.devices.debug.reset()
        elif self._event is not None:
            self._on_event(*self._event, pc)
        elif error is not None:
            self._on_error(error, pc)
        elif not self._emulator.ran_to_limit and self._follows(pc, _WFI, _WFI_WIDE):
            self.core.sleeping = True

    def _unfinished(self, error: int | None, pc: int) -> int:
        """1 when the last instruction that was begun did not end: it faulted, or is the first beyond the limit."""
        if self._emulator.ran_to_limit or (self._event and self._event[0] == "breakpoint"):
            return 1
        if self._event:
            return int(self._event == ("interrupt", BKPT))
        return int(error is not None and error not in _FETCH_ERRORS and not self._waits_for_event(pc))

    def _forget_old_code(self) -> None:
        """Let the emulator translate anew what changed behind its back."""
        many = len(self._dirty) > _MANY_WRITES or any(size > _LARGE_WRITE for _, size in self._dirty)
        if self._flash_changed or many:
            self._uc.ctl_flush_tb()
        else:
            for address, size in self._dirty:
                self._uc.ctl_remove_cache(address & ~3, address + size + 3 & ~3)
        self._flash_changed = False
        self._dirty.clear()

    # ---- what ends a run

    def _on_event(self, what: str, number: int, pc: int) -> None:
        if what != "interrupt":
            self._halt(what)
        elif number == SVC:
            self.core.synchronous(ex.SV_CALL, pc)
        elif number == EXCEPTION_RETURN:
            self.devices.handler_left(self.core.leave(pc | 1))
        elif number == BKPT and self.devices.debug.debugging():
            self._halt("breakpoint")
        elif number == BKPT:
            self.core.exceptions.hfsr |= ex.DEBUGEVT
            self.core.hard_fault(pc)
        elif number in (PREFETCH_ABORT, DATA_ABORT):
            self._on_bad_fetch(pc)
        else:
            self.core.fault(ex.USAGE_FAULT, ex.UNDEFINSTR, pc)

    def _on_error(self, error: int, pc: int) -> None:
        """Turn Unicorn's error into the fault that the core would see."""
        if error in _FETCH_ERRORS:
            self._on_bad_fetch(pc)
        elif self._bad_access is not None:
            self._on_bad_access(*self._bad_access, pc)
        elif self._waits_for_event(pc):
            self.core.sleeping = True
        elif not self.core.thumb:
            self.core.fault(ex.USAGE_FAULT, ex.INVSTATE, pc)
        else:
            self.core.fault(ex.USAGE_FAULT, ex.UNDEFINSTR, pc)

    def _on_bad_fetch(self, pc: int) -> None:
        if self.memory.allowed(pc).execute:
            self.core.fault(ex.BUS_FAULT, ex.IBUSERR, pc)
        else:
            self.core.fault(ex.MEM_MANAGE, ex.IACCVIOL, pc)

    def _on_bad_access(self, kind: int, address: int, pc: int) -> None:
        allowed = self.memory.allowed(address)
        if allowed.write if kind in _WRITES else allowed.read:
            self.core.exceptions.bfar = address
            self.core.fault(ex.BUS_FAULT, ex.PRECISERR | ex.BFARVALID, pc)
        else:
            self.core.exceptions.mmfar = address
            self.core.fault(ex.MEM_MANAGE, ex.DACCVIOL | ex.MMARVALID, pc)

    def _waits_for_event(self, pc: int) -> bool:
        """Unicorn reports WFE like an undefined instruction, but with PC behind it."""
        return self._bad_access is None and self._follows(pc, _WFE)

    def _follows(self, pc: int, *codes: bytes) -> bool:
        """Whether one of these instructions lies just before `pc`."""
        return any(self.memory.read(pc - len(code), len(code)) == code for code in codes)

    def _handler_entered(self, number: int) -> None:
        if self.devices.debug.catches(number):
            self._halt("vector catch")

    def _halt(self, reason: str) -> None:
        self.halted = True
        self.devices.debug.halted(reason)

    def _reset_now(self) -> None:
        self.devices.reset()
        self.core.reset()
        self._event = self._bad_access = None
        self._uc.ctl_flush_tb()
        self._flash_changed = False
        self._dirty.clear()
        self._reset_at = self._instructions
        self._spoken_to = False
        self._last_pc = self.core.pc
        self._passed_breakpoint = None


def _without(ranges: tuple[tuple[int, int], ...], hole: tuple[int, int]) -> list[tuple[int, int]]:
    """`ranges` (base and size) with one of them cut around `hole`."""
    start, end = hole[0], hole[0] + hole[1]
    found = []
    for base, size in ranges:
        if base <= start < base + size:
            found += [(base, start - base), (end, base + size - end)]
        else:
            found.append((base, size))
    return found


def _require_device(address: int) -> None:
    if not any(base <= address < base + size for base, size in RANGES):
        raise BusError(address)
