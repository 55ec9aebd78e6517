"""Clock tree, power, serial port and flash controller against RM0090 (reference manual of the STM32F42x)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hil.virtual.devices import Devices
from hil.virtual.exceptions import Exceptions
from hil.virtual.serial_line import VirtualComPort
from hil.virtual.stm32f4 import FLASH_BASE, FLASH_BYTES, FlashInterface, Rcc, sectors
from tests.virtual.program import Run

Start = Callable[..., Run]
RCC, FLASH, PWR, USART3, GPIOD = 0x40023800, 0x40023C00, 0x40007000, 0x40004800, 0x40020C00
SETTINGS_OF_180_MHZ = {  # PLL from HSE: 8 MHz / 8 * 360 / 2, APB1 / 4, APB2 / 2
    "clock of PWR": (RCC + 0x40, 1 << 28),
    "HSE in bypass": (RCC + 0x00, 0x00050083),
    "PLL settings": (RCC + 0x04, 0x07405A08),
    "PLL on": (RCC + 0x00, 0x01050083),
    "over-drive": (PWR + 0x00, 0x3C000),
    "wait states": (FLASH + 0x00, 5),
    "switch": (RCC + 0x08, 0x00009402),
}
TO_180_MHZ = tuple(SETTINGS_OF_180_MHZ.values())


class Board:
    """The devices without a core."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, float]] = []
        self.flash = memoryview(bytearray(b"\xff" * FLASH_BYTES))
        flash = FlashInterface(self.flash)
        self.devices = Devices(Exceptions(), flash, lambda: 0, lambda: 0, lambda *sent: self.sent.append(sent))

    def write(self, *pairs: tuple[int, int]) -> None:
        for address, value in pairs:
            self.devices.store(address, value, 4, lambda: 0)

    def read(self, address: int) -> int:
        return self.devices.read(address, lambda: 0)


def test_the_core_starts_at_16_mhz_and_follows_the_pll() -> None:
    board = Board()
    assert board.devices.rcc.hclk_hz == 16_000_000
    board.write(*TO_180_MHZ)
    assert board.devices.rcc.hclk_hz == 180_000_000
    assert board.read(RCC + 0x08) & 0xC == 0x8  # SWS: PLL
    assert board.read(RCC + 0x00) & 0x02020002 == 0x02020002  # PLL, HSE and HSI ready


def clock_after(changed: dict[str, tuple[int, int]]) -> Board:
    """A board that went to 180 MHz, but with these writes in place of the ones of those names."""
    board = Board()
    board.write(*(SETTINGS_OF_180_MHZ | changed).values())
    return board


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"wait states": (FLASH, 4)}, "HCLK at 180000000 Hz with 4 wait states"),
        ({"over-drive": (PWR, 0xC000)}, "HCLK at 180000000 Hz, over-drive off"),
        ({"over-drive": (PWR, 0x1C000)}, "HCLK at 180000000 Hz, over-drive off"),
        ({"switch": (RCC + 8, 0x00009002)}, "APB1 at 90000000 Hz"),
        ({"switch": (RCC + 8, 0x00001402)}, "APB2 at 180000000 Hz"),
    ],
    ids=["four wait states", "no over-drive", "over-drive not switched to", "APB1 / 2", "APB2 / 1"],
)
def test_a_clock_outside_its_limits_is_never_switched_to(changed: dict[str, tuple[int, int]], says: str) -> None:
    board = clock_after(changed)
    assert board.read(RCC + 0x00) & 0x02020000 == 0x02020000  # PLL and HSE are ready
    assert board.read(RCC + 0x08) & 0xF == 0x2  # SW: PLL, SWS: HSI
    assert board.devices.rcc.hclk_hz == 16_000_000
    assert board.devices.rcc.refused == says


def test_168_mhz_needs_no_over_drive_and_150_mhz_four_wait_states() -> None:
    slower = clock_after({"PLL settings": (RCC + 4, 0x07405408), "over-drive": (PWR, 0xC000)})  # N = 336
    assert (slower.devices.rcc.hclk_hz, slower.devices.rcc.refused) == (168_000_000, "")
    slower = clock_after({"PLL settings": (RCC + 4, 0x07404B08), "wait states": (FLASH, 4)})  # N = 300
    assert (slower.devices.rcc.hclk_hz, slower.devices.rcc.refused) == (150_000_000, "")


def test_a_divider_that_makes_a_bus_too_fast_takes_the_pll_away() -> None:
    board = clock_after({})
    board.write((RCC + 0x08, 0x00000002))
    assert board.read(RCC + 0x08) & 0xC == 0
    assert board.devices.rcc.refused == "APB1 at 180000000 Hz"


