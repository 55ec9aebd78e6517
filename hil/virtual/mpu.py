"""The memory protection unit of the Cortex-M4 (PMSAv7, eight regions), as seen by privileged code.

Arm DDI 0403E, B3.5. Regions and subregions below 1 KB are left out: the emulator protects pages of that size.
"""

from __future__ import annotations

from dataclasses import dataclass

REGIONS = 8
REGISTERS = range(0xE000ED90, 0xE000EDBC)
PAGE_BYTES = 1024
TYPE = REGIONS << 8
_ENABLE, _IN_FAULTS, _DEFAULT_MAP = 1, 2, 4
_READABLE_BY_PRIVILEGED = (1, 2, 3, 5, 6, 7)
_WRITABLE_BY_PRIVILEGED = (1, 2, 3)


@dataclass(frozen=True)
class Access:
    """What privileged code may do at an address."""

    read: bool
    write: bool
    execute: bool


def default_access(address: int) -> Access:
    """The core's own memory map: peripherals, the upper external half and the system region do not execute."""
    block = address >> 28
    return Access(True, True, not (block in (4, 5) or block >= 0xA))


class Mpu:
    """Its registers, and what they allow."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.control = 0
        self.number = 0
        self.base = [0] * REGIONS
        self.attributes = [0] * REGIONS

    def active(self, priority: int) -> bool:
        """Whether it checks accesses at this execution priority: handlers at -1 and -2 may be left out."""
        return bool(self.control & _ENABLE) and (priority >= 0 or bool(self.control & _IN_FAULTS))

    def read(self, address: int) -> int:
        offset = address - REGISTERS.start
        if offset == 0:
            return TYPE
        if offset == 4:
            return self.control
        if offset == 8:
            return self.number
        # RBAR and RASR, and three aliases of the pair
        return self.base[self.number] | self.number if offset % 8 == 4 else self.attributes[self.number]

    def write(self, address: int, value: int) -> None:
        offset = address - REGISTERS.start
        if offset == 4:
            self.control = value & 7
        elif offset == 8:
            self.number = value % REGIONS
        elif offset >= 12 and offset % 8 == 4:
            if value & 0x10:
                self.number = value % REGIONS
            self.base[self.number] = value & ~0x1F
        elif offset >= 16:
            self.attributes[self.number] = value & 0xFFFFFFFF

    def edges(self) -> set[int]:
        """The addresses at which what is allowed can change."""
        found: set[int] = set()
        for base, attributes in zip(self.base, self.attributes, strict=True):
            size = _size(attributes)
            if attributes & 1 and size >= PAGE_BYTES:
                step = max(size // 8, PAGE_BYTES)
                start = base & ~(size - 1)
                found.update(range(start, start + size + 1, step))
        return found

    def access(self, address: int) -> Access:
        """What the regions allow at `address`, while the unit is active."""
        for base, attributes in reversed(list(zip(self.base, self.attributes, strict=True))):
            size = _size(attributes)
            if not attributes & 1 or size < PAGE_BYTES or (address ^ base) & ~(size - 1) & 0xFFFFFFFF:
                continue
            if size >= 256 and attributes >> (8 + (address & (size - 1)) * 8 // size) & 1:
                continue
            permission = attributes >> 24 & 7
            readable = permission in _READABLE_BY_PRIVILEGED
            return Access(readable, permission in _WRITABLE_BY_PRIVILEGED, readable and not attributes >> 28 & 1)
        return default_access(address) if self.control & _DEFAULT_MAP else Access(False, False, False)


def _size(attributes: int) -> int:
    return int(2 << (attributes >> 1 & 0x1F))
