"""Chooses the vectors that a reader should see, and draws their windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.records import Status
from hil.report.page.cause import by_blame
from hil.report.page.columns import Table
from hil.report.page.plot import DASHES, SERIES, Plot, draw
from hil.report.page.windows import read_windows
from hil.report.page.words import clip, number
from hil.runfile import Case

MOST = 6
_FROM_FINDINGS = 3
_MOST_LINES = len(SERIES)
_MOST_POINTS = 300
_MOST_PIXELS = 128


@dataclass(frozen=True)
class Chosen:
    """A vector worth looking at, and why."""

    vector: int
    why: str


def choose(case: Case, table: Table) -> list[Chosen]:
    """Up to six: what findings name, decisions that are wrong, and the largest |device - float|, in this order."""
    chosen: dict[int, str] = {}
    for source, most in (
        (_of_findings(case, table), _FROM_FINDINGS),
        (_wrong(case, table), MOST - 1),
        (_far(table), MOST),
    ):
        for item in source:
            if len(chosen) >= most:
                break
            chosen[item.vector] = f"{chosen[item.vector]}; {item.why}" if item.vector in chosen else item.why
    return [Chosen(vector, why) for vector, why in chosen.items()]


def _of_findings(case: Case, table: Table) -> Iterator[Chosen]:
    for check in by_blame(case.checks):
        for finding in check.findings[:1]:
            rows = np.flatnonzero(table.names == finding.vector)
            if finding.vector and len(rows):
                yield Chosen(int(rows[0]), f"finding of {check.id}")


def _wrong(case: Case, table: Table) -> Iterator[Chosen]:
    """Answers that are not the reference's first, then those that are not the true label."""
    labels = case.decision.labels if case.decision else []

    def name(index: int) -> str:
        return (
            clip(labels[index], 40)
            if 0 <= index < len(labels)
            else (case.decision.unknown if case.decision else "none")
        )

    if table.reference_answer is not None and labels:
        for row in np.flatnonzero(table.comparable & (table.answer != table.reference_answer))[:MOST]:
            yield Chosen(int(row), f"answer {name(table.answer[row])}, reference {name(table.reference_answer[row])}")
    if labels:
        for row in np.flatnonzero(table.done & (table.expected >= 0) & (table.answer != table.expected))[:MOST]:
            yield Chosen(int(row), f"answer {name(table.answer[row])}, true label {name(table.expected[row])}")


def _far(table: Table) -> Iterator[Chosen]:
    distance = table.distance()
    for row in np.argsort(-distance, kind="stable")[:MOST]:
        if distance[row] > 0:
            yield Chosen(int(row), f"|device - float| {number(distance[row])} score")


def worst_plots(case: Case, table: Table, root: Path) -> list[Plot]:
    """One small picture a chosen vector; a sentence when the windows cannot be had."""
    chosen = choose(case, table)
    if not chosen:
        return [Plot("Worst vectors", reason="no vector stands out: no finding, no wrong answer, no float model")]
    try:
        windows = read_windows(case, root, [item.vector for item in chosen])
    except UsageError as error:
        names = ", ".join(f"{clip(str(table.names[item.vector]), 60)} ({item.why})" for item in chosen)
        return [Plot("Worst vectors", reason=f"{names}. Not drawn: {clip(str(error))}")]
    return [_plot(item, table, of[item.vector], name) for item in chosen for name, of in windows.items()]


def _plot(item: Chosen, table: Table, window: NDArray[Any], tensor: str) -> Plot:
    """tensor: the input that the window is of, "" of the only one."""
    title = clip(str(table.names[item.vector]), 60) + (f": {clip(tensor, 60)}" if tensor else "")
    ended = Status(int(table.status[item.vector])).name.lower().replace("_", " ")
    finite = window[np.isfinite(window)]
    span = f"{number(finite.min())} to {number(finite.max())}" if finite.size else "no finite value"
    size = " x ".join(str(length) for length in window.shape)
    why = item.why if ended == "done" else f"{item.why}; {ended}"
    caption = (
        f"{why}. {window.dtype}, {size}, {span} counts." if window.dtype.kind in "iu" else f"{why}. {size}, {span}."
    )
    picture = _as_picture(window)
    paint = (lambda figure: _lines(figure, window)) if picture is None else (lambda figure: _image(figure, picture))
    return Plot(title, caption, draw(paint, 1.9, f"Window of vector {title}: {caption}", width_in=3.4))


def _as_picture(window: NDArray[Any]) -> NDArray[np.float64] | None:
    """What is no handful of channels over time: a spectrogram or an image, [rows, columns], 0..1. None for lines."""
    planes = [length for length in window.shape if length != 1]
    if len(planes) <= 1 or (len(planes) == 2 and planes[1] <= _MOST_LINES):
        return None
    grid = np.nan_to_num(window.astype(np.float64).reshape(planes))
    while grid.ndim > 2:
        grid = grid.mean(axis=-1)
    grid = grid[:: -(-grid.shape[0] // _MOST_PIXELS), :: -(-grid.shape[1] // _MOST_PIXELS)]
    low, high = grid.min(), grid.max()
    shades: NDArray[np.float64] = (grid - low) / (high - low if high > low else 1)
    return shades


def _image(figure: Figure, shades: NDArray[np.float64]) -> None:
    axes = figure.subplots()
    figure.subplots_adjust(left=0.13, right=0.98, top=0.97, bottom=0.22)
    axes.imshow(
        shades, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal" if _squarish(shades) else "auto"
    )
    axes.set_xlabel("column")
    axes.set_ylabel("row")


def _squarish(shades: NDArray[np.float64]) -> bool:
    return bool(0.5 <= shades.shape[0] / shades.shape[1] <= 2)


def _lines(figure: Figure, window: NDArray[Any]) -> None:
    axes = figure.subplots()
    figure.subplots_adjust(left=0.19, right=0.98, top=0.9, bottom=0.22)
    planes = [length for length in window.shape if length != 1]
    signal = window.reshape(planes[0] if planes else 1, -1)
    for channel, values in enumerate(signal.T):
        x, y = _thinned(values)
        axes.plot(x, y, color=SERIES[channel], linestyle=DASHES[channel], linewidth=1.1)
        axes.text(
            0.02 + 0.16 * channel, 1.03, f"ch {channel}", fontsize=8, color=SERIES[channel], transform=axes.transAxes
        )
    axes.set_xlabel("sample")
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.grid(True)


def _thinned(values: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """A long signal as the lowest and highest sample of each piece, so that no peak is lost."""
    if len(values) <= _MOST_POINTS:
        return np.arange(len(values)), values
    pieces = np.array_split(np.arange(len(values)), _MOST_POINTS // 2)
    ends = [sorted((int(piece[values[piece].argmin()]), int(piece[values[piece].argmax()]))) for piece in pieces]
    at = np.unique(np.array(ends, np.intp).ravel())
    return at, values[at]
