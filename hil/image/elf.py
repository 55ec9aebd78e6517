"""Knows what a firmware ELF holds: symbols, memory it takes, and the source line of an address.

Header and sections are checked when an `Image` is made; symbols and DWARF are read when first asked for.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from hil.contract.types import ImageFacts
from hil.errors import UsageError
from hil.image.groups import STACK_NUMBERS, STACK_TOPS, Named
from hil.image.lines import demangle, find_line, shorten
from hil.image.sizes import Memories, Placed, Spot, ledger_of, memory_name
from hil.image.symbols import FUNCTION, NO_TYPE, OBJECT, Symbol, symbols_of
from hil.image.tflm import OPTIMISED, UPSTREAM_SYMBOL
from hil.ledger import Ledger

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

# Sections that are a window to the host or the painted stack: reserved, but not static RAM of the product.
RESERVED_SECTIONS = frozenset({".hil_shared", ".hil_bundle", ".hil_stack", ".stack"})
STACK_SECTIONS = (".hil_stack", ".stack")
STACK_SYMBOLS = ("__hil_stack_low", "__hil_stack_top")  # of the painted stack, its guard left out

_SHF_WRITE, _SHF_ALLOC, _SHF_EXECUTE = 1, 2, 4
# ARMv7-M architecture reference manual, B3.1: the code region, SRAM, peripherals, RAM or flash outside of the chip.
_ARM_SRAM, _ARM_PERIPHERALS, _ARM_EXTERNAL = 0x2000_0000, 0x4000_0000, 0x6000_0000
_MACHINES = {"EM_ARM": "arm", "EM_X86_64": "x86_64", "EM_386": "x86", "EM_AARCH64": "aarch64", "EM_RISCV": "riscv"}
# By these the harness finds its link, the last words of a fault, and the room for the bundle.
AGENT_SYMBOLS = ("_SEGGER_RTT", "hil_fault_record", "__hil_bundle_start", "__hil_bundle_bytes")
OWN_KERNELS_SYMBOL = "hil_own_kernels"  # in an image that has the operators of firmware/tflm/kernels


@dataclass(frozen=True)
class Section:
    """One allocated section. `load_address` differs from `address` when start-up code copies it (.data).

    stored: has bytes that are written to the target; False for .bss and NOLOAD. index: in the table of sections.
    """

    name: str
    address: int
    load_address: int
    size: int
    writable: bool
    stored: bool
    code: bool = False
    index: int = 0


@dataclass(frozen=True)
class Segment:
    """One LOAD segment: where its bytes go, and how many there are."""

    address: int
    load_address: int
    file_bytes: int
    memory_bytes: int
    offset: int = 0  # of its bytes in the file


@dataclass(frozen=True)
class _Function:
    address: int
    size: int
    name: str


class Image:
    """The firmware ELF of one target.

    machine: "arm", "x86_64", ... ; expected, when given, is the machine that the board needs.
    Raises UsageError when the file is missing, no ELF, truncated, or for another machine.
    """

    def __init__(self, path: Path, expected: str | None = None) -> None:
        self.path = path
        self._data = _read(path)
        self.sha256 = hashlib.sha256(self._data).hexdigest()
        self._elf = _open(path, self._data)
        self.machine: str = _machine(self._elf)
        self.is_32_bit: bool = self._elf.elfclass == 32
        self.little_endian: bool = self._elf.little_endian
        self.linked: bool = self._elf.header["e_type"] == "ET_EXEC"  # at fixed addresses
        self.entry: int = self._elf.header["e_entry"]
        self.segments = tuple(_segments(self._elf))
        self.sections = tuple(_sections(self._elf, self.segments))
        if expected is not None:
            self.require_machine(expected)

    def require_machine(self, machine: str) -> None:
        """Raise UsageError unless the image is for `machine` ("arm", "x86_64", ...)."""
        if self.machine != machine:
            raise UsageError(
                f"{self.path}: built for {self.machine}, but this board runs {machine} images\n"
                f"  fix: give the image of this board's target, or leave it out to have it built"
            )

    def require_agent(self, own_model: bool = False) -> None:
        """Raise UsageError unless all of AGENT_SYMBOLS are there; of firmware that holds its own model, the link."""
        for name in AGENT_SYMBOLS[:1] if own_model else AGENT_SYMBOLS:
            self.symbol(name)

    def has_symbol(self, name: str) -> bool:
        """Whether the symbol table defines `name`."""
        return name in self._symbols

    def symbol(self, name: str) -> int:
        """Value of a defined symbol: an address, or the number itself for absolute ones. Raises UsageError."""
        try:
            return self._symbols[name]
        except KeyError:
            problem = f"has no symbol {name!r}" if self._symbols else "has no symbol table (it was stripped)"
            raise UsageError(
                f"{self.path}: {problem}\n  fix: give the unstripped ELF of firmware that holds the hil test agent"
            ) from None

    def symbol_bytes(self, name: str) -> int:
        """Size of what a symbol names, 0 when the table tells none. Raises UsageError when it is not defined."""
        self.symbol(name)
        return next(row.size for row in self._rows if row.name == name)

    def loads(self) -> list[tuple[int, bytes]]:
        """Load address and bytes of each LOAD segment that has any, by address."""
        segments = (segment for segment in self._elf.iter_segments() if segment["p_type"] == "PT_LOAD")
        return sorted((segment["p_paddr"], segment.data()) for segment in segments if segment["p_filesz"])

    def stored(self, address: int, size: int) -> bytes | None:
        """The bytes that the file has for an address at run time; None when they do not lie in one section of it."""
        for section in self.sections:
            at = address - section.address
            if section.stored and at >= 0 and at + size <= section.size:
                data: bytes = self._elf.get_section(section.index).data()
                return data[at : at + size]
        return None

    def facts(self, named: Named | None = None, memories: Memories | None = None) -> ImageFacts:
        """What the image takes, in bytes, as `ledger` has it.

        flash: stored sections (code, constants, initial data). ram: sections that lie in RAM (.data, .bss, ...) without
        the stack and without the windows to the host. No symbols of an image for a workstation: they say nothing.
        """
        host = not self.is_32_bit
        ledger = self.ledger(named, memories, by_symbol=not host)
        counted = [section for section in ledger.sections if section.counted]
        return ImageFacts(
            sha256=self.sha256,
            flash_bytes=sum(section.flash for section in counted),
            ram_bytes=sum(section.ram for section in counted),
            stack_bytes=self._stack_bytes(),
            host=host,
            own_kernels=self.has_symbol(OWN_KERNELS_SYMBOL) or self.has_symbol(UPSTREAM_SYMBOL),
            optimised=self._optimised() if self.has_symbol(UPSTREAM_SYMBOL) else None,
            ledger=Ledger() if host else ledger,
        )

    def ledger(self, named: Named | None = None, memories: Memories | None = None, *, by_symbol: bool = True) -> Ledger:
        """What takes which bytes of flash and RAM. named: groups of a user's own, before the usual names (groups.py).
        memories: names of address ranges. Raises UsageError for a damaged symbol table.
        """
        placed = [self._placed(section, memories or {}) for section in self.sections]
        rows = self._rows if by_symbol else []
        mask = ~1 if self.machine == "arm" else ~0
        spots = [
            Spot(row.name, row.file, row.section, row.value & (mask if row.kind == FUNCTION else ~0), row.size, code)
            for row in rows
            if row.size and row.section and row.kind in (FUNCTION, OBJECT, NO_TYPE)
            for code in [row.kind == FUNCTION]
        ]
        return ledger_of(placed, spots, self._symbols if rows else {}, named or {})

    def _placed(self, section: Section, memories: Memories) -> Placed:
        in_ram = self._in_ram(section)
        name = memory_name(section.address, in_ram, self.machine == "arm", memories)
        counted = section.name not in RESERVED_SECTIONS
        place = section.index, section.name, section.address, section.size
        return Placed(*place, section.stored, in_ram, section.code, name, counted)

    def _optimised(self) -> frozenset[str]:
        return frozenset(name.removeprefix(OPTIMISED) for name in self._symbols if name.startswith(OPTIMISED))

    def locate(self, address: int) -> str:
        """`function (file:line)` of a code address; as much of it as the file tells, "?" when it tells nothing.

        The Thumb bit is ignored. A return address points behind its call; pass `lr - 1` to name the call itself.
        """
        address = address & ~1 if self.machine == "arm" else address
        function = self._function(address)
        line = self._line(address)
        if function and line:
            return f"{function} ({line})"
        return function or line or "?"

    def _in_ram(self, section: Section) -> bool:
        if not section.stored:
            return True
        if self.machine != "arm":
            return section.writable
        if section.load_address != section.address or _ARM_SRAM <= section.address < _ARM_PERIPHERALS:
            return True
        return section.address >= _ARM_EXTERNAL and section.writable  # what is only read there is flash that is mapped

    def stack_span(self) -> tuple[int, int] | None:
        """First address of the main stack, and the one behind its last: by symbols of ours, by a section called stack,
        or as linker scripts give them, by a top and a size. None when the ELF does not tell.
        """
        low, top = STACK_SYMBOLS
        if self.has_symbol(low) and self.has_symbol(top):
            return self.symbol(low), self.symbol(top)
        for section in self.sections:
            if section.name in STACK_SECTIONS:
                return section.address, section.address + section.size
        tops = [self.symbol(name) for name in STACK_TOPS if self.has_symbol(name)]
        sizes = [self.symbol(name) for name in STACK_NUMBERS if self.has_symbol(name)]
        return (tops[0] - sizes[0], tops[0]) if tops and sizes and 0 < sizes[0] < tops[0] else None

    def _stack_bytes(self) -> int:
        span = self.stack_span()
        return span[1] - span[0] if span else 0

    @cached_property
    def _rows(self) -> list[Symbol]:
        # What a damaged table makes of the reader is anything from struct.error to a missing attribute.
        try:
            return list(symbols_of(self._elf))
        except Exception as error:
            raise UsageError(f"{self.path}: damaged symbol table ({error})\n  fix: build it again") from error

    @cached_property
    def _symbols(self) -> dict[str, int]:
        return {row.name: row.value for row in self._rows}

    @cached_property
    def _functions(self) -> tuple[list[int], list[_Function]]:
        """Functions by address, and their addresses alone for the search."""
        mask = ~1 if self.machine == "arm" else ~0
        found = sorted(
            (_Function(row.value & mask, row.size, row.name) for row in self._rows if row.kind == FUNCTION),
            key=lambda function: function.address,
        )
        return [function.address for function in found], found

    def _function(self, address: int) -> str:
        addresses, functions = self._functions
        index = bisect_right(addresses, address) - 1
        if index < 0:
            return ""
        function = functions[index]
        inside = address < function.address + max(function.size, 2)  # assembler functions often have no size
        return demangle(function.name) if inside else ""

    def _line(self, address: int) -> str:
        # A file with damaged or unknown debug information still runs; only the line is lost.
        try:
            found = find_line(self._elf, address)
        except Exception:
            return ""
        return f"{shorten(found[0], self.path)}:{found[1]}" if found else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}\n  fix: give the path of a firmware ELF that is there") from error


def _open(path: Path, data: bytes) -> ELFFile:
    """Check that the file is an ELF and whole."""
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError
    from elftools.elf.elffile import ELFFile

    if not data.startswith(b"\x7fELF"):
        raise UsageError(f"{path}: not an ELF file\n  fix: give the linker's .elf output, not a .bin, .hex or .uf2")
    try:
        elf = ELFFile(BytesIO(data))
        end = _end(elf)
    except (ELFError, ConstructError, struct.error, UnicodeDecodeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: damaged ELF file ({error})\n  fix: build it again") from error
    if end > len(data):
        raise UsageError(
            f"{path}: truncated ELF file: {len(data):,} bytes, its headers speak of {end:,}\n"
            f"  fix: build or copy it again"
        )
    return elf


def _end(elf: ELFFile) -> int:
    """The smallest file size that holds all that the headers speak of."""
    header = elf.header
    tables = [
        header["e_shoff"] + header["e_shnum"] * header["e_shentsize"],
        header["e_phoff"] + header["e_phnum"] * header["e_phentsize"],
    ]
    if max(tables) > elf.stream_len:
        return int(max(tables))
    sections = (s["sh_offset"] + s["sh_size"] for s in elf.iter_sections() if s["sh_type"] != "SHT_NOBITS")
    segments = (s["p_offset"] + s["p_filesz"] for s in elf.iter_segments())
    return int(max([*tables, *sections, *segments]))


def _machine(elf: ELFFile) -> str:
    machine = str(elf.header["e_machine"])
    return _MACHINES.get(machine, machine.removeprefix("EM_").lower())


def _segments(elf: ELFFile) -> Iterator[Segment]:
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD":
            names = ("p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_offset")
            yield Segment(*(segment[name] for name in names))


def _sections(elf: ELFFile, segments: tuple[Segment, ...]) -> Iterator[Section]:
    for index, section in enumerate(elf.iter_sections()):
        if not section["sh_flags"] & _SHF_ALLOC or section["sh_size"] == 0:
            continue
        address, at = section["sh_addr"], section["sh_offset"]
        # By its place in the file where it has one: armlink gives the addresses of a whole load region to one segment.
        by_file = [part for part in segments if part.offset <= at < part.offset + part.file_bytes]
        stored = section["sh_type"] != "SHT_NOBITS" and (bool(by_file) or not segments)
        load = address
        if stored and by_file:
            load = by_file[0].load_address + at - by_file[0].offset
        flags = section["sh_flags"]
        yield Section(
            section.name,
            address,
            load,
            section["sh_size"],
            bool(flags & _SHF_WRITE),
            stored,
            bool(flags & _SHF_EXECUTE),
            index,
        )
