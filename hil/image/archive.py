"""Knows how an archive of object files (`ar`, GNU) is laid out: its members, and which of them defines a symbol."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from hil.errors import UsageError

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_MAGIC, _THIN = b"!<arch>\n", b"!<thin>\n"
_HEADER = struct.Struct("16s12s6s6s8s10s2s")
_INDEX, _WIDE_INDEX, _LONG_NAMES = b"/", b"/SYM64/", b"//"


@dataclass(frozen=True)
class Member:
    """One object file of an archive."""

    name: str
    data: bytes

    @cached_property
    def elf(self) -> ELFFile:
        """Raises ELFError when it is no ELF."""
        from elftools.elf.elffile import ELFFile

        return ELFFile(BytesIO(self.data))

    def undefined(self) -> frozenset[str]:
        """Names of the symbols that it takes from elsewhere."""
        from elftools.elf.sections import SymbolTableSection

        table = self.elf.get_section_by_name(".symtab")
        symbols = table.iter_symbols() if isinstance(table, SymbolTableSection) else ()
        return frozenset(symbol.name for symbol in symbols if symbol.entry["st_shndx"] == "SHN_UNDEF" and symbol.name)


class Archive:
    """Read whole. Raises UsageError when the file is no archive, a thin one, damaged, or has no index."""

    def __init__(self, file: Path) -> None:
        self.file = file
        data = file.read_bytes()
        if data.startswith(_THIN):
            raise self._refused("it is a thin archive, which only points at its objects", "make a whole one: ar -r")
        if not data.startswith(_MAGIC):
            raise self._refused("it is no archive", "name the .a file that ar wrote")
        self._members: dict[int, Member] = {}
        index = b""
        wide = False
        try:
            for offset, name, body in _entries(data):
                if name in (_INDEX, _WIDE_INDEX):
                    index, wide = body, name == _WIDE_INDEX
                else:
                    self._members[offset] = Member(name.decode("utf-8", "replace"), body)
            self._defined = dict(_index(index, wide))
            if missing := set(self._defined.values()) - self._members.keys():
                raise ValueError(f"its index names an object at {min(missing)}")
        except (struct.error, ValueError, IndexError) as error:
            raise self._refused(f"it is damaged or cut short ({error})", "build it again") from error
        if not self._members:
            raise self._refused("it is an empty archive", "build it again")
        if not self._defined:
            raise self._refused("it has no index of its symbols, or none at all", f"make one: ranlib {file}")

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    @property
    def defined(self) -> frozenset[str]:
        """Names of the symbols that its members define for others."""
        return frozenset(self._defined)

    def member_of(self, symbol: str) -> Member:
        """The object that defines `symbol`, one of `defined`."""
        return self._members[self._defined[symbol]]

    def _refused(self, problem: str, fix: str) -> UsageError:
        return UsageError(f"{self.file}: {problem}\n  fix: {fix}")


def _entries(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Offset of the header, name and contents of each entry."""
    at, names = len(_MAGIC), b""
    while at + _HEADER.size <= len(data):
        field, *_, size, mark = _HEADER.unpack_from(data, at)
        length, begin = int(size), at + _HEADER.size
        if mark != b"`\n" or begin + length > len(data):
            raise ValueError(f"entry at {at}")
        body, name = data[begin : begin + length], field.rstrip()
        if name == _LONG_NAMES:
            names = body
        else:
            if name[:1] == b"/" and name[1:].isdigit():
                name = names[int(name[1:]) :].partition(b"/\n")[0]
            yield at, name if name in (_INDEX, _WIDE_INDEX) else name.removesuffix(b"/"), body
        at = begin + length + length % 2


def _index(index: bytes, wide: bool) -> Iterator[tuple[str, int]]:
    """Name of each symbol, and offset of the header of the entry that defines it."""
    if not index:
        return
    kind, size = ("Q", 8) if wide else ("I", 4)
    (count,) = struct.unpack_from(f">{kind}", index)
    offsets = struct.unpack_from(f">{count}{kind}", index, size)
    names = index[size * (1 + count) :].split(b"\0")
    for name, offset in zip(names, offsets, strict=False):
        yield name.decode("utf-8", "replace"), offset


def is_elf(member: Member) -> bool:
    """Whether it is an object file that can be read."""
    from elftools.common.exceptions import ELFError

    try:
        return member.elf is not None
    except ELFError:
        return False
