"""Knows how an image gets into the flash of a microcontroller: whether it fits, what differs, which sectors to write.

Works on plain addresses and bytes; how flash is read and written is the caller's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hil.errors import UsageError
from hil.image.elf import Image

Read = Callable[[int, int], bytes]  # address, size
SectorOf = Callable[[int], tuple[int, int]]  # address -> start and size of its sector

ARM = "arm"  # of `Image.machine`


@dataclass(frozen=True)
class Range:
    """Addresses from `start` up to, not including, `end`."""

    start: int
    end: int

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end

    def __str__(self) -> str:
        return f"{self.start:#010x}-{self.end - 1:#010x}"


@dataclass(frozen=True)
class Piece:
    """Bytes that belong at an address."""

    address: int
    data: bytes

    @property
    def range(self) -> Range:
        return Range(self.address, self.address + len(self.data))


@dataclass(frozen=True)
class Layout:
    """Memory of a target. boot: where the core finds its vector table after a reset."""

    flash: tuple[Range, ...]
    ram: tuple[Range, ...]
    boot: int


def joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same addresses in as few ranges as possible."""
    whole: list[Range] = []
    for part in sorted(ranges, key=lambda part: part.start):
        if whole and part.start <= whole[-1].end:
            whole[-1] = Range(whole[-1].start, max(whole[-1].end, part.end))
        else:
            whole.append(part)
    return tuple(whole)


# ---- before anything is written


def check_firmware(image: Image, own_model: bool = False, machine: str = ARM) -> None:
    """Raise UsageError unless the image is whole firmware for a core of kind `machine`, with the test agent in it, of
    which no two parts claim the same addresses. Needs no knowledge of the board's memory. own_model: nothing is put
    beside it.
    """
    check_machine(image, machine)
    image.require_agent(own_model)
    _check_overlaps(image, None if own_model else bundle_room(image))


def bundle_room(image: Image) -> Range:
    """Where the image looks for its bundle. Raises UsageError when it does not say so."""
    start = image.symbol("__hil_bundle_start")
    return Range(start, start + image.symbol("__hil_bundle_bytes"))


def check_machine(image: Image, machine: str = ARM) -> None:
    """Raise UsageError unless the image is linked for a 32-bit, little-endian core of kind `machine`."""
    image.require_machine(machine)
    fix = "  fix: give the image of this board's target"
    if not image.is_32_bit:
        raise UsageError(f"{image.path}: a 64-bit image\n{fix}")
    if not image.little_endian:
        raise UsageError(f"{image.path}: a big-endian image; this board's core is little-endian\n{fix}")
    if not image.linked:
        raise UsageError(
            f"{image.path}: is not linked to fixed addresses\n"
            f"  fix: give the linker's .elf output, no object file, library or position-independent program"
        )


def _check_overlaps(image: Image, room: Range | None) -> None:
    """By load address. Where bundles do not lie in flash, their room is apart from all that is loaded anyway."""
    end, last = 0, Range(0, 0)
    for part in (piece.range for piece in contents(image)):
        if part.start < end:
            raise UsageError(
                f"{image.path}: the parts at {last} and {part} overlap\n"
                f"  fix: give each section a load address of its own in the linker script"
            )
        if room is not None and part.start < room.end and room.start < part.end:
            raise UsageError(
                f"{image.path}: {part} lies in the room for the bundle, {room}\n"
                f"  fix: set __hil_bundle_start and __hil_bundle_bytes of the linker script to memory that is free"
            )
        end, last = part.end, part


def check_placement(image: Image, layout: Layout) -> None:
    """Raise UsageError unless all of the image lies in flash and the core can start it from there.

    A flash programmer writes what it is given and leaves the rest as it was: the firmware of before would run on.
    """
    pieces = contents(image)
    if not pieces:
        raise UsageError(f"{image.path}: has nothing to load\n  fix: give the linker's .elf output")
    for piece in pieces:
        if not any(piece.address in part and piece.range.end <= part.end for part in layout.flash):
            raise UsageError(
                f"{image.path}: {len(piece.data):,} bytes at {piece.range} are not in the board's flash "
                f"({', '.join(map(str, layout.flash))})\n"
                f"  fix: link it for this board's target, or leave --hil-image out to have it built"
            )
    if image.machine == ARM:
        _check_vectors(image, pieces, layout)


def check_inside(image: Image, memory: Sequence[Range], whose: str) -> None:
    """Raise UsageError unless all that the image loads, and all that it needs as RAM, lies where there is memory."""
    pieces = contents(image)
    if not pieces:
        raise UsageError(f"{image.path}: has nothing to load\n  fix: give the linker's .elf output")
    places = [(f"{len(piece.data):,} bytes", piece.range) for piece in pieces]
    places += [(f"section {part.name}", Range(part.address, part.address + part.size)) for part in image.sections]
    for what, place in places:
        if not any(place.start in part and place.end <= part.end for part in memory):
            raise UsageError(
                f"{image.path}: {what} at {place}: {whose} has no memory there ({', '.join(map(str, memory))})\n"
                f"  fix: link it for this machine, or name the machine that it is linked for"
            )


