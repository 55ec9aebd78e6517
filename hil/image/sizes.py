"""Knows how to take an image apart into what it takes of flash and RAM: by memory, section, symbol and purpose.

A byte counts once, whatever names it has: of symbols that overlap the one that begins first has it, then the longer. Of
sections that share addresses (overlays) RAM counts once and flash for each. What no symbol covers stands under its
section, so that the symbols of a section add up to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hil.image.groups import (
    DATA_ENDS,
    HEAP_AND_STACK,
    HEAP_NUMBERS,
    STACK_NUMBERS,
    STACK_TOPS,
    Named,
    group_of,
)
from hil.ledger import Ledger, SectionSize, Sized

Memories = Mapping[str, tuple[int, int]]  # name to first address and size in bytes, as the board file has them

_BLOCK = 0x100_0000  # chips have their memories at multiples of it
_CODE_REGION_RAM, _SRAM, _EXTERNAL = 0x1000_0000, 0x2000_0000, 0x6000_0000


@dataclass(frozen=True)
class Placed:
    """One allocated section, and where it counts. counted: as in SectionSize."""

    index: int
    name: str
    address: int
    size: int
    flash: bool
    ram: bool
    code: bool
    memory: str
    counted: bool


@dataclass(frozen=True)
class Spot:
    """One symbol of the table that lies in a section. file: of a local one."""

    name: str
    file: str
    section: int
    address: int
    size: int
    code: bool


def ledger_of(placed: list[Placed], spots: list[Spot], numbers: dict[str, int], named: Named) -> Ledger:
    """numbers: values of the symbols that linker scripts define. spots: empty of a stripped image."""
    sections, symbols = [], list[Sized]()
    by_section: dict[int, list[Spot]] = {}
    for spot in spots:
        by_section.setdefault(spot.section, []).append(spot)
    ram_end = 0
    for section in sorted(placed, key=lambda each: (each.address, each.index)):
        ram = 0
        if section.ram:
            ram = max(0, section.address + section.size - max(section.address, ram_end))
            ram_end = max(ram_end, section.address + section.size)
        flash = section.size if section.flash else 0
        size = SectionSize(section.name, section.address, section.memory, flash, ram, section.counted)
        sections.append(size)
        own = _parts(section, by_section.get(section.index, []), numbers, named)
        symbols += _without_overlay(list(own), section.size - ram if section.ram else 0)
    # A file without symbols of its own in any section was stripped, or never had a table.
    return Ledger(tuple(sections), tuple(symbols), not spots, _uncovered(placed, numbers))


def memory_name(address: int, ram: bool, arm: bool, memories: Memories) -> str:
    """What to call the memory at an address: as the user does, else by the memory map of Cortex-M, in which
    core-coupled RAM lies in the code region. Flash is called flash.
    """
    for name, (start, size) in memories.items():
        if start <= address < start + size:
            return name
    if not ram:
        return "external flash" if arm and address >= _EXTERNAL else "flash"
    if not arm:
        return "RAM"
    if address < _SRAM:
        return "CCM" if address >= _CODE_REGION_RAM else "ITCM"
    return f"RAM {address // _BLOCK * _BLOCK:#x}"


def _parts(section: Placed, spots: list[Spot], numbers: dict[str, int], named: Named) -> Iterator[Sized]:
    """What the section holds, every byte once."""
    end, at, bare = section.address + section.size, section.address, 0

    def sized(name: str, file: str, size: int, code: bool, group: str = "") -> Sized:
        own = group or group_of(name, file, section.name, size, is_code=code, in_ram=section.ram, named=named)
        return Sized(name, file, section.name, own, size if section.flash else 0, size if section.ram else 0)

    for spot in sorted(spots, key=lambda each: (each.address, -each.size, each.name)):
        start, stop = max(spot.address, at), min(spot.address + spot.size, end)
        if stop <= start:
            continue
        bare += start - at
        yield sized(spot.name, spot.file, stop - start, spot.code)
        at = stop
    bare += end - at
    if bare and HEAP_AND_STACK.match(section.name):
        for group, names in (("stack", STACK_NUMBERS), ("heap", HEAP_NUMBERS)):
            number = next((name for name in names if numbers.get(name)), "")
            share = min(bare, numbers.get(number, 0))
            if share:
                bare -= share
                yield sized(number, "", share, False, group)
    if bare:
        yield sized("", "", bare, section.code)


def _without_overlay(parts: list[Sized], shared: int) -> list[Sized]:
    """`parts` without the RAM that another section has counted already: the first bytes of this one."""
    if not shared:
        return parts
    left, found = shared, []
    for each in parts:
        less = min(left, each.ram)
        left -= less
        found.append(Sized(each.name, each.file, each.section, each.group, each.flash, each.ram - less))
    return found


def _uncovered(placed: list[Placed], numbers: dict[str, int]) -> int:
    """Bytes between the last RAM section below the top of the stack and that top."""
    top = next((numbers[name] for name in STACK_TOPS if name in numbers), 0)
    end = next((numbers[name] for name in DATA_ENDS if name in numbers), 0)
    ends = [each.address + each.size for each in placed if each.ram and top - _BLOCK <= each.address < top]
    if not ends or end > top:
        return 0
    return max(0, top - max([*ends, end]))
