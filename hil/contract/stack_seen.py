"""Knows the stack of a firmware that does not measure it: the harness paints what is free of it, and looks."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.types import Section


@dataclass(frozen=True)
class StackSeen(Section):
    """mark: bytes from the top of the stack to the lowest word that some window changed, 0 when nobody looked; windows:
    how many ran on the paint; size: of the stack; blind: why nobody could look, where that is known.
    """

    mark: int = 0
    windows: int = 0
    size: int = 0
    blind: str = ""

    @property
    def told(self) -> str:
        """What the mark rests on, in words."""
        return f"painted and read by the harness, over {self.windows:,} windows" if self.mark else ""
