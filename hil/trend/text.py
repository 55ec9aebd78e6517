"""A trend on the terminal: a table with the change from run to run, and a plot of ten lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hil.trend.trend import Point, Series, Trend

HEIGHT = 10
_SHORTEST = 8  # columns of a plot that still says something


@dataclass(frozen=True)
class Glyphs:
    """What a plot is drawn with; one mark a series, in turns."""

    marks: str
    side: str
    corner: str
    line: str


UNICODE = Glyphs("●■▲◆○□", "│", "└", "─")
ASCII = Glyphs("ox+*#@", "|", "+", "-")


def glyphs_for(encoding: str | None) -> Glyphs:
    """Those that the terminal can show."""
    try:
        "".join((UNICODE.marks, UNICODE.side, UNICODE.corner, UNICODE.line)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def lines(trend: Trend, width: int, glyphs: Glyphs = UNICODE) -> Iterator[str]:
    """Title, table, a plot for each unit, and what was left out; a plot is at most `width` columns wide."""
    yield f"{trend.case}: {trend.metric.name}, {len(trend.points)} run{'s' * (len(trend.points) != 1)}"
    yield from (f"  {line}" for line in _table(trend, glyphs))
    for unit in trend.units:
        if sum(point.series.unit == unit for point in trend.points) > 1:
            yield ""
            yield from (f"  {line}" for line in plot(trend, unit, width - 2, glyphs))
    for each in trend.left_out:
        yield f"  left out: {each.file}: {each.reason}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"


def signed(value: float | None) -> str:
    return "" if value is None else "0" if value == 0 else ("+" if value > 0 else "-") + number(abs(value))


def percent(point: Point) -> str:
    share = point.change_percent
    return "" if share is None else f"{share:+.2f} %"


def _table(trend: Trend, glyphs: Glyphs) -> Iterator[str]:
    marks = _marks(trend, glyphs)
    rows = [("", "started", "board (clock), case", trend.metric.name, "unit", "change", "", "firmware", "run")]
    for point in trend.points:
        rows.append(
            (
                marks[point.series],
                point.started.strftime("%Y-%m-%d %H:%M:%S"),
                str(point.series),
                number(point.value),
                point.series.unit,
                signed(point.change),
                percent(point),
                point.firmware_sha256[:8],
                str(point.file),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = (3, 5, 6)
    for row in rows:
        cells = (f"{cell:{'>' if at in right else '<'}{widths[at]}}" for at, cell in enumerate(row))
        yield "  ".join(cells).rstrip()


def _marks(trend: Trend, glyphs: Glyphs) -> dict[Series, str]:
    return {series: glyphs.marks[at % len(glyphs.marks)] for at, series in enumerate(trend.series)}


def plot(trend: Trend, unit: str, width: int, glyphs: Glyphs = UNICODE) -> Iterator[str]:
    """One mark a run, from the lowest value to the highest; its axis does not start at 0. Marks are not joined."""
    points = [point for point in trend.points if point.series.unit == unit]
    low, high = (pick(point.value for point in points) for pick in (min, max))
    labels = [number(low), number(high)]
    if unit:
        yield f"{unit}:"
    marks, margin = _marks(trend, glyphs), max(map(len, labels))
    room = max(_SHORTEST, width - margin - 2)
    shown = points[-room:]  # of more runs than columns the last ones
    step = max(1, min(6, room // len(shown)))
    rows = [[" "] * (step * len(shown)) for _ in range(HEIGHT)]
    for at, point in enumerate(shown):
        rows[_row(point.value, low, high)][at * step + step // 2] = marks[point.series]
    for height in reversed(range(HEIGHT)):
        label = {0: labels[0], HEIGHT - 1: labels[1]}.get(height, "") if low != high else ""
        label = labels[0] if low == high and height == HEIGHT // 2 else label
        yield f"{label:>{margin}} {glyphs.side}{''.join(rows[height])}".rstrip()
    yield f"{'':>{margin}} {glyphs.corner}{glyphs.line * (step * len(shown))}"
    yield f"{'':>{margin}}  {_ends(shown, step * len(shown))}"


def _row(value: float, low: float, high: float) -> int:
    return HEIGHT // 2 if low == high else round((value - low) / (high - low) * (HEIGHT - 1))


def _ends(points: Sequence[Point], width: int) -> str:
    """When the first and the last run started; only the day of the last where there is no room for both."""
    first, last = (point.started.strftime("%Y-%m-%d") for point in (points[0], points[-1]))
    return f"{first}{last:>{width - len(first)}}" if width > len(first) + len(last) else last
