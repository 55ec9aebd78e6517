"""Arm's debug logic of a Cortex-M4: debug port, one AHB access port, ROM table, core debug, breakpoints, watchpoints.

Arm IHI 0031A (debug interface v5), DDI 0403E part C, DDI 0439B (Cortex-M4). It drives a `Machine`, and knows neither
the probe in front of it nor the emulator behind it.
"""

from __future__ import annotations

from hil.virtual import exceptions as ex
from hil.virtual.devices import DebugEvents
from hil.virtual.machine import Machine
from hil.virtual.memory import BusError

DPIDR = 0x2BA01477  # SW-DP version 1 of Arm, as an STM32F4 answers
_AP_IDR = 0x24770011  # AHB-AP of the Cortex-M4
_ROM_TABLE = 0xE00FF000
_SCS, _DWT, _FPB, _ITM, _TPIU = 0xE000E000, 0xE0001000, 0xE0002000, 0xE0000000, 0xE0040000
_DFSR, _DHCSR, _DCRSR, _DCRDR, _DEMCR = 0xE000ED30, 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
_DWT_CTRL, _DWT_COMPARATORS, _FP_CTRL, _FP_COMPARATORS = 0xE0001000, 0xE0001020, 0xE0002000, 0xE0002008
DBGMCU, _DBGMCU_END = 0xE0042000, 0xE0042400
_DBG_SLEEP = 1 << 0  # of DBGMCU_CR
DEVICE_ID, REVISION_ID = 0x419, 0x2003

_DEBUG_KEY = 0xA05F
_C_DEBUGEN, _C_HALT, _C_STEP, _C_MASKINTS = 1, 2, 4, 8
_S_REGRDY, _S_HALT, _S_SLEEP, _S_LOCKUP, _S_RETIRE, _S_RESET = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 24, 1 << 25
_VC_CORERESET, _TRCENA = 1, 1 << 24
_VECTOR_CATCHES = {ex.HARD_FAULT: 1 << 10, ex.BUS_FAULT: 1 << 8, ex.MEM_MANAGE: 1 << 4, ex.USAGE_FAULT: 7 << 5}
_HALT_REASONS = {"halt": 1, "step": 1, "breakpoint": 2, "watchpoint": 4, "vector catch": 8}
_BREAKPOINTS, _WATCHPOINTS = 6, 4
_WATCHED = {5: (True, False), 6: (False, True), 7: (True, True)}  # function: reads, writes


class NoAnswer(Exception):
    """The target does not acknowledge: it has no power, or there is none."""


class AccessFault(Exception):
    """The access port's bus answered with an error."""

    def __init__(self, address: int) -> None:
        self.address = address
        super().__init__(f"{address:#010x}")


