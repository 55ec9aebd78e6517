"""Knows how the sizes of an image's symbols are kept in a baseline, so that growth can be named: packed rows of text.

Symbols below LEAST_BYTES are summed up by section. What is left of our own image, 400 symbols, takes 9 kB.
"""

from __future__ import annotations

import base64
import json
import zlib

from hil.ledger import Ledger, SectionSize, Sized

LEAST_BYTES = 64
_MOST_BYTES = 1 << 24  # of rows that are unpacked
_FIELDS = 6


def kept(ledger: Ledger) -> Ledger:
    """What a baseline keeps of it: what budgets are held to, with the small symbols of each section in one row."""
    large = [each for each in ledger.counted() if each.name and each.total >= LEAST_BYTES]
    rest: dict[tuple[str, str], list[Sized]] = {}
    for each in ledger.counted():
        if not (each.name and each.total >= LEAST_BYTES):
            rest.setdefault((each.section, each.group), []).append(each)
    sums = [
        Sized("", "", section, group, sum(each.flash for each in small), sum(each.ram for each in small))
        for (section, group), small in rest.items()
    ]
    return _of_rows([*sorted(large), *sorted(sums)])


def pack(ledger: Ledger | None) -> str | None:
    """As it stands in the file."""
    if ledger is None:
        return None
    rows = [[each.name, each.file, each.section, each.group, each.flash, each.ram] for each in ledger.symbols]
    data = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def unpack(value: object) -> Ledger | None:
    """From the file, or as it is. Raises ValueError."""
    if value is None or isinstance(value, Ledger):
        return value
    if not isinstance(value, str):
        raise ValueError("not a text of packed rows")
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(value, validate=True), _MOST_BYTES)
        rows = json.loads(data)
        return _of_rows([_row(row) for row in rows])
    except (zlib.error, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"it cannot be unpacked ({error})") from None


def _row(row: object) -> Sized:
    if not isinstance(row, list) or len(row) != _FIELDS or [type(each) for each in row] != [str] * 4 + [int] * 2:
        raise ValueError(f"{str(row)[:80]!r} is no row of four texts and two sizes")
    return Sized(*row)


def _of_rows(rows: list[Sized]) -> Ledger:
    sections = []
    for name in dict.fromkeys(each.section for each in rows):
        own = [each for each in rows if each.section == name]
        flash, ram = sum(each.flash for each in own), sum(each.ram for each in own)
        sections.append(SectionSize(name, 0, "", flash, ram, counted=True))
    return Ledger(tuple(sections), tuple(rows))
