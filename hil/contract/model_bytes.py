"""Knows what reading the model back from a firmware showed: whether it is the case's, byte by byte."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.types import Section
from hil.contract.verdict import Sheet, number

_HINT = (
    "the firmware was built with another model than the case's: build it with that file, or take its file as model.int8"
)


@dataclass(frozen=True)
class ModelRead(Section):
    """source: where the bytes came from, in words, "" when nothing could be read; failed: why not, where that is known.

    read: bytes that there were; differ: how many are not the model's, those that are missing included; first: offset
    of the first of these, with the byte that was wanted and the one that was there (None: it ends before); place: what
    lies there in the model.
    """

    source: str = ""
    failed: str = ""
    read: int = 0
    differ: int = 0
    first: int = 0
    wanted: int = 0
    found: int | None = None
    place: str = ""


def add_model_read(sheet: Sheet) -> ModelRead:
    """The finding where what was read is another model; returns what was read."""
    seen = sheet.evidence.section(ModelRead)
    if not seen.differ:
        return seen
    size = len(sheet.evidence.case.model.data)
    there = f"{seen.found:#04x}" if seen.found is not None else f"nothing: it ends behind {number(seen.read)} bytes"
    sheet.add(
        f"the model's {number(size)} bytes, {seen.wanted:#04x} at byte {number(seen.first)}",
        f"{there}; {number(seen.differ)} bytes differ, read from {seen.source}; there lies {seen.place}",
        stage="invoke",
        hint=_HINT,
    )
    return seen
