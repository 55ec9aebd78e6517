"""Draws what the device answered: confusion matrix, and device against float model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hil.records import Status
from hil.report.page.columns import Table
from hil.report.page.plot import BAD, INK, MUTED, TINT, WARN, Plot, draw
from hil.report.page.words import clip, number, percent, plural
from hil.runfile import Case

MOST_LABELS = 64
_NUMBERED = 24  # labels up to which every cell shows its count
_STRONGEST = 0.55  # opacity of a full cell: the count on it must stay readable
_GRID = 110
_TOLD = 12  # confusions that the text alternative lists


@dataclass(frozen=True)
class _Counts:
    """cells [labels, labels + unknown (+ rejected)]: vectors by true label and answer."""

    rows: list[str]
    columns: list[str]
    cells: NDArray[np.int64]

    def mistakes(self) -> list[tuple[int, str]]:
        """Vectors and `true to answer`, the most frequent first."""
        off = self.cells.copy()
        np.fill_diagonal(off, 0)
        order = np.argsort(-off, axis=None, kind="stable")[: np.count_nonzero(off)]
        found = [divmod(int(at), off.shape[1]) for at in order]
        return [(int(off[row, column]), f"{self.rows[row]} to {self.columns[column]}") for row, column in found]


def confusion_plot(case: Case, table: Table) -> Plot:
    """True label against answer, counts printed and rows coloured by their share."""
    title = "Confusion matrix"
    labels = case.decision.labels if case.decision else []
    if not labels:
        return Plot(title, reason="the case has no labels")
    if len(labels) > MOST_LABELS:
        return Plot(title, reason=f"{len(labels)} labels are more than the {MOST_LABELS} that can be shown")
    counts = _count(case, table)
    total = int(counts.cells.sum())
    if not total:
        return Plot(title, reason="no vector with a true label ran")
    right = int(np.trace(counts.cells))
    mistakes = counts.mistakes()
    told = ", ".join(f"{what}: {count:,}" for count, what in mistakes[:_TOLD]) or "none"
    told += f" and {len(mistakes) - _TOLD} more kinds" if len(mistakes) > _TOLD else ""
    right_text = f"{right:,} of {plural(total, 'vector')} with a true label answered right ({percent(right / total)})"
    caption = f"{right_text}. Others: {told}."
    per_label = ", ".join(
        f"{name} {int(counts.cells[at, at]):,} of {int(counts.cells[at].sum()):,}"
        for at, name in enumerate(counts.rows)
    )
    side = 0.34 * len(counts.rows) if len(counts.rows) <= 8 else min(4.6, 2.7 + 0.09 * (len(counts.rows) - 8))
    text = f"Confusion matrix. {caption} Right by label: {per_label}."
    upright = len(counts.columns) <= 6 and max(map(len, counts.columns)) <= 10
    below = 0.5 if upright else 1.15
    return Plot(title, caption, draw(lambda figure: _matrix(figure, counts, below), 0.1 + below + side, text))


def _count(case: Case, table: Table) -> _Counts:
    labels = case.decision.labels if case.decision else []
    unknown = case.decision.unknown if case.decision else "unknown"
    n = len(labels)
    ran = np.isin(table.status, (Status.DONE, Status.REJECTED))
    used = ran & (table.expected >= 0) & (table.expected < n) & (table.answer < n)
    column = np.where(table.answer < 0, n, table.answer)
    column = np.where(table.status == Status.REJECTED, n + 1, column)
    cells = np.zeros((n, n + 2), np.int64)
    np.add.at(cells, (table.expected[used], column[used]), 1)
    columns = [*(clip(label, 60) for label in labels), clip(unknown, 60), "rejected by the gate"]
    if not cells[:, -1].any():
        cells, columns = cells[:, :-1], columns[:-1]
    return _Counts([clip(label, 60) for label in labels], columns, cells)


def _matrix(figure: Figure, counts: _Counts, below_in: float) -> None:
    axes = figure.subplots()
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=0.24, right=0.985, top=1 - 0.05 / height, bottom=below_in / height)
    rows = counts.cells.sum(axis=1, keepdims=True)
    pixels = np.zeros((*counts.cells.shape, 4))
    pixels[..., :3] = TINT
    pixels[..., 3] = _STRONGEST * counts.cells / np.maximum(rows, 1)
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    size = 8.5 if len(counts.rows) <= 12 else max(2.5, 8.5 * 12 / len(counts.rows))
    for row, column in np.ndindex(counts.cells.shape):
        count = int(counts.cells[row, column])
        if count or len(counts.rows) <= _NUMBERED:
            colour = INK if count else MUTED
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=size, color=colour)
    tick = min(8.5, max(3.0, 8.5 * 14 / max(14, len(counts.rows))))
    tilt = 0 if below_in < 1 else 90
    axes.set_xticks(
        range(len(counts.columns)), [clip(name, 14) for name in counts.columns], rotation=tilt, fontsize=tick
    )
    axes.set_yticks(range(len(counts.rows)), [clip(name, 14) for name in counts.rows], fontsize=tick)
    axes.tick_params(length=0)
    axes.set_xlabel("answer of the device")
    axes.set_ylabel("true label")
    axes.spines[["left", "bottom"]].set_visible(False)


def scatter_plots(case: Case, table: Table) -> list[Plot]:
    """One for each output."""
    decided = case.device.output.name if case.device else ""
    return [scatter_plot(table, decided), *(scatter_plot(each, name) for name, each in table.further.items())]


def scatter_plot(table: Table, output: str = "") -> Plot:
    """Every output element of every vector, float model across, device up. output: its name, "" of the only one."""
    title = "Device against float model" + (f": output {clip(output, 60)!r}" if output else "")
    if table.floats is None:
        return Plot(title, reason="the case has no float model")
    blocks = table.blocks()
    if not blocks:
        return Plot(title, reason="no vector has an output on both sides")
    low, high = _range(table)
    grid = np.zeros((_GRID, _GRID))
    worst, sum_error, elements, at = 0.0, 0.0, 0, (0.0, 0.0)
    for rows in blocks:
        device, exact = table.device(rows), table.floats[rows].astype(np.float64)
        grid += np.histogram2d(device.ravel(), exact.ravel(), bins=_GRID, range=((low, high), (low, high)))[0]
        error = np.abs(device - exact)
        sum_error, elements = sum_error + float(error.sum()), elements + error.size
        if (here := float(error.max())) >= worst:
            most = np.unravel_index(int(error.argmax()), error.shape)
            worst, at = here, (float(exact[most]), float(device[most]))
    caption = (
        f"{elements:,} outputs in real scores{f'; 1 LSB is {number(table.scale)}' if table.scale else ''}. "
        f"Largest difference {number(worst)}, mean {number(sum_error / elements)}. "
        f"Dashed: equal; ring: the largest difference."
    )

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(left=0.14, right=0.97, top=0.97, bottom=0.14)
        pixels = np.zeros((_GRID, _GRID, 4))
        pixels[..., :3] = TINT
        filled = grid > 0
        pixels[..., 3][filled] = 0.6 + 0.4 * np.minimum(np.log1p(grid[filled]) / np.log1p(grid.max()), 1)
        axes.plot([low, high], [low, high], color=WARN, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0)
        axes.imshow(pixels, origin="lower", extent=(low, high, low, high), aspect="auto", interpolation="nearest")
        axes.plot(*at, "o", markersize=11, markerfacecolor="none", color=BAD, markeredgewidth=1.3)
        axes.set_xlabel("score of the float model")
        axes.set_ylabel("score of the device")
        axes.grid(True)

    return Plot(title, caption, draw(paint, 3.4, f"{title}: {caption}"))


def _range(table: Table) -> tuple[float, float]:
    """Smallest and largest score of both sides, with a little room."""
    ends = []
    for rows in table.blocks():
        for values in (table.device(rows), table.floats[rows] if table.floats is not None else np.empty(0)):
            finite = values[np.isfinite(values)]
            ends += [float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))]
    low, high = min(ends), max(ends)
    if not np.isfinite([low, high]).all():
        return 0.0, 1.0
    room = 0.03 * (high - low) or 0.5
    return low - room, high + room
