"""What the page and the summary say of the sizes of an image: sums by purpose, and the largest symbols."""

from __future__ import annotations

from collections.abc import Sequence

from hil.report.page.words import clip
from hil.runfile import Sizes

_MOST = 24
Rows = Sequence[Sequence[str]]


def groups(sizes: Sizes | None) -> Rows:
    """Purpose, flash, RAM."""
    return [(clip(each.name, 80), f"{each.flash:,}", f"{each.ram:,}") for each in sizes.groups] if sizes else ()


def symbols(sizes: Sizes | None) -> Rows:
    """Symbol, purpose, flash, RAM; the largest first."""
    found = sorted(sizes.symbols, key=lambda each: -each.flash - each.ram) if sizes else []
    return [
        (
            clip(f"{each.name} ({each.file})" if each.file else each.name, 120),
            clip(each.group, 80),
            f"{each.flash:,}",
            f"{each.ram:,}",
        )
        for each in found[:_MOST]
    ]


def sentence(sizes: Sizes) -> str:
    """As in `Image, in bytes: RAM is arena 4,096, stack 2,048; flash is code 20,000`."""
    ram = ", ".join(f"{each.name} {each.ram:,}" for each in sizes.groups if each.ram)
    flash = ", ".join(f"{each.name} {each.flash:,}" for each in sizes.groups if each.flash)
    stripped = " It was stripped: no symbols tell more." if sizes.stripped else ""
    return f"Image, in bytes: RAM is {ram or 'none'}; flash is {flash or 'none'}.{stripped}"
