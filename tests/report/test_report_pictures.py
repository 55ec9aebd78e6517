"""The pictures of the HTML report, really drawn: any window, many labels, equal bytes each time, not too many."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from synthetic_run import Size, everything, fail, look_at, write_run

from hil.report.page.answers import confusion_plot
from hil.report.page.build import MOST_PLOT_BYTES, build_page
from hil.report.page.columns import read_table
from hil.report.page.plot import Plot, draw, drawing
from hil.report.page.worst import worst_plots


def test_the_same_run_gives_the_same_bytes_and_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    run = write_run(tmp_path, edit=everything)
    before = dict(matplotlib.rcParams)
    first = build_page(run, tmp_path)
    matplotlib.rcParams["font.size"] = 30
    try:
        assert build_page(run, tmp_path) == first
    finally:
        matplotlib.rcParams["font.size"] = before["font.size"]
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("shape", [(60, 12), (60, 30, 20, 1), (60, 24, 24, 3), (60, 5000, 1)])
def test_windows_of_any_shape_are_drawn(shape: tuple[int, ...], tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        file = tmp_path / "case0" / "vectors.npz"
        np.savez(file, windows=np.random.default_rng(1).integers(-100, 100, shape, np.int8))
        document["cases"][0]["manifest"]["files"]["vectors.npz"] = hashlib.sha256(file.read_bytes()).hexdigest()

    run = write_run(tmp_path, edit=edit)
    case = run.document.cases[0]
    with drawing():
        plots = worst_plots(case, read_table(run, case), tmp_path)
    size = " x ".join(map(str, shape[1:]))
    assert [size in plot.caption and len(plot.svg) > 2000 for plot in plots] == [True] * 6


def confusion(folder: Path, labels: int) -> Plot:
    def edit(document: dict) -> None:
        document["cases"][0]["decision"]["labels"] = [f"label {number}" for number in range(labels)]

    run = write_run(folder, edit=edit)
    with drawing():
        return confusion_plot(run.document.cases[0], read_table(run, run.document.cases[0]))


def test_sixty_four_labels_are_shown_and_more_are_not(tmp_path: Path) -> None:
    shown = confusion(tmp_path / "64", 64)
    assert re.findall(r">(label \d+)</text>", shown.svg) == [f"label {number}" for number in range(64)] * 2
    assert confusion(tmp_path / "65", 65).reason == "65 labels are more than the 64 that can be shown"


def test_a_page_with_many_cases_draws_the_broken_one_and_stops_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.report.page.build.MOST_PLOT_BYTES", 1_000)
    run = write_run(tmp_path, Size(vectors=8), names=("one", "two"), edit=lambda it: fail(it, "memory.flash", at=1))
    broken, passed = build_page(run, tmp_path).decode().split("<article")[1:]
    assert "<svg" in broken
    assert "<svg" not in passed
    assert "Not drawn: the case passed, and others of this run did not." in passed
    assert MOST_PLOT_BYTES < 1_500_000


def test_pictures_go_to_the_cases_that_need_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of one page when all passed; else to what broke first, then to what is marginal, as far as they reach."""

    def pages(edit: Callable[[dict], object] | None, folder: str) -> dict[str, bool]:
        run = write_run(tmp_path / folder, Size(vectors=8), names=("one", "two", "three"), edit=edit)
        articles = build_page(run, tmp_path / folder).decode().split("<article")[1:]
        return {re.findall(r'title">(\w+)', article)[0]: "<svg" in article for article in articles}

    def edit(document: dict) -> None:
        look_at(document, at=1)
        fail(document, "memory.flash", at=2)

    assert pages(None, "passed") == {"one": True, "two": True, "three": True}
    assert list(pages(edit, "mixed").items()) == [("three", True), ("two", True), ("one", False)]
    monkeypatch.setattr("hil.report.page.build.MOST_PLOT_BYTES", 1_000)
    assert pages(edit, "tight") == {"three": True, "two": False, "one": False}


def test_colours_follow_the_scheme_and_text_is_no_formula(tmp_path: Path) -> None:
    bad = "$\\frac{1} <b> #000001 url(#x)"
    with drawing():
        svg = draw(lambda figure: figure.text(0.1, 0.5, bad), 1.0, bad)
    assert "fill: var(--ink)" in svg
    assert re.findall(r"#0000\d\d", svg.replace("#000001 url", "")) == []
    assert "$\\frac{1} &lt;b&gt; #000001" in svg