def check_start(image: Image, pc: int, sp: int | None, whose: str) -> None:
    """Raise UsageError unless a core that starts with this program counter, and stack pointer where it has one, starts
    in the image. Arm cores take both from the first two words of their vector table (ARMv7-M ARM, B1.5.5).
    """
    fix = f"  fix: link it so that {whose} starts in it: on a Cortex-M with the vector table where the core looks first"
    inside = any(pc in Range(part.address, part.address + part.memory_bytes) for part in image.segments)
    if not inside and not any(pc in piece.range for piece in contents(image)):
        raise UsageError(f"{image.path}: the core starts at {pc:#010x}, where the image holds nothing\n{fix}")
    if sp == 0:
        raise UsageError(f"{image.path}: the core starts with stack pointer 0: there is no vector table\n{fix}")


def _check_vectors(image: Image, pieces: Sequence[Piece], layout: Layout) -> None:
    """The first two words of the vector table: initial stack pointer and reset vector (ARMv7-M ARM, B1.5.5)."""
    fix = "  fix: link it for this board's target, with the vector table first"
    try:
        stack, reset = struct.unpack("<2I", _bytes_at(pieces, layout.boot, 8))
    except ValueError:
        raise UsageError(
            f"{image.path}: no vector table at {layout.boot:#010x}, where the core starts\n{fix}"
        ) from None
    # The stack grows down: the word behind the last one of a RAM is a good start.
    if stack % 4 or not any(part.start < stack <= part.end for part in layout.ram):
        ram = ", ".join(map(str, layout.ram))
        raise UsageError(f"{image.path}: initial stack pointer {stack:#010x} is not in RAM ({ram})\n{fix}")
    if not reset & 1:
        raise UsageError(f"{image.path}: reset vector {reset:#010x} is even: no Thumb code\n{fix}")
    if not any(reset & ~1 in piece.range for piece in pieces):
        raise UsageError(f"{image.path}: reset vector {reset:#010x} points at nothing that the image holds\n{fix}")


def check_apart(image: Image, room: Range, sector_of: SectorOf, flash: Sequence[Range]) -> None:
    """Raise UsageError unless the room for bundles has sectors of its own: writing one must not erase the other."""
    fix = "  fix: put __hil_bundle_start and __hil_bundle_bytes of the linker script on sectors that hold nothing else"
    if not any(room.start in part and room.end <= part.end for part in flash):
        raise UsageError(f"{image.path}: the room for the bundle, {room}, is not in the board's flash\n{fix}")
    first, last = sector_of(room.start), sector_of(room.end - 1)
    taken = Range(first[0], sum(last))
    for piece in contents(image):
        if piece.address < taken.end and taken.start < piece.range.end:
            raise UsageError(f"{image.path}: {piece.range} shares a flash sector with the bundle ({taken})\n{fix}")


def contents(image: Image) -> tuple[Piece, ...]:
    """What the image loads, by load address."""
    return tuple(Piece(address, data) for address, data in image.loads())


def _bytes_at(pieces: Sequence[Piece], address: int, size: int) -> bytes:
    for piece in pieces:
        if piece.address <= address and address + size <= piece.range.end:
            return piece.data[address - piece.address :][:size]
    raise ValueError


# ---- what is to be written


def differing(pieces: Iterable[Piece], read: Read, sector_of: SectorOf) -> list[Piece]:
    """The parts of `pieces` that lie in sectors which hold something else; a sector is written as a whole.

    Several pieces may share a sector, so all of its parts go together.
    """
    by_sector: dict[int, list[Piece]] = {}
    for part in (part for piece in pieces for part in _cut(piece, sector_of)):
        by_sector.setdefault(sector_of(part.address)[0], []).append(part)
    wrong: list[Piece] = []
    for parts in by_sector.values():
        if any(read(part.address, len(part.data)) != part.data for part in parts):
            wrong += parts
    return wrong


def _cut(piece: Piece, sector_of: SectorOf) -> Iterable[Piece]:
    """The piece, cut where sectors begin."""
    address, end = piece.address, piece.range.end
    while address < end:
        stop = min(end, sum(sector_of(address)))
        yield Piece(address, piece.data[address - piece.address : stop - piece.address])
        address = stop


@dataclass(frozen=True)
class Mismatch:
    """The first byte that was read back wrong, and how many there are."""

    address: int
    wrote: int
    found: int
    count: int

    def __str__(self) -> str:
        return (
            f"{self.count:,} bytes differ, the first at {self.address:#010x}: "
            f"wrote {self.wrote:#04x}, read {self.found:#04x}"
        )


def mismatch(pieces: Iterable[Piece], read: Read) -> Mismatch | None:
    """Read everything back; None when it is as it was written."""
    wrong = [
        (piece.address + offset, wrote, found)
        for piece in pieces
        if (back := read(piece.address, len(piece.data))) != piece.data
        for offset, (wrote, found) in enumerate(zip(piece.data, back, strict=True))
        if wrote != found
    ]
    return Mismatch(*wrong[0], len(wrong)) if wrong else None
