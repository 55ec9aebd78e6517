"""Knows how sizes of an image are said in words and tables: sections, groups, the largest symbols, and what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.ledger import Change, Ledger

_WIDE = 64  # characters of a name; C++ has longer ones


def ledger_lines(ledger: Ledger, most: int) -> Iterator[str]:
    """Tables by memory, by section, by group and of the `most` largest symbols; bytes."""
    width = max([len("memory"), *(len(each.memory) for each in ledger.sections)])
    yield f"{'section':<24}{'memory':<{width}}  {'address':>10}{'flash':>12}{'RAM':>12}"
    for section in ledger.sections:
        note = "" if section.counted else "  not counted: reserved"
        yield (
            f"{section.name:<24}{section.memory:<{width}}  {section.address:#010x}{section.flash:>12,}"
            f"{section.ram:>12,}{note}"
        )
    counted = [section for section in ledger.sections if section.counted]
    flash, ram = (sum(getattr(section, name) for section in counted) for name in ("flash", "ram"))
    yield f"{'counted':<24}{'':<{width}}  {'':>10}{flash:>12,}{ram:>12,}"
    memories: dict[str, int] = {}
    for section in ledger.sections:
        if section.ram:
            memories[section.memory] = memories.get(section.memory, 0) + section.ram
    for name, size in memories.items() if len(memories) > 1 else ():
        yield f"{'':<24}{name:<{width}}  {'':>10}{'':>12}{size:>12,}"
    if ledger.uncovered:
        yield f"between the data and the top of the stack lie {ledger.uncovered:,} bytes in no section: heap and stack"
    if ledger.stripped:
        yield "no symbol table (it was stripped): sections are all that can be told"
        return
    yield ""
    yield f"{'group':<24}{'flash':>12}{'RAM':>12}"
    for group in ledger.groups().values():
        yield f"{group.group:<24}{group.flash:>12,}{group.ram:>12,}"
    yield ""
    yield f"{'symbol':<{_WIDE}}{'group':<12}{'flash':>12}{'RAM':>12}"
    for each in ledger.largest(most):
        yield f"{cut(each.called):<{_WIDE}}{each.group:<12}{each.flash:>12,}{each.ram:>12,}"
    rest = sum(1 for each in ledger.symbols if each.name) - most
    if rest > 0:
        yield f"{rest:,} more symbols: --most {most + rest} lists them all"


def change_lines(found: Sequence[Change], most: int) -> Iterator[str]:
    """A table of the `most` largest changes, and their sums; bytes."""
    changed = [each for each in found if each.flash or each.ram]
    if not changed:
        yield "  no symbol has another size"
        return
    yield f"  {'':<8}{'symbol':<{_WIDE}}{'group':<12}{'flash':>12}{'RAM':>12}"
    for each in changed[:most]:
        name = f"{cut(each.symbol.called):<{_WIDE}}{each.symbol.group:<12}"
        yield f"  {each.verb:<8}{name}{each.flash:>+12,}{each.ram:>+12,}"
    rest = changed[most:]
    if rest:
        yield _sum(f"{len(rest):,} smaller changes", rest)
    yield _sum("all", changed)


def grown(found: Sequence[Change], most: int, *, ram: bool) -> str:
    """As in `conv +120, table (crc32.c) new +1,024`: the symbols that take more flash, or RAM; "" when none does."""
    amount = [(each.ram if ram else each.flash, each) for each in found]
    more = sorted((pair for pair in amount if pair[0] > 0), key=lambda pair: -pair[0])
    words = [f"{cut(each.symbol.called)}{' new' if each.verb == 'new' else ''} {size:+,}" for size, each in more[:most]]
    return ", ".join(words) + (f", and {len(more) - most:,} more" if len(more) > most else "")


def largest(ledger: Ledger, most: int, *, ram: bool) -> str:
    """As in `hil_arena 264,192 (arena), buffer 1,024 (ring)`; "" without symbols."""
    found = ledger.largest(most, ram=ram)
    return ", ".join(f"{cut(each.called)} {each.ram if ram else each.flash:,} ({each.group})" for each in found)


def cut(name: str) -> str:
    """A name that fits into a table."""
    return name if len(name) < _WIDE else f"{name[: _WIDE - 5]}..."


def _sum(words: str, of: Sequence[Change]) -> str:
    flash, ram = sum(each.flash for each in of), sum(each.ram for each in of)
    return f"  {'':<8}{words:<{_WIDE}}{'':<12}{flash:>+12,}{ram:>+12,}"
