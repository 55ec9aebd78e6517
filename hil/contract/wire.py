"""Knows what the link had to mend while a case ran, and on which vectors."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.types import Section


@dataclass(frozen=True)
class Wire(Section):
    """Requests that were repeated, damaged frames, replies to other requests than the one asked, and the vectors whose
    request was repeated.
    """

    repeats: int = 0
    damaged: int = 0
    ignored: int = 0
    vectors: tuple[int, ...] = ()


REPEATED = "its request was repeated on the link: does the agent answer a repeat from its cache?"
