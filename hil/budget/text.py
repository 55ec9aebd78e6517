"""A budget sheet as text for the terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hil.budget.types import Sheet


def document(sheet: Sheet) -> dict[str, Any]:
    """A sheet for machines."""
    return {
        "case": sheet.case,
        "version": sheet.version,
        "board": sheet.board,
        "run": sheet.run,
        "over": [f"{row.what} ({row.unit})" for row in sheet.over],
        "rows": [
            {
                "what": row.what,
                "unit": row.unit,
                "budget": row.budget,
                "at_least": row.least,
                "planned": row.planned,
                "actual": row.actual,
                "slack": row.slack,
                "margin_percent": row.margin_percent,
                "state": str(row.state),
                "note": row.note,
            }
            for row in sheet.rows
        ],
        "notes": list(sheet.notes),
    }


def lines(sheet: Sheet) -> Iterator[str]:
    """A sheet for people; columns that nothing stands in are left out."""
    version = f" version {sheet.version}" if sheet.version is not None else " (planned, no case.toml yet)"
    yield (
        f"{sheet.case}{version}"
        + (f", board {sheet.board}" if sheet.board else "")
        + (f", actual figures from {sheet.run}" if sheet.run else ", no run")
    )
    columns = {
        "what": [row.what for row in sheet.rows],
        "unit": [row.unit for row in sheet.rows],
        "budget": [(">= " if row.least and row.budget is not None else "") + number(row.budget) for row in sheet.rows],
        "planned": [number(row.planned) for row in sheet.rows],
        "actual": [number(row.actual) for row in sheet.rows],
        "slack": [number(row.slack) for row in sheet.rows],
        "margin": ["" if row.margin_percent is None else f"{row.margin_percent:.1f} %" for row in sheet.rows],
        "state": [str(row.state) for row in sheet.rows],
        "note": [row.note for row in sheet.rows],
    }
    yield from (f"  {line}" for line in _table(columns, left=("what", "unit", "state", "note")))
    yield from (f"  note: {note}" for note in sheet.notes)


def _table(columns: Mapping[str, Sequence[str]], left: Sequence[str]) -> Iterator[str]:
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in shown.items()}

    def line(cells: Mapping[str, str]) -> str:
        parts = (f"{cell:{'<' if name in left else '>'}{widths[name]}}" for name, cell in cells.items())
        return "  ".join(parts).rstrip()

    yield line({name: name for name in shown})
    for row in zip(*shown.values(), strict=True):
        yield line(dict(zip(shown, row, strict=True)))


def number(value: float | None) -> str:
    """A figure for people, "" for none."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
