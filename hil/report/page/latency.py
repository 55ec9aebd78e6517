"""Draws where the time of a run goes: distribution per stage, limits and baseline, operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from hil.case.types import PARTS, STAGES
from hil.report.page.columns import Table
from hil.report.page.plot import ACCENT, BAD, GOOD, INK, LINE, MUTED, WARN, Plot, draw
from hil.report.page.words import clip, clock_text, number, percent, plural
from hil.runfile import Board, Case, Check, StageFigures

_QUANTILES = {"p50": (0.50, "o"), "p95": (0.95, "^"), "p99": (0.99, "s"), "max": (1.0, "D")}
_MARKERS = {"o": "●", "^": "▲", "s": "■", "D": "◆"}
_BINS = 48
_CURVE_POINTS = 400
_MOST_BARS = 20


@dataclass(frozen=True)
class _Mark:
    """A limit on one statistic of a stage, in units of the clock."""

    statistic: str
    value: float


def stage_plots(case: Case, board: Board, table: Table | None) -> list[Plot]:
    """Histogram and cumulative share per stage, with its percentiles and limits; a sentence for a constant stage."""
    if case.latency is None or not case.latency.stages:
        return [Plot("Latency", reason="no vector went through the whole pipeline")]
    if table is None or table.units is None:
        return [Plot("Latency", reason="the records hold no times")]
    return [
        _stage_plot(stage, figures, np.sort(table.units[table.distinct, STAGES.index(stage)]), case, board)
        for stage, figures in case.latency.stages.items()
        if stage in STAGES
    ]


def _stage_plot(stage: str, figures: StageFigures, ordered: NDArray[np.int64], case: Case, board: Board) -> Plot:
    unit = case.latency.unit if case.latency else ""
    marks = _limits(case, stage, board)
    limits = (
        ", ".join(f"{mark.statistic} limit {number(mark.value)} {unit}" for mark in marks) or "no limit judged here"
    )
    title = f"{stage.capitalize()}: {plural(figures.n, 'sample')}"
    if not len(ordered) or ordered[0] == ordered[-1]:
        return Plot(title, reason=f"every sample took {number(figures.max)} {unit} ({limits})")
    points = ", ".join(f"{name} {getattr(figures, name):,}" for name in _QUANTILES)
    text = f"Distribution of {stage} in {unit} ({clock_text(board)}): minimum {figures.min:,}, {points}; {limits}."
    caption = f"{clock_text(board).capitalize()}. {limits.capitalize()}."

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
        figure.subplots_adjust(left=0.135, right=0.97, top=0.84, bottom=0.155, hspace=0.12)
        counts, edges = np.histogram(ordered, bins=_BINS)
        upper.stairs(counts, edges, fill=True, color=ACCENT, alpha=0.75)
        upper.set_ylabel("samples")
        upper.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        upper.tick_params(axis="x", length=0)
        _curve(lower, ordered)
        lower.set_xlabel(f"{unit} ({clock_text(board)})")
        lower.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        lower.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        _points(figure, lower, figures)
        _limit_lines(figure, (upper, lower), marks, ordered)

    return Plot(title, caption, draw(paint, 3.1, text))


def _curve(axes: Axes, ordered: NDArray[np.int64]) -> None:
    """The share of samples at or below each value; at most so many steps, both ends among them."""
    ranks = np.unique(np.linspace(1, len(ordered), min(len(ordered), _CURVE_POINTS)).round().astype(np.intp))
    axes.step([ordered[0], *ordered[ranks - 1]], [0, *(ranks / len(ordered))], where="post", color=ACCENT)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_ylabel("at or below")
    axes.grid(True)
    span = ordered[-1] - ordered[0]
    axes.set_xlim(ordered[0] - 0.04 * span, ordered[-1] + 0.05 * span)


def _points(figure: Figure, axes: Axes, figures: StageFigures) -> None:
    """Marks on the curve, and their values above the picture: near each other they would cover their own labels."""
    for column, (name, (share, marker)) in enumerate(_QUANTILES.items()):
        value = getattr(figures, name)
        axes.vlines(value, 0, share, color=INK, linewidth=0.6)
        axes.plot([value], [share], marker, color=INK, markersize=4.5, clip_on=False)
        left = 0.135 + 0.215 * column
        figure.text(left, 0.955, f"{_MARKERS[marker]} {name} {value:,}", fontsize=8.5, va="center")


def _limit_lines(figure: Figure, both: tuple[Axes, Axes], marks: list[_Mark], ordered: NDArray[np.int64]) -> None:
    """A line where a limit lies near the samples; what each limit is stands above the picture."""
    span, told = ordered[-1] - ordered[0], []
    for value in sorted({mark.value for mark in marks}):
        names = "/".join(mark.statistic for mark in marks if mark.value == value)
        if value > ordered[-1] + 1.2 * span:
            told.append(f"limit {names} {number(value)}, {percent(value / ordered[-1] - 1)} above max →")
            continue
        told.append(f"┆ limit {names} {number(value)}")
        for axes in both:
            axes.axvline(value, color=BAD, linewidth=1.2, linestyle=(0, (4, 2)))
        low, high = both[1].get_xlim()
        both[1].set_xlim(min(low, value - 0.05 * span), max(high, value + 0.05 * span))
    figure.text(0.135, 0.89, "   ".join(told[:2]), fontsize=8.5, va="center", color=BAD)


def _limits(case: Case, stage: str, board: Board) -> list[_Mark]:
    """The limits that this board judges, in units of its clock; ms on a clock of cycles are converted."""
    marks = []
    for check in case.checks:
        parts = check.id.split(".")
        if parts[0] != "latency" or len(parts) != 3 or parts[1] != stage or check.outcome == "not judged":
            continue
        if check.limit is not None and check.limit.maximum is not None:
            marks.append(_Mark(parts[2], check.limit.maximum * _units_per(check.limit.unit, board)))
    return marks


def _units_per(unit: str, board: Board) -> float:
    return board.clock.hz / 1000 if unit == "ms" and board.clock is not None and board.clock.hz else 1.0


def budget_plot(case: Case, board: Board) -> Plot:
    """What each limited statistic takes of its limit, and where the baseline was."""
    title = "Latency against limit and baseline"
    rows = [row for check in case.checks if (row := _bar(check, case)) is not None]
    if not rows:
        return Plot(title, reason="no limit on latency is judged on this board, and no baseline gives any")
    parts = [f"{row.name} {row.text}" for row in rows]
    text = f"Latency as a share of its limit ({clock_text(board)}): " + "; ".join(parts) + "."

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        height = figure.get_size_inches()[1]
        figure.subplots_adjust(left=0.235, right=0.97, top=1 - 0.08 / height, bottom=0.42 / height)
        most = max(1.0, *(row.share for row in rows), *(row.before or 0 for row in rows))
        for at, row in enumerate(rows):
            axes.barh(at, row.share, height=0.5, color=row.colour, alpha=0.85)
            axes.text(0.012 * most, at - 0.4, row.text, fontsize=8, color=INK, va="bottom")
            if row.before is not None:
                axes.plot([row.before] * 2, [at - 0.32, at + 0.32], color=INK, linewidth=2)
        axes.axvline(1, color=BAD, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.75)
        axes.set_xlim(0, 1.06 * most)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set_xlabel("of the limit (dashed line)")
        axes.tick_params(axis="y", length=0)

    had = any(row.before is not None for row in rows)
    caption = f"{clock_text(board).capitalize()}. The value is the one that is judged: the upper bound of a percentile."
    caption += " Upright mark: the baseline." if had else ""
    return Plot(title, caption, draw(paint, 0.62 + 0.42 * len(rows), text))


@dataclass(frozen=True)
class _Bar:
    """share, before: of the limit. before: the baseline's figure, None without one."""

    name: str
    share: float
    before: float | None
    text: str
    colour: str


