"""The count of instructions inside Unicorn: found by measurement, or refused."""

from __future__ import annotations

import ctypes

import pytest
from unicorn import arm_const as arm

from hil.errors import BoardError
from hil.virtual.emulator import Emulator

BASE = 0x10000
NOP = b"\x00\xbf"


@pytest.mark.parametrize("limit", [1, 2, 3, 100, 60_000])
def test_a_run_ends_at_its_limit_exactly(limit: int) -> None:
    emulator = Emulator()
    emulator.uc.mem_map(BASE, 0x40000)
    emulator.uc.mem_write(BASE, NOP * 0x10000)
    emulator.uc.reg_write(arm.UC_ARM_REG_PC, BASE | 1)
    assert emulator.run(limit) is None
    assert emulator.uc.reg_read(arm.UC_ARM_REG_PC) == BASE + 2 * limit
    assert (emulator.begun - 1, emulator.ran_to_limit) == (limit, True)


def test_a_unicorn_without_the_counter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "string_at", lambda address, size: bytes(size))
    with pytest.raises(BoardError, match=r"instruction counter of Unicorn .*\(0 places"):
        Emulator()
