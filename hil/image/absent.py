"""Stands for the image of a firmware that was written to its board elsewhere, and whose ELF nobody gave."""

from __future__ import annotations

from pathlib import Path

from hil.contract.types import ImageFacts
from hil.errors import UsageError
from hil.image.elf import Image
from hil.image.groups import Named
from hil.image.sizes import Memories
from hil.ledger import Ledger


class AbsentImage(Image):
    """No symbol is known of it, and no size. It has neither machine nor segments: nothing can be loaded."""

    def __init__(self) -> None:
        self.path, self.sha256 = Path("(no image)"), ""
        self.is_32_bit = True  # a board is assumed to be a product's, not a workstation

    def has_symbol(self, name: str) -> bool:
        return False

    def symbol(self, name: str) -> int:
        """Raises UsageError."""
        raise UsageError(
            f"no image was given, so that nobody knows where {name!r} lies\n"
            "  fix: name the ELF: image under [firmware] of the board file, or --hil-image"
        )

    def symbol_bytes(self, name: str) -> int:
        """Raises UsageError."""
        return self.symbol(name)

    def stack_span(self) -> tuple[int, int] | None:
        return None

    def stored(self, address: int, size: int) -> bytes | None:
        return None

    def facts(self, named: Named | None = None, memories: Memories | None = None) -> ImageFacts:
        return ImageFacts("", 0, 0, 0, known=False)

    def ledger(self, named: Named | None = None, memories: Memories | None = None, *, by_symbol: bool = True) -> Ledger:
        return Ledger()