def _bar(check: Check, case: Case) -> _Bar | None:
    if check.contract != "latency" or check.value is None or check.limit is None or not check.limit.maximum:
        return None
    most, share = check.limit.maximum, check.value / check.limit.maximum
    name = check.id.removeprefix("latency.")
    text = f"{number(check.value)} of {number(most)} {check.unit} ({percent(share)})"
    before = baseline_value(case, *name.split(".")[:2]) if name.count(".") == 1 else None
    if before is not None:
        text += f", baseline {number(before)}"
    colour = {"failed": BAD, "marginal": WARN}.get(check.outcome, GOOD)
    return _Bar(
        name + {"failed": " ✗", "marginal": " ~"}.get(check.outcome, ""),
        share,
        None if before is None else before / most,
        text,
        colour,
    )


def baseline_value(case: Case, stage: str, statistic: str) -> float | None:
    """The accepted figure of one statistic of a stage, None when the baseline's changes do not list it."""
    for change in case.baseline.changes if case.baseline else ():
        words = change.what.replace(".", " ").replace(",", " ").split()
        if stage in words and statistic in words and case.latency is not None and change.unit == case.latency.unit:
            return change.before
    return None


def share_plot(case: Case, board: Board) -> Plot:
    """How the median window divides among the stages."""
    title = "Where a median window goes"
    if case.latency is None or not case.latency.stages:
        return Plot(title, reason="no vector went through the whole pipeline")
    stages = [(name, case.latency.stages[name].p50) for name in PARTS if name in case.latency.stages]
    total, unit = sum(value for _, value in stages) or 1, case.latency.unit
    text = ", ".join(f"{name} {value:,} {unit} ({percent(value / total)})" for name, value in stages)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(left=0.145, right=0.97, top=0.97, bottom=0.24)
        for at, (_, value) in enumerate(stages):
            axes.barh(at, value, height=0.5, color=ACCENT, alpha=0.85)
            axes.text(0, at - 0.3, f" {value:,} {unit}, {percent(value / total)}", fontsize=8, va="bottom")
            axes.plot([0, 0], [at - 0.25, at + 0.25], color=ACCENT, linewidth=2)
        axes.set_yticks(range(len(stages)), [name for name, _ in stages])
        axes.set_ylim(len(stages) - 0.55, -0.75)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(f"{unit}, p50 of each stage")
        axes.tick_params(axis="y", length=0)

    return Plot(title, f"{clock_text(board).capitalize()}.", draw(paint, 1.85, f"Median of each stage: {text}."))


