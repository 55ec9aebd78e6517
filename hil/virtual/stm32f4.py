"""Peripherals of the STM32F429 that the firmware and a flash loader use. RM0090 (ST), chapters named at each class.

A peripheral whose clock is off reads 0 and ignores writes. Times are in HCLK cycles, which are executed instructions
plus those slept through.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol

FLASH_BASE = 0x08000000
FLASH_BYTES = 0x200000
_BANK_BYTES = FLASH_BYTES // 2
_BANK_SECTORS = (0x4000,) * 4 + (0x10000,) + (0x20000,) * 7
_HSI_HZ, _HSE_HZ = 16_000_000, 8_000_000
TIM5_IRQ, USART3_IRQ = 50, 39


class Peripheral(Protocol):
    """Registers behind one base address."""

    def reset(self) -> None: ...

    def read(self, offset: int) -> int: ...

    def write(self, offset: int, value: int) -> None: ...


def sectors() -> list[tuple[int, int]]:
    """Address and size of each flash sector, 0 to 23."""
    found = []
    address = FLASH_BASE
    for size in _BANK_SECTORS * 2:
        found.append((address, size))
        address += size
    return found


class Registers:
    """Registers that only remember, such as those of a GPIO port or the DBGMCU."""

    def __init__(self, at_reset: dict[int, int] | None = None) -> None:
        self._at_reset = at_reset or {}
        self.reset()

    def reset(self) -> None:
        self.values = dict(self._at_reset)

    def read(self, offset: int) -> int:
        return self.values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.values[offset] = value


class Pwr(Registers):
    """Power control (chapter 5): the regulator and the over-drive are ready as soon as they are asked for."""

    CR, CSR = 0, 4

    def __init__(self) -> None:
        super().__init__({self.CR: 0xC000})

    @property
    def over_drive(self) -> bool:
        """Whether the over-drive is on and switched to."""
        return self.values[self.CR] >> 16 & 3 == 3

    def read(self, offset: int) -> int:
        if offset != self.CSR:
            return super().read(offset)
        control = self.values[self.CR]
        over_drive = control >> 16 & 1
        return 1 << 14 | over_drive << 16 | (control >> 17 & over_drive) << 17

    def write(self, offset: int, value: int) -> None:
        if offset == self.CR:
            super().write(offset, value)


class Rcc(Registers):
    """Reset and clock control (chapter 6): an oscillator is ready as soon as it is on, the switch follows at once.

    The board has no crystal, so HSE is ready with HSEBYP only. A bit of CR whose clock the core runs on stays set, and
    PLLCFGR stays as it is while PLLON is set. A clock at which the core, its flash or a bus would be too fast is never
    switched to; one in use whose dividers are then set so gives way to HSI. `latency`: wait states of the flash.
    """

    CR, PLLCFGR, CFGR, AHB1ENR, APB1ENR, CSR = 0x00, 0x04, 0x08, 0x30, 0x40, 0x74
    _HSI, _HSE, _HSE_BYPASS, _PLL, _PLLI2S, _PLLSAI = 0, 16, 18, 24, 26, 28
    _READY = (_HSI + 1, _HSE + 1, _PLL + 1)  # bits of CR, by the value of SW
    _PLL_FROM_HSE = 1 << 22

    def __init__(self, pwr: Pwr, latency: Callable[[], int]) -> None:
        self._pwr, self._latency = pwr, latency
        super().__init__({self.CR: 0x83, self.PLLCFGR: 0x24003010, self.AHB1ENR: 0x00100000, self.CSR: 0x0E000000})

    def reset(self) -> None:
        super().reset()
        self.refused = ""  # the limit for which the last switch of clocks did not come about

    def write(self, offset: int, value: int) -> None:
        if offset == self.CR:
            value = self._control(value)
        elif offset == self.PLLCFGR and self.values[self.CR] >> self._PLL & 1:
            return
        elif offset == self.CFGR:
            value = value & ~0xC | self._switched(value) << 2
        elif offset == self.CSR:
            value = self.values[self.CSR] & (0 if value & 1 << 24 else ~0)
        super().write(offset, value)

    def _control(self, value: int) -> int:
        """What CR becomes."""
        before = self.values[self.CR]
        if before >> self._HSE & 1:  # the bypass can be changed only while HSE is off
            value = value & ~(1 << self._HSE_BYPASS) | before & 1 << self._HSE_BYPASS
        source = self.values.get(self.CFGR, 0) >> 2 & 3
        from_hse = bool(self.values[self.PLLCFGR] & self._PLL_FROM_HSE)
        if source == 2:
            value |= 1 << self._PLL
        value |= 1 << (self._HSE if source == 1 or (source == 2 and from_hse) else self._HSI)
        for on in (self._HSI, self._HSE, self._PLL, self._PLLI2S, self._PLLSAI):
            ready = value >> on & 1
            if on == self._HSE:
                ready &= value >> self._HSE_BYPASS
            elif on >= self._PLL:
                ready &= value >> (self._HSE + 1 if from_hse else self._HSI + 1)
            value = value & ~(2 << on) | ready << (on + 1)
        return value

    def _switched(self, config: int) -> int:
        """The clock in use after `config` was written to CFGR: 0 HSI, 1 HSE, 2 PLL."""
        wanted, now = config & 3, self.values.get(self.CFGR, 0) >> 2 & 3
        if wanted == 3 or not self.values[self.CR] >> self._READY[wanted] & 1:
            wanted = now
        self.refused = self._broken_limit(self._core_hz(wanted, config), config)
        if not self.refused:
            return wanted
        return now if now != wanted else 0

    def _broken_limit(self, hclk_hz: int, config: int) -> str:
        """Which limit a clock would break, at 2.7 to 3.6 V (tables "Number of wait states" and of 5.1.4, and CFGR)."""
        if hclk_hz > 30_000_000 * (self._latency() + 1):
            return f"HCLK at {hclk_hz} Hz with {self._latency()} wait states"
        if hclk_hz > (180_000_000 if self._pwr.over_drive else 168_000_000):
            return f"HCLK at {hclk_hz} Hz, over-drive {'on' if self._pwr.over_drive else 'off'}"
        for bus, shift, most in (("APB1", 10, 45_000_000), ("APB2", 13, 90_000_000)):
            if (hz := hclk_hz // _apb_divider(config, shift)) > most:
                return f"{bus} at {hz} Hz"
        return ""

    def enabled(self, register: int, bit: int) -> bool:
        """Whether the clock of a peripheral runs."""
        return bool(self.values.get(register, 0) >> bit & 1)

    @property
    def hclk_hz(self) -> int:
        """Clock of the core."""
        config = self.values.get(self.CFGR, 0)
        return self._core_hz(config >> 2 & 3, config)

    @property
    def apb1_divider(self) -> int:
        """HCLK cycles of one APB1 cycle."""
        return _apb_divider(self.values.get(self.CFGR, 0), 10)

    def _core_hz(self, source: int, config: int) -> int:
        """From clock `source` with the AHB divider of CFGR = `config`."""
        hz = (_HSI_HZ, _HSE_HZ, self._pll_hz())[source]
        divider = config >> 4 & 0xF
        return hz if divider < 8 else hz >> (1, 2, 3, 4, 6, 7, 8, 9)[divider - 8]

    def _pll_hz(self) -> int:
        config = self.values[self.PLLCFGR]
        source = _HSE_HZ if config & self._PLL_FROM_HSE else _HSI_HZ
        m, n, p = config & 0x3F or 1, config >> 6 & 0x1FF, 2 * ((config >> 16 & 3) + 1)
        return source * n // (m * p)


def _apb_divider(config: int, shift: int) -> int:
    """HCLK cycles of one cycle of the bus whose prescaler CFGR holds at bit `shift`."""
    divider = config >> shift & 7
    return 1 if divider < 4 else 2 << (divider - 4)


class FlashInterface:
    """The flash controller (chapter 3) over the bytes of both banks. An erase or a program takes no time.

    `stuck`: byte addresses in which the first bit that is to become 0 stays 1. `programmed` counts words.
    """

    ACR, KEYR, OPTKEYR, SR, CR, OPTCR, OPTCR1 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
    EOP, WRPERR, PGAERR, PGPERR, PGSERR = 1 << 0, 1 << 4, 1 << 5, 1 << 6, 1 << 7
    _PG, _SER, _MER, _MER1, _STRT, _LOCK = 1 << 0, 1 << 1, 1 << 2, 1 << 15, 1 << 16, 1 << 31
    _KEYS = (0x45670123, 0xCDEF89AB)

    def __init__(self, array: memoryview, protected: tuple[int, ...] = (), stuck: tuple[int, ...] = ()) -> None:
        self._array = array
        self._write_allowed = 0xFFFFFF
        for sector in protected:
            self._write_allowed &= ~(1 << sector)
        self._stuck = {address: 0 for address in stuck}  # mask of the bits that stay 1
        self._sectors = sectors()
        self._starts = [start for start, _ in self._sectors]
        self.programmed = 0
        self.erased = False  # since somebody last asked
        self.reset()

    def reset(self) -> None:
        self._acr = 0
        self._sr = 0
        self._cr = self._LOCK
        self._keys = 0
        self._key_refused = False

    @property
    def latency(self) -> int:
        """Wait states of a read."""
        return self._acr & 0xF

    def read(self, offset: int) -> int:
        if offset == self.SR:
            return self._sr
        if offset == self.CR:
            return self._cr
        values = {
            self.ACR: self._acr,
            self.OPTCR: (self._write_allowed & 0xFFF) << 16 | 0xAAED,
            self.OPTCR1: self._write_allowed >> 12 << 16,
        }
        return values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == self.ACR:
            self._acr = value & 0x1F0F
        elif offset == self.KEYR:
            self._unlock(value)
        elif offset == self.SR:
            self._sr &= ~(value & 0xF3)
        elif offset == self.CR and not self._cr & self._LOCK:
            self._cr = value & 0x8300FFFF
            if value & self._LOCK:
                self._keys = 0
            if value & self._STRT:
                self._erase()

    def program(self, address: int, size: int, value: int) -> int:
        """A store of `size` bytes into the array; returns what the array holds there afterwards, not stored yet."""
        at = address - FLASH_BASE
        old = int.from_bytes(self._array[at : at + size], "little")
        if self._cr & (self._LOCK | self._PG) != self._PG:
            self._sr |= self.PGSERR
        elif not self._write_allowed >> self._sector_of(address) & 1:
            self._sr |= self.WRPERR
        elif size != 1 << (self._cr >> 8 & 3):
            self._sr |= self.PGPERR
        elif address % 16 + size > 16:
            self._sr |= self.PGAERR
        else:
            self.programmed += 1
            return old & value if not self._stuck else self._program_worn(address, size, old, value)
        return old

    def _program_worn(self, address: int, size: int, old: int, value: int) -> int:
        for byte in range(size):
            if address + byte in self._stuck:
                if not self._stuck[address + byte]:
                    zeros = (old & ~value) >> 8 * byte & 0xFF
                    self._stuck[address + byte] = zeros & -zeros
                value |= self._stuck[address + byte] << 8 * byte
        return old & value

    def _unlock(self, key: int) -> None:
        if self._key_refused or not self._cr & self._LOCK:
            return
        if key != self._KEYS[self._keys]:
            self._key_refused = True  # until the next reset
        elif self._keys == 1:
            self._cr &= ~self._LOCK
            self._keys = 0
        else:
            self._keys = 1

    def _erase(self) -> None:
        if self._cr & self._PG:
            self._sr |= self.PGSERR
            return
        if self._cr & (self._MER | self._MER1):
            banks = [bank for bank, bit in ((0, self._MER), (1, self._MER1)) if self._cr & bit]
            chosen = [sector for bank in banks for sector in range(12 * bank, 12 * bank + 12)]
        elif self._cr & self._SER:
            number = self._cr >> 3 & 0x1F  # 0-11 and 16-27
            if number & 0xF > 11:
                self._sr |= self.PGSERR
                return
            chosen = [(number >> 4) * 12 + (number & 0xF)]
        else:
            return
        if any(not self._write_allowed >> sector & 1 for sector in chosen):
            self._sr |= self.WRPERR
            return
        for address, size in (self._sectors[sector] for sector in chosen):
            self._array[address - FLASH_BASE : address - FLASH_BASE + size] = b"\xff" * size
        self.erased = True

    def _sector_of(self, address: int) -> int:
        return bisect_right(self._starts, address) - 1


class Usart:
    """A USART as a transmitter (chapter 30): a byte is sent at once, when everything it needs is set up.

    `send(byte, baud)`: the byte on the line and its rate in bits a second.
    """

    SR, DR, BRR, CR1 = 0x00, 0x04, 0x08, 0x0C
    _TXE_TC, _UE_TE = 0xC0, 0x2008

    def __init__(
        self, send: Callable[[int, float], None], pin_ready: Callable[[], bool], hz: Callable[[], int]
    ) -> None:
        self._send, self._pin_ready, self._hz = send, pin_ready, hz
        self.reset()

    def reset(self) -> None:
        self._values: dict[int, int] = {}

    def read(self, offset: int) -> int:
        return self._TXE_TC if offset == self.SR else 0 if offset == self.DR else self._values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == self.DR:
            divider = self._values.get(self.BRR, 0)
            if self._values.get(self.CR1, 0) & self._UE_TE == self._UE_TE and divider and self._pin_ready():
                self._send(value & 0xFF, self._hz() / divider)
        elif offset != self.SR:
            self._values[offset] = value


class Timer:
    """A 32-bit general-purpose timer counting up (chapter 18): prescaler, auto-reload, update interrupt.

    `clock`: HCLK cycles so far. `cycles`: HCLK cycles of one cycle of the timer's own clock.
    """

    CR1, DIER, SR, EGR, CNT, PSC, ARR = 0x00, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C
    _CEN, _UDIS, _URS, _OPM = 1, 2, 4, 8

    def __init__(self, clock: Callable[[], int], cycles: Callable[[], int]) -> None:
        self._clock, self._cycles = clock, cycles
        self.reset()

    def reset(self) -> None:
        self._cr1 = self._dier = self._sr = 0
        self._psc = self._psc_next = 0
        self._arr = 0xFFFFFFFF
        self._count = 0
        self._since = 0  # when the count was `_count`, in HCLK cycles

    def read(self, offset: int) -> int:
        self.advance()
        values = {
            self.CR1: self._cr1,
            self.DIER: self._dier,
            self.SR: self._sr,
            self.CNT: self._count,
            self.PSC: self._psc_next,
            self.ARR: self._arr,
        }
        return values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.advance()
        now = self._clock()
        if offset == self.CR1:
            if not self._cr1 & self._CEN:
                self._since = now
            self._cr1 = value & 0x3FF
        elif offset == self.DIER:
            self._dier = value
        elif offset == self.SR:
            self._sr &= value
        elif offset == self.EGR and value & 1:
            self._count, self._since = 0, now
            self._psc = self._psc_next
            self._sr |= 0 if self._cr1 & (self._URS | self._UDIS) else 1
        elif offset == self.CNT:
            self._count, self._since = value, now
        elif offset == self.PSC:
            self._psc_next = value & 0xFFFF
        elif offset == self.ARR:
            self._arr = value

    @property
    def interrupt(self) -> bool:
        """The level of its line to the NVIC."""
        return bool(self._sr & self._dier & 1)

    def next_event(self) -> int | None:
        """When it will overflow with its interrupt enabled, in HCLK cycles; None: never."""
        if not self._cr1 & self._CEN or not self._dier & 1 or self._cr1 & self._UDIS or not self._arr or self._sr & 1:
            return None
        return self._since + self._to_overflow() * self._tick()

    def advance(self) -> None:
        """Count up to now."""
        now = self._clock()
        if not self._cr1 & self._CEN or not self._arr:
            self._since = now
            return
        ticks = (now - self._since) // self._tick()
        self._since += ticks * self._tick()
        left = self._to_overflow()
        if ticks < left:
            self._count += ticks
            return
        over = ticks - left
        if self._psc != self._psc_next:  # the new prescaler counts from here on
            self._since -= over * self._tick()
            self._psc = self._psc_next
            over = (now - self._since) // self._tick()
            self._since += over * self._tick()
        self._count = over % (self._arr + 1)
        self._sr |= 0 if self._cr1 & self._UDIS else 1
        if self._cr1 & self._OPM:
            self._cr1 &= ~self._CEN
            self._count = 0

    def _tick(self) -> int:
        return (self._psc + 1) * self._cycles()

    def _to_overflow(self) -> int:
        left = self._arr + 1 - self._count
        return left if left > 0 else 0x100000000 - self._count + self._arr + 1
