"""The page of a trend: one file that needs nothing else, says everything in text too, and is the same each time."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_run import figures, made_case, made_run, write_run

from hil.errors import UsageError
from hil.trend.html import page, svg, write_html
from hil.trend.trend import Trend, metric_of, run_files, trend

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Trend:
    """Two runs of version 1, then two of version 2; and one run of another case, whose name is not harmless."""
    folder = tmp_path_factory.mktemp("history")
    for day, (version, p50) in enumerate(((1, 1000), (1, 1100), (2, 900), (2, 950)), 1):
        latency = {"unit": "instructions", "stages": {"total": figures(p50)}}
        case = made_case(version=version, latency=latency)
        write_run(folder / str(day), made_run(case, board="a<b>&$x$", started=f"2026-03-0{day}T10:00:00+00:00"))
    write_run(folder / "other", made_run(made_case("<script>alert(1)</script>")))
    return trend("motion", metric_of("total.p99"), run_files([str(folder)]))


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_loads_nothing(found: Trend) -> None:
    tags = _Tags(page(found)).seen
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in tags)
    references = [
        value or "" for _, attrs in tags for key, value in attrs.items() if key in ("src", "href", "xlink:href")
    ]
    assert all(value.startswith("#") for value in references)


def test_texts_of_a_run_are_escaped(found: Trend) -> None:
    text = page(found)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "a&lt;b&gt;&amp;$x$" in text


def test_series_are_not_joined(found: Trend) -> None:
    """Each series is one path over its own runs: two versions of the case make two lines of two points."""
    root = ElementTree.fromstring(svg(found))
    paths = [
        path.get("d", "")
        for group in root.iter(f"{SVG}g")
        if (group.get("id") or "").startswith("line2d")
        for path in group.findall(f"{SVG}path")
        if "var(--series-" in path.get("style", "") and path.get("clip-path")
    ]
    assert [path.split().count("L") for path in paths] == [1, 1]


def test_every_run_stands_in_the_table_with_its_change(found: Trend) -> None:
    text = page(found)
    assert text.count("<tr><td>2026-03-0") == 4
    assert text.count("+100") == 1
    assert "+8.33 %" in text


def test_the_page_follows_light_and_dark(found: Trend) -> None:
    text = page(found)
    assert "prefers-color-scheme: dark" in text
    assert "#0102a0" not in text
    assert "#010203" not in text


def test_equal_trends_give_equal_pages(found: Trend) -> None:
    assert page(found) == page(found)


def test_a_page_that_cannot_be_written_is_misuse(found: Trend, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fix: give another --html"):
        write_html(found, tmp_path / "none" / "page.html")
