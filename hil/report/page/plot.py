"""Knows how a matplotlib figure becomes a small inline SVG whose colours follow the page's scheme."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hil.report.page.words import clip

# Colours that stand for a variable of the page's style sheet, which the SVG text names in their place.
INK, MUTED, LINE, ACCENT, GOOD, BAD, WARN = (f"#0000{code:02x}" for code in range(1, 8))
SERIES = tuple(f"#0001{code:02x}" for code in range(1, 7))
_VARIABLES = dict(
    zip(
        (INK, MUTED, LINE, ACCENT, GOOD, BAD, WARN, *SERIES),
        ("ink", "muted", "line", "accent", "good", "bad", "warn", *(f"s{n}" for n in range(1, 7))),
        strict=True,
    )
)
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
TINT = (0.31, 0.55, 0.95)  # of images, whose pixels cannot name a variable: readable on light and dark
WIDTH_IN = 5.2
_GROUPS = (
    "axes",
    "font",
    "xtick",
    "ytick",
    "lines",
    "patch",
    "image",
    "svg",
    "text",
    "figure",
    "savefig",
    "path",
    "grid",
)
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hil",
    "text.parse_math": False,
    "text.color": INK,
    "font.size": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
}
_WITHOUT = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class Plot:
    """A picture with its title and caption; what it shows is in the SVG's label too. reason: why there is none."""

    title: str
    caption: str = ""
    svg: str = ""
    reason: str = ""


@contextmanager
def drawing() -> Iterator[None]:
    """The settings of all pictures, entered once for a page; matplotlib is left as it was."""
    with matplotlib.rc_context(_defaults() | _SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font has not: the reader's browser has them
        yield


def draw(paint: Callable[[Figure], None], height_in: float, text: str, *, width_in: float = WIDTH_IN) -> str:
    """The figure that `paint` fills, as SVG; inside `drawing`. text: in words what it shows, its numbers included."""
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasSVG(figure)
    paint(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_WITHOUT)
    return _inline(buffer.getvalue(), text, width_in, height_in)


def _defaults() -> Any:
    """matplotlib's own settings for all that a figure shows, so that a user's matplotlibrc does not alter the page."""
    defaults = matplotlib.rcParamsDefault
    return {name: defaults[name] for name in defaults if name.split(".", 1)[0] in _GROUPS}


def _inline(svg: str, text: str, width_in: float, height_in: float) -> str:
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", svg, flags=re.S)
    body = body[body.index(">", body.index("<svg")) + 1 :]
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'(?<= style=")[^"]*', lambda found: _named_colours(found[0]), body)
    body = re.sub(r'(?<= (?:d|x|y)=")[^"]*|(?<= transform=")[^"]*', lambda found: _rounded(found[0]), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    size = f"0 0 {width_in * 72:g} {height_in * 72:g}"
    label = escape(clip(text, 4000))
    style = f"max-width:{width_in * 72 * 1.45:.0f}px"
    return f'<svg class="plot" role="img" viewBox="{size}" style="{style}" aria-label="{label}">{body}'


def with_own_ids(svg: str, prefix: str) -> str:
    """The same picture with names of its own, so that many fit into one page."""
    return re.sub(r'((?<= )id="|href="#|url\(#)', rf"\g<1>{prefix}", svg)


def _named_colours(style: str) -> str:
    style = re.sub(r"#000[01]0[0-9]", lambda found: f"var(--{_VARIABLES.get(found[0], 'ink')})", style)
    return re.sub(r"font: ([\d.]+)px [^;]*", r"font-size:\1px", style)


def _rounded(numbers: str) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", numbers)
