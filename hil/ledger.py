"""Values: what an image takes of flash and RAM, by section and symbol; and what changed from one image to another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

# What RAM is for, then what flash is for; a symbol belongs to one of them (hil/image/groups.py).
GROUPS = ("arena", "ring", "scratch", "stack", "heap", "model", "agent", "data", "code", "constants")


_NAME = re.compile(r"(\d+)|St|[NLKV]")


def identifiers(mangled: str) -> tuple[str, ...]:
    """The names in an Itanium-mangled one, outermost first, without its parameters: `_ZN3app5arenaE` has app and arena.
    Unnamed namespaces are left out; nothing of a name that is not mangled, or that begins otherwise.
    """
    at, found = 2, []
    while mangled.startswith("_Z") and (part := _NAME.match(mangled, at)):
        at = part.end()
        if part[1]:
            found.append(mangled[at : at + int(part[1])])
            at += int(part[1])
        elif part[0] == "St":
            found.append("std")
        if found and not mangled.startswith("_ZN") and part[1]:
            break
    return tuple(name for name in found if not name.startswith("_GLOBAL_"))


@dataclass(frozen=True, order=True)
class Sized:
    """Bytes of flash and of RAM under one name. What start-up code copies into RAM takes both.

    name: as in the symbol table; "" for what no symbol of its section covers: literals, padding, a stripped image.
    file: of a static one, "" where the table does not tell.
    """

    name: str
    file: str
    section: str
    group: str
    flash: int
    ram: int

    @property
    def total(self) -> int:
        return self.flash + self.ram

    @property
    def called(self) -> str:
        """As in `buffer (uart.c)`, `app::buffer`, or `.text without a symbol`."""
        if not self.name:
            return f"{self.section} without a symbol"
        return f"{self.shown} ({self.file})" if self.file else self.shown

    @property
    def shown(self) -> str:
        """The name, of a mangled one without its parameters."""
        return "::".join(identifiers(self.name)) or self.name


@dataclass(frozen=True)
class SectionSize:
    """One allocated section. memory: which one it lies in at run time. counted: whether it is in the sums that budgets
    are held to: not a painted stack, nor a window to the host.
    """

    name: str
    address: int
    memory: str
    flash: int
    ram: int
    counted: bool


@dataclass(frozen=True)
class Ledger:
    """All of an image, empty when it is not known. stripped: it has no symbol table, so that only sections are told.

    uncovered: bytes between the end of the data and the top of the stack that lie in no section, where a heap and the
    stack may grow; 0 where symbols do not tell.
    """

    sections: tuple[SectionSize, ...] = ()
    symbols: tuple[Sized, ...] = ()
    stripped: bool = False
    uncovered: int = 0

    @property
    def known(self) -> bool:
        return bool(self.sections)

    def counted(self) -> Iterator[Sized]:
        """What is in the sums that budgets are held to."""
        counts = {section.name for section in self.sections if section.counted}
        return (each for each in self.symbols if each.section in counts)

    def groups(self) -> dict[str, Sized]:
        """Sums over all symbols by group, in the order of GROUPS, then those that a user has named."""
        return _sums(self.symbols)

    def largest(self, count: int, *, ram: bool | None = None) -> list[Sized]:
        """The largest with a name; of RAM alone, of flash alone, or (None) of both together."""

        def size(each: Sized) -> int:
            return each.total if ram is None else each.ram if ram else each.flash

        named = [each for each in self.symbols if each.name and size(each)]
        return sorted(named, key=lambda each: (-size(each), each))[:count]


UNKNOWN = Ledger()


def _sums(symbols: Iterable[Sized]) -> dict[str, Sized]:
    found: dict[str, list[Sized]] = {}
    for each in symbols:
        found.setdefault(each.group, []).append(each)
    order = [*GROUPS, *sorted(found.keys() - set(GROUPS))]
    return {
        group: Sized(group, "", "", group, sum(e.flash for e in found[group]), sum(e.ram for e in found[group]))
        for group in order
        if group in found
    }


@dataclass(frozen=True)
class Change:
    """A symbol before and after; None where there is none of it."""

    before: Sized | None
    after: Sized | None
    flash: int = field(init=False)
    ram: int = field(init=False)

    def __post_init__(self) -> None:
        before, after = self.before or _NONE, self.after or _NONE
        object.__setattr__(self, "flash", after.flash - before.flash)
        object.__setattr__(self, "ram", after.ram - before.ram)

    @property
    def symbol(self) -> Sized:
        return self.after or self.before or _NONE

    @property
    def verb(self) -> str:
        """new, gone, grown, shrunk; `moved` when one of flash and RAM grew and the other did not."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        if self.flash >= 0 and self.ram >= 0:
            return "grown"
        return "shrunk" if self.flash <= 0 and self.ram <= 0 else "moved"


_NONE = Sized("", "", "", "", 0, 0)


def changes(before: Ledger, after: Ledger) -> list[Change]:
    """What is not as it was, by symbol, the largest first. Their sums are the differences of the two images.

    Static functions of one name are told apart by their file; of several of one name in one file (or without one) those
    of equal size are the same, and the others are taken in the order of their sizes.
    """
    ours, theirs = _by_name(after.symbols), _by_name(before.symbols)
    found = [change for key in {*ours, *theirs} for change in _pairs(theirs.get(key, []), ours.get(key, []))]
    return sorted(found, key=lambda each: (-abs(each.flash) - abs(each.ram), each.symbol))


def _by_name(symbols: Iterable[Sized]) -> Mapping[tuple[str, str, str], list[Sized]]:
    found: dict[tuple[str, str, str], list[Sized]] = {}
    for each in symbols:
        # What no symbol covers belongs to its section; a symbol that moved to another section is still itself.
        found.setdefault((each.name, each.file, "" if each.name else each.section), []).append(each)
    return found


def _pairs(before: list[Sized], after: list[Sized]) -> Iterator[Change]:
    rest_before, rest_after = [*before], []
    for each in after:
        same = next((other for other in rest_before if (other.flash, other.ram) == (each.flash, each.ram)), None)
        if same is None:
            rest_after.append(each)
        else:
            rest_before.remove(same)
    sizes = sorted(rest_before, key=lambda each: -each.total), sorted(rest_after, key=lambda each: -each.total)
    for one, other in zip_longest(*sizes):
        yield Change(one, other)
