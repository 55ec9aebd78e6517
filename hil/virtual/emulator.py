"""Unicorn as a Cortex-M4 that stops exactly where it is told and says how many instructions it executed."""

from __future__ import annotations

import ctypes
from typing import Any

import unicorn
from unicorn import arm_const as arm

from hil.errors import BoardError
from hil.project.places import pip_command

u: Any = unicorn  # its wrappers carry no types

# Numbers of the events that Unicorn reports through its interrupt hook (exceptions of its ARM model).
SVC, PREFETCH_ABORT, DATA_ABORT, BKPT, EXCEPTION_RETURN = 2, 3, 4, 7, 8
_SYSTEM_REGION = 0xE0000000  # from here on nothing can be executed
_EXECUTION_END = 0xFFFFFFFE
_CALIBRATION_BASE = 0x10000


class Emulator:
    """One Unicorn instance and its counter of instructions.

    Unicorn's own stop request repeats a store when it comes from a device access. Its count stop is exact, and so
    `stop_after_this` moves the counter that it compares to the limit instead.
    """

    def __init__(self) -> None:
        self.uc: Any = u.Uc(u.UC_ARCH_ARM, u.UC_MODE_THUMB | u.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        self._counter = ctypes.c_uint64.from_address(self.uc._uch.value + _counter_offset())
        self._limit = 0
        self._moved = 0  # by how much `_counter` was moved ahead in this run

    def run(self, limit: int) -> int | None:
        """Execute `limit` instructions from PC on, or fewer; returns the number of Unicorn's error, None without.

        A block under an IT instruction is never cut: up to four more are executed.
        """
        self._limit, self._moved = limit, 0
        self._counter.value = 0
        start = self.uc.reg_read(arm.UC_ARM_REG_PC)
        if start >= _SYSTEM_REGION:
            return int(u.UC_ERR_FETCH_PROT)
        try:
            self.uc.emu_start(start | 1, _EXECUTION_END, 0, limit)
        except u.UcError as error:
            return int(error.errno)
        return None

    @property
    def begun(self) -> int:
        """Instructions begun in this run, the one in progress included."""
        return int(self._counter.value) - self._moved

    @property
    def ran_to_limit(self) -> bool:
        """After a run: whether the limit, or `stop_after_this`, ended it. `begun` then counts one too many."""
        return bool(self._counter.value > self._limit)

    def stop_after_this(self) -> None:
        """From a hook: end the run before the next instruction."""
        ahead = self._limit - self._counter.value
        if ahead > 0:
            self._counter.value += ahead
            self._moved += ahead


def _counter_offset() -> int:
    """Where in Unicorn's own state the count of instructions lies, found by running programs of known length.

    Raises BoardError when there is not exactly one such place: this Unicorn is built differently.
    """
    uc: Any = u.Uc(u.UC_ARCH_ARM, u.UC_MODE_THUMB | u.UC_MODE_MCLASS)
    uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
    libc = ctypes.CDLL(None)
    libc.malloc_usable_size.argtypes = [ctypes.c_void_p]
    libc.malloc_usable_size.restype = ctypes.c_size_t
    size = libc.malloc_usable_size(uc._uch.value)
    found: list[bytes] = []

    def look(_uc: Any, _offset: int, _size: int, _data: object) -> int:
        found.append(ctypes.string_at(uc._uch.value, size))
        return 0

    nop, load = b"\x00\xbf", b"\x08\x68"  # ldr r0, [r1]
    before = (5, 12, 40, 41)  # no-operations ahead of each load
    code = b"".join(nop * count + load for count in before) + nop * 4
    uc.mem_map(_CALIBRATION_BASE, 0x1000)
    uc.mmio_map(2 * _CALIBRATION_BASE, 0x1000, look, None, None, None)
    uc.mem_write(_CALIBRATION_BASE, code)
    uc.reg_write(arm.UC_ARM_REG_R1, 2 * _CALIBRATION_BASE)
    uc.emu_start(_CALIBRATION_BASE | 1, _EXECUTION_END, 0, sum(before) + len(before) + 2)
    expected = [sum(before[: i + 1]) + i + 1 for i in range(len(before))]
    places = [
        offset
        for offset in range(0, size - 7, 4)
        if [int.from_bytes(state[offset : offset + 8], "little") for state in found] == expected
    ]
    if len(places) != 1:
        raise BoardError(
            f"start: the instruction counter of Unicorn {u.__version__} was not found ({len(places)} places fit)"
            f"\n  next: {pip_command('virtual')}"
        )
    return places[0]
