"""Knows what a firmware ELF holds: symbols, memory it takes, and the source line of an address.

Header and sections are checked when an `Image` is made; symbols and DWARF are read when first asked for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.contract.types import ImageFacts
from hil.errors import UsageError
from hil.image.tflm import OPTIMISED, UPSTREAM_SYMBOL

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

# Sections that are a window to the host or the painted stack: reserved, but not static RAM of the product.
RESERVED_SECTIONS = frozenset({".hil_shared", ".hil_bundle", ".hil_stack", ".stack"})
STACK_SECTIONS = (".hil_stack", ".stack")
STACK_SYMBOLS = ("__hil_stack_low", "__hil_stack_top")  # of the painted stack, its guard left out

_SHF_WRITE, _SHF_ALLOC = 1, 2
_ARM_SRAM_START = 0x2000_0000  # ARMv7-M architecture reference manual, B3.1: below it lies the code region
_MACHINES = {"EM_ARM": "arm", "EM_X86_64": "x86_64", "EM_386": "x86", "EM_AARCH64": "aarch64", "EM_RISCV": "riscv"}
_STT_FUNC = 2
# By these the harness finds its link, the last words of a fault, and the room for the bundle.
AGENT_SYMBOLS = ("_SEGGER_RTT", "hil_fault_record", "__hil_bundle_start", "__hil_bundle_bytes")
OWN_KERNELS_SYMBOL = "hil_own_kernels"  # in an image that has the operators of firmware/tflm/kernels


@dataclass(frozen=True)
class Section:
    """One allocated section. `load_address` differs from `address` when start-up code copies it (.data)."""

    name: str
    address: int
    load_address: int
    size: int
    writable: bool
    stored: bool  # has bytes in the file; False for .bss and NOLOAD


@dataclass(frozen=True)
class Segment:
    """One LOAD segment: where its bytes go, and how many there are."""

    address: int
    load_address: int
    file_bytes: int
    memory_bytes: int


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
        return next(size for found, _, size, _ in self._rows if found == name)

    def loads(self) -> list[tuple[int, bytes]]:
        """Load address and bytes of each LOAD segment that has any, by address."""
        segments = (segment for segment in self._elf.iter_segments() if segment["p_type"] == "PT_LOAD")
        return sorted((segment["p_paddr"], segment.data()) for segment in segments if segment["p_filesz"])

    def facts(self) -> ImageFacts:
        """What the image takes, in bytes, from its section headers.

        flash: stored sections (code, constants, initial data). ram: sections that lie in RAM (.data, .bss, ...) without
        the stack and without the windows to the host.
        """
        counted = [section for section in self.sections if section.name not in RESERVED_SECTIONS]
        return ImageFacts(
            sha256=self.sha256,
            flash_bytes=sum(section.size for section in counted if section.stored),
            ram_bytes=sum(section.size for section in counted if self._in_ram(section)),
            stack_bytes=self._stack_bytes(),
            host=not self.is_32_bit,
            own_kernels=self.has_symbol(OWN_KERNELS_SYMBOL) or self.has_symbol(UPSTREAM_SYMBOL),
            optimised=self._optimised() if self.has_symbol(UPSTREAM_SYMBOL) else None,
        )

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
        if self.machine == "arm":
            return section.load_address != section.address or section.address >= _ARM_SRAM_START
        return section.writable

    def _stack_bytes(self) -> int:
        low, top = STACK_SYMBOLS
        if self.has_symbol(low) and self.has_symbol(top):
            return self.symbol(top) - self.symbol(low)
        return sum(section.size for section in self.sections if section.name in STACK_SECTIONS)

    @cached_property
    def _rows(self) -> list[tuple[str, int, int, int]]:
        # What a damaged table makes of the reader is anything from struct.error to a missing attribute.
        try:
            return list(_symbol_rows(self._elf))
        except Exception as error:
            raise UsageError(f"{self.path}: damaged symbol table ({error})\n  fix: build it again") from error

    @cached_property
    def _symbols(self) -> dict[str, int]:
        return {name: value for name, value, _, _ in self._rows}

    @cached_property
    def _functions(self) -> tuple[list[int], list[_Function]]:
        """Functions by address, and their addresses alone for the search."""
        mask = ~1 if self.machine == "arm" else ~0
        found = sorted(
            (_Function(value & mask, size, name) for name, value, size, kind in self._rows if kind == _STT_FUNC),
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
        return _demangle(function.name) if inside else ""

    def _line(self, address: int) -> str:
        # A file with damaged or unknown debug information still runs; only the line is lost.
        try:
            found = _find_line(self._elf, address)
        except Exception:
            return ""
        return f"{_shorten(found[0], self.path)}:{found[1]}" if found else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}\n  fix: give the path of a firmware ELF, or leave it out to have it built"
        ) from error


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
            yield Segment(segment["p_vaddr"], segment["p_paddr"], segment["p_filesz"], segment["p_memsz"])


def _sections(elf: ELFFile, segments: tuple[Segment, ...]) -> Iterator[Section]:
    for section in elf.iter_sections():
        if not section["sh_flags"] & _SHF_ALLOC or section["sh_size"] == 0:
            continue
        address = section["sh_addr"]
        stored = section["sh_type"] != "SHT_NOBITS"
        inside = (part for part in segments if part.address <= address < part.address + part.memory_bytes)
        load = next((part.load_address + address - part.address for part in inside), address)
        writable = bool(section["sh_flags"] & _SHF_WRITE)
        yield Section(section.name, address, load, section["sh_size"], writable, stored)


def _symbol_rows(elf: ELFFile) -> Iterator[tuple[str, int, int, int]]:
    """Name, value, size and type of each defined, named symbol. Unpacked here: pyelftools takes 20 times as long."""
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return
    names = elf.get_section(table["sh_link"]).data()
    order = "<" if elf.little_endian else ">"
    wide = elf.elfclass == 64
    for row in struct.iter_unpack(order + ("IBBHQQ" if wide else "IIIBBH"), table.data()):
        name, info, section, value, size = (
            (row[0], row[1], row[3], row[4], row[5]) if wide else (row[0], row[3], row[5], row[1], row[2])
        )
        if section != 0 and name != 0:
            yield names[name : names.index(0, name)].decode("utf-8", "replace"), value, size, info & 15


def _find_line(elf: ELFFile, address: int) -> tuple[str, int] | None:
    """File and line of an address, from the DWARF line programs."""
    if not elf.has_dwarf_info():
        return None
    dwarf: Any = elf.get_dwarf_info()
    aranges = dwarf.get_aranges()
    if aranges is None:
        units = dwarf.iter_CUs()
    else:
        # An address that the index lacks is code without debug information; going through all units takes seconds.
        offset = aranges.cu_offset_at_addr(address)
        units = [] if offset is None else [dwarf.get_CU_at(offset)]
    return next((found for unit in units if (found := _find_in_unit(dwarf, unit, address))), None)


def _find_in_unit(dwarf: Any, unit: Any, address: int) -> tuple[str, int] | None:
    program = dwarf.line_program_for_CU(unit)
    if program is None:
        return None
    before = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if before is not None and before.address <= address < state.address:
            return _file_name(program, unit, before.file), before.line
        before = None if state.end_sequence else state
    return None


def _file_name(program: Any, unit: Any, index: int) -> str:
    """The file's path as the compiler wrote it, made whole with its folders. DWARF 5 counts from 0, older from 1."""
    header = program.header
    first = 0 if header["version"] >= 5 else 1
    entry = header["file_entry"][index - first]
    if entry.dir_index < first:
        return _text(entry.name)
    path = Path(_text(header["include_directory"][entry.dir_index - first]), _text(entry.name))
    compiled_in = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
    # A compilation folder that is not absolute was cut by -ffile-prefix-map, and so were all other paths.
    if compiled_in is None or not _text(compiled_in.value).startswith("/"):
        return str(path)
    return str(Path(_text(compiled_in.value), path))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _shorten(file: str, image: Path) -> str:
    """The path relative to the project that the image lies in, where the file is part of it."""
    source = Path(os.path.normpath(file))
    for folder in image.absolute().parents:
        if any((folder / mark).exists() for mark in ("pyproject.toml", ".git")) and source.is_relative_to(folder):
            return str(source.relative_to(folder))
    return str(source)


def _demangle(name: str) -> str:
    """The C++ name without its parameters; the linker's name when no c++filt is installed."""
    if not name.startswith("_Z"):
        return name
    tool = shutil.which("c++filt") or shutil.which("arm-none-eabi-c++filt")
    if tool is None:
        return name
    answer = subprocess.run([tool, "-p", name], capture_output=True, text=True, check=False, timeout=10)
    return answer.stdout.strip() or name