class CoreDebug:
    """The debug registers of one core, wired to its machine."""

    def __init__(self, machine: Machine, device_id: int = DEVICE_ID) -> None:
        self._machine = machine
        self._control = 0
        self._transfer = 0
        self._exceptions_caught = 0  # DEMCR
        self._status = 0  # DFSR
        self._was_reset = True
        self._breakpoints_on = False
        self._breakpoints = [0] * _BREAKPOINTS
        self._dwt_control = 0
        self._comparators = [[0, 0, 0] for _ in range(_WATCHPOINTS)]
        self._dbgmcu = {DBGMCU: REVISION_ID << 16 | device_id}
        self._identity = _identities()
        self._held_in_reset = False
        machine.attach(
            DebugEvents(
                halted=self._on_halt,
                reset=self._on_reset,
                debugging=lambda: bool(self._control & _C_DEBUGEN),
                interrupts_masked=lambda: self._control & (_C_DEBUGEN | _C_MASKINTS) == _C_DEBUGEN | _C_MASKINTS,
                clocked_in_sleep=lambda: bool(self._dbgmcu.get(DBGMCU + 4, 0) & _DBG_SLEEP),
                catches=self._catches,
                read=self.read,
                write=self.write,
            )
        )

    def hold_in_reset(self, held: bool) -> None:
        """The NRST line: low while `held`."""
        if held != self._held_in_reset:
            self._held_in_reset = held
            self._machine.reset(hold=held)

    # ---- registers: None and False where there is none of these

    def read(self, address: int) -> int | None:
        """A word of the debug logic."""
        if address == _DHCSR:
            return self.read_dhcsr()
        plain = {_DCRSR: 0, _DCRDR: self._transfer, _DEMCR: self._exceptions_caught, _DFSR: self._status}
        if address in plain:
            return plain[address]
        if address in self._identity:
            return self._identity[address]
        if DBGMCU <= address < _DBGMCU_END:
            return self._dbgmcu.get(address, 0)
        if address == _DWT_CTRL:
            return _WATCHPOINTS << 28 | self._dwt_control
        if address == _FP_CTRL:
            return 2 << 8 | _BREAKPOINTS << 4 | self._breakpoints_on
        if _FP_COMPARATORS <= address < _FP_COMPARATORS + 4 * _BREAKPOINTS:
            return self._breakpoints[(address - _FP_COMPARATORS) // 4]
        if _DWT_COMPARATORS <= address < _DWT_COMPARATORS + 16 * _WATCHPOINTS:
            number, register = divmod((address - _DWT_COMPARATORS) // 4, 4)
            return self._comparators[number][register] if register < 3 else 0
        return None if address >> 12 == _SCS >> 12 else 0

    def write(self, address: int, value: int) -> bool:
        """Store a word; False: it is no register of the debug logic."""
        if address == _DHCSR:
            if value >> 16 == _DEBUG_KEY:
                self._write_dhcsr(value & 0xF)
        elif address == _DCRSR:
            self._move_register(value)
        elif address == _DCRDR:
            self._transfer = value
        elif address == _DEMCR:
            self._exceptions_caught = value
            self._switch_counter()
        elif address == _DFSR:
            self._status &= ~value
        elif DBGMCU < address < _DBGMCU_END:
            self._dbgmcu[address] = value
        elif address == _DWT_CTRL:
            self._dwt_control = value & 0x0FFFFFFF
            self._switch_counter()
        elif address == _FP_CTRL:
            if value & 2:
                self._breakpoints_on = bool(value & 1)
                self._set_breakpoints()
        elif _FP_COMPARATORS <= address < _FP_COMPARATORS + 4 * _BREAKPOINTS:
            self._breakpoints[(address - _FP_COMPARATORS) // 4] = value
            self._set_breakpoints()
        elif _DWT_COMPARATORS <= address < _DWT_COMPARATORS + 16 * _WATCHPOINTS:
            self._set_comparator(address, value)
        else:
            return address >> 12 != _SCS >> 12
        return True

    def read_dhcsr(self) -> int:
        """Debug status; its sticky bits are cleared by it."""
        machine = self._machine
        value = self._control | _S_REGRDY
        value |= _S_HALT if machine.halted else _S_RETIRE
        value |= _S_LOCKUP if machine.lockup and not machine.halted else 0
        value |= _S_SLEEP if machine.sleeping and not machine.halted else 0
        if self._was_reset or self._held_in_reset:
            value |= _S_RESET
            self._was_reset = False
        return value

    def _write_dhcsr(self, control: int) -> None:
        if not control & _C_DEBUGEN:
            control &= _C_DEBUGEN
        self._control = control & ~_C_STEP
        if self._held_in_reset:
            return
        if control & _C_HALT:
            self._machine.halt()
        elif self._machine.halted:
            if control & _C_STEP:
                self._machine.step()
            else:
                self._machine.resume()

    def _move_register(self, value: int) -> None:
        if not self._machine.halted:
            return
        selector = value & 0x7F
        if value & 1 << 16:
            self._machine.write_register(selector, self._transfer)
        else:
            self._transfer = self._machine.read_register(selector)

    def _switch_counter(self) -> None:
        on = bool(self._exceptions_caught & _TRCENA) and bool(self._dwt_control & 1)
        self._machine.devices.switch_cycle_count(on)

    def _set_breakpoints(self) -> None:
        addresses = set()
        for comparator in self._breakpoints if self._breakpoints_on else ():
            if comparator & 1:
                word = comparator & 0x1FFFFFFC
                addresses |= {word} if comparator >> 30 & 1 else set()
                addresses |= {word | 2} if comparator >> 31 & 1 else set()
        self._machine.set_breakpoints(addresses)

    def _set_comparator(self, address: int, value: int) -> None:
        number, register = divmod((address - _DWT_COMPARATORS) // 4, 4)
        if register < 3:
            self._comparators[number][register] = value
            self._machine.set_watchpoints(
                [
                    (comparator, 1 << mask, *_WATCHED[function & 0xF])
                    for comparator, mask, function in self._comparators
                    if function & 0xF in _WATCHED
                ]
            )

    # ---- what the machine tells

    def _on_halt(self, reason: str) -> None:
        self._control |= _C_HALT
        self._status |= _HALT_REASONS[reason]

    def _on_reset(self) -> bool:
        self._was_reset = True
        self._control &= ~_C_HALT
        caught = bool(self._control & _C_DEBUGEN and self._exceptions_caught & _VC_CORERESET)
        if caught:
            self._on_halt("vector catch")
        return caught

    def _catches(self, number: int) -> bool:
        return bool(self._control & _C_DEBUGEN and self._exceptions_caught & _VECTOR_CATCHES.get(number, 0))


class DebugPort:
    """The SW-DP and its AHB-AP. Raises NoAnswer without target power, AccessFault for a bus error."""

    def __init__(self, machine: Machine, core: CoreDebug, powered: bool = True) -> None:
        self._machine, self._core = machine, core
        self.powered = powered
        self._control = self._select = 0
        self._sticky_error = False
        self._csw, self._tar = 0x23000042, 0

    def hold_in_reset(self, held: bool) -> None:
        if self.powered:
            self._core.hold_in_reset(held)

    def read_port(self, address: int) -> int:
        """A register of the debug port."""
        self._require_power()
        if address == 0:
            return DPIDR
        if address == 4:
            acknowledged = (self._control & 0x50000000) << 1
            return self._control & 0x50000F00 | acknowledged | self._sticky_error << 5
        return 0

    def write_port(self, address: int, value: int) -> None:
        self._require_power()
        if address == 0 and value & 0x1E:
            self._sticky_error = False
        elif address == 4:
            self._control = value
        elif address == 8:
            self._select = value

    def read_access_port(self, number: int, address: int) -> int:
        """A register of an access port; only number 0 is there."""
        self._require_power()
        if number:
            return 0
        if address == 0x0C:
            size = self._size()
            data = self.read(self._tar, size)
            value = int.from_bytes(data, "little") << 8 * (self._tar & 3 if size < 4 else 0)
            self._increment()
            return value
        if 0x10 <= address <= 0x1C:
            return int.from_bytes(self.read(self._tar & ~0xF | address & 0xC, 4), "little")
        return {0x00: self._csw, 0x04: self._tar, 0xF8: _ROM_TABLE | 3, 0xFC: _AP_IDR}.get(address, 0)

    def write_access_port(self, number: int, address: int, value: int) -> None:
        self._require_power()
        if number:
            return
        if address == 0x00:
            self._csw = value | 0x40
        elif address == 0x04:
            self._tar = value
        elif address == 0x0C:
            size = self._size()
            shifted = value >> 8 * (self._tar & 3 if size < 4 else 0)
            self.write(self._tar, (shifted & ((1 << 8 * size) - 1)).to_bytes(size, "little"))
            self._increment()
        elif 0x10 <= address <= 0x1C:
            self.write(self._tar & ~0xF | address & 0xC, value.to_bytes(4, "little"))

    def read(self, address: int, size: int) -> bytes:
        """Memory through the access port."""
        self._require_power()
        try:
            if address == _DHCSR and size == 4:  # asked for often, and needs no stop of the core
                return self._core.read_dhcsr().to_bytes(4, "little")
            return self._machine.read(address, size)
        except BusError as error:
            self._sticky_error = True
            raise AccessFault(error.address) from error

    def write(self, address: int, data: bytes) -> None:
        self._require_power()
        try:
            self._machine.write(address, data)
        except BusError as error:
            self._sticky_error = True
            raise AccessFault(error.address) from error

    def _require_power(self) -> None:
        if not self.powered:
            raise NoAnswer

    def _size(self) -> int:
        return 1 << min(self._csw & 7, 2)

    def _increment(self) -> None:
        if self._csw & 0x30:
            self._tar = self._tar & ~0xFFF | (self._tar + self._size()) & 0xFFF


def _identities() -> dict[int, int]:
    """Address to value of the ROM table and of every component's identification registers."""
    rom = {0x00: 0xFFF0F003, 0x04: 0xFFF02003, 0x08: 0xFFF03003, 0x0C: 0xFFF01003, 0x10: 0xFFF41003, 0x14: 0xFFF42002}
    components = (
        (_ROM_TABLE, {**rom, 0x18: 0, 0xFCC: 1, **_peripheral_id(DEVICE_ID, 1, 0, 0x020)}),
        (_SCS, _peripheral_id(0x00C, 0xE, 0)),
        (_DWT, _peripheral_id(0x002, 0xE, 3)),
        (_FPB, _peripheral_id(0x003, 0xE, 2)),
        (_ITM, _peripheral_id(0x001, 0xE, 3)),
        (_TPIU, {**_peripheral_id(0x9A1, 0x9, 0), 0xFC8: 0xCA1, 0xFCC: 0x11}),
    )
    return {base + offset: value for base, registers in components for offset, value in registers.items()}


def _peripheral_id(part: int, component_class: int, revision: int, designer: int = 0x43B) -> dict[int, int]:
    """PIDR and CIDR of a component; `designer` in JEP106 with its continuation count above bit 7."""
    return {
        0xFD0: designer >> 8,
        0xFE0: part & 0xFF,
        0xFE4: (designer & 0xF) << 4 | part >> 8,
        0xFE8: revision << 4 | 8 | designer >> 4 & 7,
        0xFF0: 0x0D,
        0xFF4: component_class << 4,
        0xFF8: 0x05,
        0xFFC: 0xB1,
    }
