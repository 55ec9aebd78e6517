"""Knows how much arena a session gives the interpreter: what the case allows, else all that the image has."""

from __future__ import annotations

from hil.case.types import Case
from hil.errors import UsageError
from hil.image.elf import Image

ARENA = "hil_arena"  # the static arena between two canaries of CANARY_BYTES (docs/link.md)
CANARY_BYTES = 1024


def arena_of(case: Case, image: Image) -> int:
    """Bytes of arena that `case` gets from `image`, as a bundle carries them: in the product's pointers of 32 bits.

    A case without `arena_bytes` gets the whole static arena. Raises UsageError when the image does not tell its size.
    """
    if case.arena_bytes is not None:
        return case.arena_bytes
    static = static_arena(image)
    if not static or static < 0:
        raise UsageError(
            f"{image.path}: has no symbol {ARENA!r} with a size, and case {case.name} gives no arena_bytes: nothing "
            f"says how much arena the interpreter may have\n"
            f"  fix: write arena_bytes under [budget.memory] of {case.path}, or give the unstripped ELF"
        )
    return static // pointer_ratio(image)


def static_arena(image: Image) -> int | None:
    """Bytes of the image's own arena, canaries left out; None when its ELF lacks the symbol."""
    return image.symbol_bytes(ARENA) - 2 * CANARY_BYTES if image.has_symbol(ARENA) else None


def pointer_ratio(image: Image) -> int:
    """How many times wider the image's pointers are than the product's: its arena grows with them."""
    return 1 if image.is_32_bit else 2
