"""Knows at what rate a chip's core runs, from the registers of its clock tree."""

from __future__ import annotations

from collections.abc import Callable

Read = Callable[[int], int]  # a 32-bit register of the running target

_RCC = 0x4002_3800
_PLLCFGR, _CFGR = 0x04, 0x08
_HSI_HZ = 16_000_000
_SOURCES = ("HSI", "HSE", "PLL")  # by the value of SWS


def _stm32f4(read: Read, hse_hz: int) -> int:
    """HCLK of an STM32F4 in Hz. Source: ST RM0090, "RCC clock control register" and the two behind it."""
    pll, config = read(_RCC + _PLLCFGR), read(_RCC + _CFGR)
    source = config >> 2 & 3
    if source >= len(_SOURCES):
        return 0
    m, n, p = pll & 0x3F, pll >> 6 & 0x1FF, 2 * (pll >> 16 & 3) + 2
    pll_input = hse_hz if pll >> 22 & 1 else _HSI_HZ
    hz = (_HSI_HZ, hse_hz, pll_input * n // (m * p) if m else 0)[source]
    hpre = config >> 4 & 0xF  # 0xxx: not divided
    return hz if hpre < 8 else hz // (2, 4, 8, 16, 64, 128, 256, 512)[hpre - 8]


CLOCK_TREES: dict[str, Callable[[Read, int], int]] = {"stm32f4": _stm32f4}


def core_hz(family: str, read: Read, hse_hz: int) -> int:
    """Rate of the core in Hz; 0 for a setting that there is not. family: of CLOCK_TREES; hse_hz: of the oscillator on
    the board.
    """
    return CLOCK_TREES[family](read, hse_hz)
