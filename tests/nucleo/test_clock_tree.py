"""The rate of the core, from clock trees that ST's reference manual gives."""

from __future__ import annotations

import pytest

from hil.bench.clock_tree import core_hz

PLL, CONFIG = 0x40023804, 0x40023808
FROM_HSE = 1 << 22


@pytest.mark.parametrize(
    ("pll", "config", "hz"),
    [
        (0x24003010, 0x0, 16_000_000),  # as after a reset: HSI
        (0x24003010, 0x5, 8_000_000),  # HSE
        (FROM_HSE | 4 | 180 << 6 | 0 << 16, 0xA, 180_000_000),  # 8 / 4 * 180 / 2
        (FROM_HSE | 8 | 336 << 6 | 0 << 16, 0xA, 168_000_000),
        (FROM_HSE | 8 | 336 << 6 | 1 << 16, 0xA, 84_000_000),
        (16 | 192 << 6 | 0 << 16, 0xA, 96_000_000),  # from the HSI
        (FROM_HSE | 4 | 180 << 6, 0xA | 0x8 << 4, 90_000_000),
        (FROM_HSE | 4 | 180 << 6, 0xA | 0xC << 4, 180_000_000 // 64),
        (FROM_HSE | 4 | 180 << 6, 0xA | 0xF << 4, 180_000_000 // 512),
        (0, 0xA, 0),
        (0x24003010, 0xF, 0),
    ],
)
def test_the_core_runs_at(pll: int, config: int, hz: int) -> None:
    registers = {PLL: pll, CONFIG: config}
    assert core_hz("stm32f4", registers.__getitem__, 8_000_000) == hz