def test_without_a_crystal_hse_is_ready_in_bypass_only() -> None:
    board = Board()
    board.write((RCC, 0x00010083))
    assert not board.read(RCC) & 0x00020000
    board.write((RCC, 0x00050083))  # the bypass cannot be changed while HSE is on
    assert not board.read(RCC) & 0x00060000
    board.write((RCC, 0x00040083), (RCC, 0x00050083))
    assert board.read(RCC) & 0x00060000 == 0x00060000


def test_a_pll_whose_source_is_off_is_not_ready() -> None:
    board = Board()
    board.write(SETTINGS_OF_180_MHZ["PLL settings"], (RCC, 0x01000083))
    assert board.read(RCC) & 0x03000000 == 0x01000000


def test_the_settings_of_a_running_pll_stand() -> None:
    board = clock_after({})
    board.write((RCC + 0x04, 0x07405408))
    assert board.read(RCC + 0x04) == 0x07405A08
    assert board.devices.rcc.hclk_hz == 180_000_000
    board.write((RCC + 0x08, 0x00009400), (RCC, 0x00050083), (RCC + 0x04, 0x07405408))
    assert board.read(RCC + 0x04) == 0x07405408


def test_what_the_core_runs_on_cannot_be_switched_off() -> None:
    board = clock_after({})
    board.write((RCC, 0))  # HSI is not in use: it goes
    assert board.read(RCC) & 0x03030003 == 0x03030000
    board.write((RCC, 1), (RCC + 0x08, 0x00009400), (RCC, 0))
    assert board.read(RCC) & 0x03030003 == 0x00000003


def test_an_oscillator_that_is_off_is_not_ready_and_cannot_be_switched_to() -> None:
    board = Board()
    assert not board.read(RCC + 0x00) & 0x02020000
    board.write((RCC + 0x08, 2))
    assert board.read(RCC + 0x08) & 0xC == 0
    assert board.devices.rcc.hclk_hz == 16_000_000


def test_a_peripheral_without_clock_reads_zero_and_ignores_writes() -> None:
    board = Board()
    board.write((PWR, 0x1C000))
    assert board.read(PWR) == 0
    board.write((RCC + Rcc.APB1ENR, 1 << 28))
    assert board.read(PWR) == 0xC000


def test_over_drive_is_ready_when_asked_for_and_its_switch_needs_it() -> None:
    board = Board()
    board.write((RCC + Rcc.APB1ENR, 1 << 28), (PWR, 0x2C000))
    assert board.read(PWR + 4) == 0x4000
    board.write((PWR, 0x1C000))
    assert board.read(PWR + 4) == 0x14000
    board.write((PWR, 0x3C000))
    assert board.read(PWR + 4) == 0x34000


SERIAL = {
    "clock of the port": (RCC + Rcc.AHB1ENR, 8),
    "pin mode": (GPIOD, 0x000A0000),
    "pin function": (GPIOD + 0x24, 0x77),
    "clock of the USART": (RCC + Rcc.APB1ENR, 1 << 18),
    "rate": (USART3 + 0x08, 391),
    "enable": (USART3 + 0x0C, 0x2008),
}


@pytest.mark.parametrize("missing", [None, *SERIAL])
def test_usart3_sends_only_when_everything_is_set_up(missing: str | None) -> None:
    board = Board()
    board.write(*TO_180_MHZ, *(pair for name, pair in SERIAL.items() if name != missing), (USART3 + 4, ord("x")))
    if missing is None:
        assert board.sent == [(ord("x"), 45_000_000 / 391)]
    else:
        assert board.sent == []


