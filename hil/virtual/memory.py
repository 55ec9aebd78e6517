"""The memories of the STM32F429, and how the MPU lets the core see them."""

from __future__ import annotations

import ctypes
import mmap
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hil.virtual.emulator import u
from hil.virtual.mpu import Access, Mpu, default_access
from hil.virtual.stm32f4 import FLASH_BASE, FLASH_BYTES

SRAM_BASE, SRAM_BYTES = 0x20000000, 0x30000
CCM_BASE, CCM_BYTES = 0x10000000, 0x10000
ALIAS_BASE = 0x00000000  # the flash, as the core boots from it
ROM_BASE, ROM_BYTES = 0x1FFF7800, 0x800  # one-time programmable area and factory values
_UNIQUE_ID, _FLASH_SIZE = 0x210, 0x222  # offsets in it
_FULL = Access(True, True, True)


class BusError(Exception):
    """No memory or peripheral answers at this address."""

    def __init__(self, address: int) -> None:
        self.address = address
        super().__init__(f"{address:#010x}")


@dataclass(frozen=True)
class Region:
    """A memory: `size` bytes of `view` from `base` on."""

    base: int
    size: int
    view: memoryview
    pointer: int  # address of the bytes in this process
    writable: bool
    executable: bool

    def offset(self, address: int, size: int) -> int | None:
        at = address - self.base
        return at if at >= 0 and at + size <= self.size else None

    @classmethod
    def over(cls, base: int, size: int, view: memoryview, writable: bool = True, executable: bool = True) -> Region:
        if len(view) < size:
            raise ValueError(f"a buffer of {len(view)} bytes for {size} bytes of memory at {base:#x}")
        pointer = ctypes.addressof(ctypes.c_char.from_buffer(view))
        return cls(base, size, view, pointer, writable, executable)


@dataclass(frozen=True)
class _Piece:
    """A part of a memory with the same rights throughout, as the emulator has it."""

    base: int
    size: int
    pointer: int
    rights: int


class MemoryMap:
    """All memories, mapped into one emulator. The buffers may be the caller's: flash of 2 MB, SRAM of 192 KB,
    core-coupled RAM of 64 KB.
    """

    def __init__(
        self,
        uc: Any,
        flash: memoryview | None = None,
        sram: memoryview | None = None,
        ccm: memoryview | None = None,
    ) -> None:
        self._uc = uc
        if flash is None:
            flash = memoryview(mmap.mmap(-1, FLASH_BYTES))
            flash[:] = b"\xff" * FLASH_BYTES
        self.flash = flash.cast("B")
        self.sram = (memoryview(mmap.mmap(-1, SRAM_BYTES)) if sram is None else sram).cast("B")
        self._ccm = (memoryview(mmap.mmap(-1, CCM_BYTES)) if ccm is None else ccm).cast("B")
        self._regions = (
            Region.over(SRAM_BASE, SRAM_BYTES, self.sram),
            Region.over(FLASH_BASE, FLASH_BYTES, self.flash, writable=False),
            Region.over(CCM_BASE, CCM_BYTES, self._ccm, executable=False),
            Region.over(ALIAS_BASE, FLASH_BYTES, self.flash, writable=False),
            Region.over(ROM_BASE, ROM_BYTES, _factory_values(), writable=False),
        )
        self._pieces: list[_Piece] = []
        self._mpu: Mpu | None = None  # None: it lets everything through

    # ---- bytes

    def find(self, address: int, size: int) -> Region | None:
        """The memory that holds all of these bytes."""
        return next((region for region in self._regions if region.offset(address, size) is not None), None)

    def read(self, address: int, size: int) -> bytes | None:
        """None: no memory holds all of them."""
        for region in self._regions:
            if (at := region.offset(address, size)) is not None:
                return bytes(region.view[at : at + size])
        return None

    def words(self, address: int, count: int) -> tuple[int, ...] | None:
        data = self.read(address, 4 * count)
        return None if data is None else struct.unpack(f"<{count}I", data)

    def flash_offset(self, address: int) -> int | None:
        """Where in the flash that address lies, by either of its two places."""
        for base in (FLASH_BASE, ALIAS_BASE):
            if base <= address < base + FLASH_BYTES:
                return address - base
        return None

    def lose_power(self) -> None:
        """RAM forgets."""
        for region in self._regions:
            if region.base in (SRAM_BASE, CCM_BASE):
                region.view[:] = bytes(region.size)

    # ---- rights

    def allowed(self, address: int) -> Access:
        """What the core may do there, were there memory."""
        return default_access(address) if self._mpu is None else self._mpu.access(address)

    def map(self, mpu: Mpu | None) -> None:
        """Let the emulator see the memories as `mpu` allows; None: as without one."""
        self._mpu = mpu
        edges = mpu.edges() if mpu else set()
        wanted = [piece for region in self._regions for piece in self._cut(region, edges)]
        for piece in self._pieces:
            if piece not in wanted:
                self._uc.mem_unmap(piece.base, piece.size)
        for piece in wanted:
            if piece not in self._pieces:
                self._uc.mem_map_ptr(piece.base, piece.size, piece.rights, piece.pointer)
        self._pieces = wanted

    def _cut(self, region: Region, edges: set[int]) -> list[_Piece]:
        end = region.base + region.size
        cuts = [region.base, *sorted(edge for edge in edges if region.base < edge < end), end]
        found: list[_Piece] = []
        for start, stop in pairwise(cuts):
            allowed = self._mpu.access(start) if self._mpu else _FULL
            rights = (
                (u.UC_PROT_READ if allowed.read else 0)
                | (u.UC_PROT_WRITE if allowed.write and region.writable else 0)
                | (u.UC_PROT_EXEC if allowed.execute and region.executable else 0)
            )
            if found and found[-1].rights == rights:
                before = found.pop()
                found.append(_Piece(before.base, before.size + stop - start, before.pointer, rights))
            else:
                found.append(_Piece(start, stop - start, region.pointer + start - region.base, rights))
        return found


def _factory_values() -> memoryview:
    rom = memoryview(mmap.mmap(-1, ROM_BYTES))
    rom[:] = b"\xff" * ROM_BYTES
    rom[_UNIQUE_ID : _UNIQUE_ID + 12] = b"\x37\x00\x2c\x00VIRTUAL "
    rom[_FLASH_SIZE : _FLASH_SIZE + 2] = (FLASH_BYTES // 1024).to_bytes(2, "little")
    return rom
