"""What answers on the buses of the STM32F429 beside its memories: peripherals, timers, the core's private registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hil.virtual import exceptions as ex
from hil.virtual import stm32f4, systick

AIRCR, DWT_CYCCNT = 0xE000ED0C, 0xE0001004
PRIVATE = 0xE0000000  # from here on
RANGES = ((0x40000000, 0x00080000), (0x50000000, 0x00080000), (PRIVATE, 0x00100000))  # base, size
FLASH_REGISTERS = (0x40023C00, 0x400)  # base, size
_RESET_REQUEST, _VECTOR_KEY = 0b101, 0x5FA
_TIM5 = ex.FIRST_IRQ + stm32f4.TIM5_IRQ
_RCC, _TIM5_BASE = 0x40023800, 0x40000C00
_GPIO_AT_RESET = {0: {0x00: 0xA8000000, 0x0C: 0x64000000}, 1: {0x00: 0x00000280, 0x08: 0xC0, 0x0C: 0x100}}


@dataclass
class DebugEvents:
    """What the debug logic wants to be told and asked; as it stands here, a machine without a debugger."""

    halted: Callable[[str], None] = lambda reason: None  # "halt", "step", "breakpoint", "watchpoint", "vector catch"
    reset: Callable[[], bool] = lambda: False  # a system reset; whether the core is to stop at its first instruction
    debugging: Callable[[], bool] = lambda: False  # whether BKPT stops the core
    interrupts_masked: Callable[[], bool] = lambda: False
    clocked_in_sleep: Callable[[], bool] = lambda: False  # whether what counts cycles goes on while the core sleeps
    catches: Callable[[int], bool] = lambda number: False  # whether to stop at the handler of that exception
    read: Callable[[int], int | None] = lambda address: None  # a debug register; None: it is none
    write: Callable[[int, int], bool] = lambda address, value: False


@dataclass(frozen=True)
class _Slot:
    """A peripheral, and the RCC register and bit that switch its clock on; register -1: it always runs."""

    peripheral: stm32f4.Peripheral
    register: int = -1
    bit: int = 0


class Devices:
    """All of them. `instructions` and `now`: what the core has executed, and HCLK cycles, both exact at any time."""

    def __init__(
        self,
        exceptions: ex.Exceptions,
        flash: stm32f4.FlashInterface,
        instructions: Callable[[], int],
        now: Callable[[], int],
        uart: Callable[[int, float], None],
    ) -> None:
        self.debug = DebugEvents()
        self.reset_requested = False
        self._exceptions, self._instructions, self._now = exceptions, instructions, now
        self._counting = False
        self._count_base = 0  # CYCCNT is the instructions less this; while it stands, its value
        self.systick = systick.SysTick()
        self.pwr = stm32f4.Pwr()
        self.rcc = rcc = stm32f4.Rcc(self.pwr, lambda: flash.latency)
        self._tim5 = stm32f4.Timer(now, lambda: max(1, rcc.apb1_divider // 2))
        self._tim5_line = False
        self.usart3 = stm32f4.Usart(uart, self._pd8_is_transmitter, lambda: rcc.hclk_hz // rcc.apb1_divider)
        ports = [stm32f4.Registers(_GPIO_AT_RESET.get(port)) for port in range(11)]
        self._port_d = ports[3]
        self._slots = {
            _RCC: _Slot(rcc),
            FLASH_REGISTERS[0]: _Slot(flash),
            0x40007000: _Slot(self.pwr, rcc.APB1ENR, 28),
            _TIM5_BASE: _Slot(self._tim5, rcc.APB1ENR, 3),
            0x40004800: _Slot(self.usart3, rcc.APB1ENR, 18),
            **{0x40020000 + 0x400 * i: _Slot(port, rcc.AHB1ENR, i) for i, port in enumerate(ports)},
        }

    def reset(self) -> None:
        self.reset_requested = False
        self.systick.reset()
        self._tim5_line = False
        for slot in self._slots.values():
            slot.peripheral.reset()

    def _pd8_is_transmitter(self) -> bool:
        """PD8 in mode "alternate function" with AF7, its port clocked."""
        mode, function = self._port_d.read(0x00) >> 16 & 3, self._port_d.read(0x24) & 0xF
        return mode == 2 and function == 7 and self.rcc.enabled(self.rcc.AHB1ENR, 3)

    # ---- accesses

    def read(self, address: int, ipsr: Callable[[], int]) -> int:
        """The word at `address`. `ipsr`: tells the exception whose handler runs."""
        if address >= PRIVATE:
            return self._read_private(address, ipsr)
        slot = self._slots.get(address & ~0x3FF)
        return slot.peripheral.read(address & 0x3FF) if slot and self._clocked(slot) else 0

    def store(self, address: int, value: int, size: int, ipsr: Callable[[], int]) -> None:
        """Store `size` bytes; the rest of the word stays as it is, or 0 where a 1 is an order."""
        word = address & ~3
        if size < 4:
            shift = 8 * (address & 3)
            mask = ((1 << 8 * size) - 1) << shift
            value = value << shift & mask | (0 if _orders(word) else self.read(word, ipsr) & ~mask)
        if word >= PRIVATE:
            self._write_private(word, value)
            return
        slot = self._slots.get(word & ~0x3FF)
        if slot and self._clocked(slot):
            slot.peripheral.write(word & 0x3FF, value)

    @staticmethod
    def may_change_course(address: int) -> bool:
        """Whether a store there can raise or unmask an interrupt, set a timer, or change rights."""
        return address >= PRIVATE or address & ~0x3FF in (_TIM5_BASE, _RCC)

    def _clocked(self, slot: _Slot) -> bool:
        return slot.register < 0 or self.rcc.enabled(slot.register, slot.bit)

    def _read_private(self, address: int, ipsr: Callable[[], int]) -> int:
        if address == DWT_CYCCNT:
            return self.cycle_count
        if (value := self.debug.read(address)) is not None:
            return value
        if systick.CONTROL <= address <= systick.CALIBRATION:
            return self.systick.read(address, self._now())
        self.update()
        return self._exceptions.read(address, ipsr())

    def _write_private(self, address: int, value: int) -> None:
        if address == DWT_CYCCNT:
            self._count_base = self._instructions() - value if self._counting else value
        elif address == AIRCR and value >> 16 == _VECTOR_KEY and value & _RESET_REQUEST:
            self.reset_requested = True
        elif self.debug.write(address, value):
            return
        elif systick.CONTROL <= address <= systick.CALIBRATION:
            self.update()
            self.systick.write(address, value, self._now())
        else:
            self._exceptions.write(address, value)

    # ---- time

    @property
    def cycle_count(self) -> int:
        """DWT_CYCCNT: the instructions executed while it was on, and what a sleep added."""
        return (self._instructions() - self._count_base if self._counting else self._count_base) & 0xFFFFFFFF

    def switch_cycle_count(self, on: bool) -> None:
        if on != self._counting:
            value = self.cycle_count
            self._counting = on
            self._count_base = self._instructions() - value if on else value

    def slept(self, cycles: int) -> None:
        """The core skipped these HCLK cycles: CYCCNT counts them where DBG_SLEEP keeps its clock on (RM0090, "Debug
        support for low-power modes").
        """
        if self._counting and self.debug.clocked_in_sleep():
            self._count_base -= cycles

    def update(self) -> None:
        """Let the timers count up to now and raise their interrupts."""
        self.systick.advance(self._now())
        if self.systick.fired:
            self.systick.fired = False
            self._exceptions.pend(ex.SYS_TICK)
        if self.rcc.enabled(self.rcc.APB1ENR, 3):
            self._tim5.advance()
            before, self._tim5_line = self._tim5_line, self._tim5.interrupt
            if self._tim5_line and not before:
                self._exceptions.pend(_TIM5)

    def handler_left(self, number: int | None) -> None:
        """A request that is still up when its handler ends counts as a new one."""
        if number == _TIM5:
            self._tim5_line = False

    def next_event(self) -> int | None:
        """When the next timer's interrupt comes, in HCLK cycles; None: never."""
        tim5 = self._tim5.next_event() if self.rcc.enabled(self.rcc.APB1ENR, 3) else None
        return min((time for time in (self.systick.next_event(), tim5) if time is not None), default=None)


def _orders(word: int) -> bool:
    """Registers in which a written 1 is an order, and a 0 is none."""
    return 0xE000E100 <= word < 0xE000E300 or word in (0xE000ED04, 0xE000ED28, 0xE000ED2C, 0xE000ED30)