@pytest.mark.parametrize(("ratio", "kept"), [(1.0, True), (1.02, True), (2.0, False), (0.25, False), (16 / 180, False)])
def test_a_receiver_at_another_rate_reads_garbage(ratio: float, kept: bool) -> None:
    import os

    port = VirtualComPort()
    with os.fdopen(os.open(port.path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as host:
        for byte in b"hello, bench":
            port.receive(byte, 115_200 * ratio)
        read = host.read() or b""
    assert (read == b"hello, bench") == kept


class Controller:
    """A flash controller over a chip of its own."""

    def __init__(self, protected: tuple[int, ...] = (), stuck: tuple[int, ...] = ()) -> None:
        self.bytes = memoryview(bytearray(b"\xff" * FLASH_BYTES))
        self.flash = FlashInterface(self.bytes, protected, stuck)

    def unlock(self) -> Controller:
        self.flash.write(0x04, 0x45670123)
        self.flash.write(0x04, 0xCDEF89AB)
        return self

    def control(self, value: int) -> Controller:
        self.flash.write(0x10, value)
        return self

    def program(self, address: int, data: bytes) -> int:
        """Store and return SR."""
        kept = self.flash.program(address, len(data), int.from_bytes(data, "little"))
        self.bytes[address - FLASH_BASE : address - FLASH_BASE + len(data)] = kept.to_bytes(len(data), "little")
        return self.flash.read(0x0C)

    def at(self, address: int, size: int = 4) -> bytes:
        return bytes(self.bytes[address - FLASH_BASE : address - FLASH_BASE + size])


PG_WORD = 0x201


def test_programming_only_clears_bits() -> None:
    chip = Controller().unlock().control(PG_WORD)
    assert chip.program(0x08000000, b"\xf0\xf0\xf0\xf0") == 0
    assert chip.program(0x08000000, b"\x3c\x3c\x3c\x3c") == 0
    assert chip.at(0x08000000) == b"\x30\x30\x30\x30"


def test_the_controller_is_locked_until_both_keys_and_a_wrong_key_locks_it_until_a_reset() -> None:
    chip = Controller().control(PG_WORD)
    assert chip.flash.read(0x10) == 0x80000000
    chip.flash.write(0x04, 0x45670124)
    assert chip.unlock().control(PG_WORD).flash.read(0x10) == 0x80000000
    chip.flash.reset()
    assert chip.unlock().control(PG_WORD).flash.read(0x10) == PG_WORD


@pytest.mark.parametrize(
    ("control", "size", "address", "error"),
    [(0x200, 4, 0x08000000, 1 << 7), (0x001, 4, 0x08000000, 1 << 6), (0x101, 1, 0x08000000, 1 << 6)],
    ids=["sequence", "8 bits set, 32 stored", "16 bits set, 8 stored"],
)
def test_a_wrong_store_sets_its_error_and_changes_nothing(control: int, size: int, address: int, error: int) -> None:
    chip = Controller().unlock().control(control)
    assert chip.program(address, bytes(size)) == error
    assert chip.at(address) == b"\xff" * 4
    chip.flash.write(0x0C, error)
    assert chip.flash.read(0x0C) == 0


def test_the_sectors_are_those_of_the_dual_bank_chip() -> None:
    """RM0090, table 6: 4 x 16 KB, 64 KB, 7 x 128 KB a bank."""
    found = sectors()
    assert len(found) == 24
    assert [found[i] for i in (0, 4, 5, 11)] == [
        (0x08000000, 0x4000),
        (0x08010000, 0x10000),
        (0x08020000, 0x20000),
        (0x080E0000, 0x20000),
    ]
    assert (found[12], found[23]) == ((0x08100000, 0x4000), (0x081E0000, 0x20000))


@pytest.mark.parametrize(("number", "address", "size"), [(0, 0x08000000, 0x4000), (27, 0x081E0000, 0x20000)])
def test_a_sector_erase_clears_that_sector_only(number: int, address: int, size: int) -> None:
    chip = Controller().unlock()
    chip.bytes[:] = bytes(FLASH_BYTES)
    chip.control(0x00010202 | number << 3)
    assert chip.at(address, size) == b"\xff" * size
    assert sum(chip.bytes) == 255 * size


def test_a_sector_number_between_the_banks_is_an_error() -> None:
    assert Controller().unlock().control(0x00010202 | 12 << 3).flash.read(0x0C) == 1 << 7


def test_a_protected_sector_is_neither_erased_nor_programmed() -> None:
    chip = Controller(protected=(12,)).unlock()
    chip.bytes[:] = bytes(FLASH_BYTES)
    assert chip.control(0x00010202 | 16 << 3).flash.read(0x0C) == 1 << 4
    assert not sum(chip.bytes)
    chip.flash.write(0x0C, 1 << 4)
    assert chip.control(PG_WORD).program(0x08100000, b"\0\0\0\0") == 1 << 4
    assert chip.flash.read(0x18) == 0x0FFE0000  # OPTCR1: nWRP12 is 0


def test_a_stuck_bit_stays_one_each_time() -> None:
    chip = Controller(stuck=(0x08000001,)).unlock().control(PG_WORD)
    assert chip.program(0x08000000, b"\x00\xf1\x00\x00") == 0
    assert chip.at(0x08000000) == b"\x00\xf3\x00\x00"
    chip.control(0x00010202).control(PG_WORD)
    chip.program(0x08000000, b"\x00\x00\x00\x00")
    assert chip.at(0x08000000) == b"\x00\x02\x00\x00"


def test_the_core_programs_flash_through_the_controller_only(start: Start) -> None:
    source = """
    store 0x40023C04, 0x45670123
    store 0x40023C04, 0xCDEF89AB
    store 0x40023C10, 0x201
    store 0x08100000, 0x12345678
    store 0x40023C10, 0x200
    store 0x08100004, 0x12345678
    load r0, 0x40023C0C
    ldr r1, [r0]
    put r1
    load r0, 0x08100000
    ldr r1, [r0]
    put r1
    ldr r1, [r0, #4]
    put r1
    finish
"""
    assert start(source).finish().results(3) == [1 << 7, 0x12345678, 0xFFFFFFFF]