def operator_plot(case: Case, board: Board) -> Plot | None:
    """Units per operator of one profiled window; None when the firmware cannot tell."""
    if not case.operators:
        return None
    unit = case.latency.unit if case.latency else (board.clock.unit if board.clock else "")
    total = sum(item.units for item in case.operators) or 1
    longest = sorted(case.operators, key=lambda item: -item.units)[:_MOST_BARS]
    shown = sorted(longest, key=lambda item: item.index)
    rows = [(f"{item.index} {clip(item.operator, 22)}", item.units) for item in shown]
    if len(case.operators) > len(shown):
        rest = total - sum(value for _, value in rows)
        rows.append((f"{len(case.operators) - len(shown)} others", rest))
    text = ", ".join(f"{name} {value:,} {unit} ({percent(value / total)})" for name, value in rows)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        height = figure.get_size_inches()[1]
        figure.subplots_adjust(left=0.34, right=0.97, top=1 - 0.05 / height, bottom=0.42 / height)
        most = max(value for _, value in rows) or 1
        for at, (_, value) in enumerate(rows):
            axes.barh(at, value, height=0.62, color=ACCENT, alpha=0.85)
            axes.text(
                value + 0.01 * most, at, f"{value:,} ({percent(value / total)})", fontsize=8, va="center", color=INK
            )
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1.42 * most)  # room for the longest label
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(f"{unit} in one window")
        axes.grid(True, axis="x", color=LINE)
        axes.tick_params(axis="y", length=0, labelcolor=MUTED)

    vector = f" on vector {clip(case.operators_vector, 80)}" if case.operators_vector else ""
    caption = f"One profiled window{vector}; {total:,} {unit} in all. {clock_text(board).capitalize()}."
    return Plot("Operators of the model", caption, draw(paint, 0.55 + 0.24 * len(rows), f"Units per operator: {text}."))
