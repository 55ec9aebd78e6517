"""Knows how to name a place in code: source file and line from the DWARF line programs, and C++ names as written."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile


def find_line(elf: ELFFile, address: int) -> tuple[str, int] | None:
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


def shorten(file: str, image: Path) -> str:
    """The path relative to the project that the image lies in, where the file is part of it."""
    source = Path(os.path.normpath(file))
    for folder in image.absolute().parents:
        if any((folder / mark).exists() for mark in ("pyproject.toml", ".git")) and source.is_relative_to(folder):
            return str(source.relative_to(folder))
    return str(source)


def demangle(name: str) -> str:
    """The C++ name without its parameters; the linker's name when no c++filt is installed."""
    if not name.startswith("_Z"):
        return name
    tool = shutil.which("c++filt") or shutil.which("arm-none-eabi-c++filt")
    if tool is None:
        return name
    answer = subprocess.run([tool, "-p", name], capture_output=True, text=True, check=False, timeout=10)
    return answer.stdout.strip() or name
