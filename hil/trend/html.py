"""A trend as one HTML file that needs nothing else: the plot as SVG inside, the table below, light and dark."""

from __future__ import annotations

import io
import re
from pathlib import Path

import matplotlib
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hil.errors import UsageError
from hil.trend.text import number, percent, signed
from hil.trend.trend import Trend

_TEMPLATE = Path(__file__).with_name("trend.html.jinja")
# Colours that stand for those of the page, which knows whether it is light or dark.
_INK, _GRID = "#010203", "#010204"
_SERIES = tuple(f"#0102a{index}" for index in range(6))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_MOST_TICKS = 10


def write_html(trend: Trend, file: Path) -> None:
    """Raises UsageError when the file cannot be written."""
    try:
        file.write_text(page(trend), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror})\n  fix: give another --html=FILE") from error


def page(trend: Trend) -> str:
    """The whole page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    # The SVG is matplotlib's own, which escapes the texts in it.
    figures = {"number": number, "signed": signed, "percent": percent}
    return template.render(trend=trend, plot=Markup(svg(trend)), **figures)


def svg(trend: Trend) -> str:
    """The plot. Text stays text; colours are those of the page. Equal trends give equal bytes."""
    figure = Figure(figsize=(9, 1 + 3.2 * len(trend.units)), layout="constrained")
    FigureCanvasSVG(figure)
    for at, unit in enumerate(trend.units):
        _draw(figure.add_subplot(len(trend.units), 1, at + 1), trend, unit)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hil"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace("<svg ", '<svg role="img" aria-labelledby="plot-title" ', 1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    names = {_INK: "ink", _GRID: "grid"} | {colour: f"series-{at}" for at, colour in enumerate(_SERIES)}
    for colour, name in names.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def _draw(axes: Axes, trend: Trend, unit: str) -> None:
    """A line for each series of one unit; runs stand side by side in the order in which they started."""
    for at, series in enumerate(trend.series):
        own = [(place, point.value) for place, point in enumerate(trend.points) if point.series == series]
        if series.unit == unit:
            colour, marker = _SERIES[at % len(_SERIES)], _MARKERS[at % len(_MARKERS)]
            places, values = [place for place, _ in own], [value for _, value in own]
            axes.plot(places, values, label=str(series).replace("$", r"\$"), color=colour, marker=marker)
    ticks = range(len(trend.points))[:: -(-len(trend.points) // _MOST_TICKS)]
    starts = [trend.points[place].started.strftime("%Y-%m-%d\n%H:%M") for place in ticks]
    axes.set_xticks(list(ticks), starts)
    axes.set_xlim(-0.5, len(trend.points) - 0.5)
    axes.set_ylabel(f"{trend.metric.name} [{unit}]" if unit else trend.metric.name, color=_INK)
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.tick_params(colors=_INK, labelcolor=_INK)
    axes.grid(color=_GRID)
    for spine in axes.spines.values():
        spine.set_color(_GRID)
    axes.legend(labelcolor=_INK, frameon=False, loc="best")
