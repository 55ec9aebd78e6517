"""`hil trend`: the runs in order, compared only with their like, and nothing left out in silence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_run import CYCLES, figures, made_case, made_check, made_run, write_run

from hil.errors import UsageError
from hil.trend.commands import add_trend_command
from hil.trend.text import ASCII, HEIGHT, UNICODE, glyphs_for, lines, plot
from hil.trend.trend import Metric, Trend, metric_of, run_files, trend

P99 = metric_of("total.p99")


def timed(p50: int, **changes: Any) -> dict[str, Any]:
    """A case whose total has this p50, and a p99 that is 200 above it."""
    return made_case(latency={"unit": "instructions", "stages": {"total": figures(p50)}}, **changes)


class History:
    """A folder of runs, one a day."""

    def __init__(self, path: Path) -> None:
        self.path, self.day = path, 0

    def add(self, case: dict[str, Any], day: int = 0, **changes: Any) -> Path:
        self.day += 1
        started = f"2026-03-{day or self.day:02}T10:00:00+00:00"
        return write_run(self.path / f"run{self.day}", made_run(case, started=started, **changes))

    def trend(self, metric: Metric = P99, last: int | None = None) -> Trend:
        return trend("motion", metric, run_files([str(self.path)]), last)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_runs_stand_in_the_order_in_which_they_started(history: History) -> None:
    for day, p50 in ((3, 300), (1, 100), (2, 200)):
        history.add(timed(p50), day=day)
    assert [point.value for point in history.trend().points] == [300, 400, 500]


def test_the_change_is_to_the_run_before(history: History) -> None:
    for p50 in (800, 1000, 900):
        history.add(timed(p50))
    points = history.trend().points
    assert [point.change for point in points] == [None, 200, -100]
    assert [point.change_percent for point in points][1:] == [pytest.approx(20.0), pytest.approx(-100 / 12)]


def test_another_board_clock_or_version_is_a_series_of_its_own(history: History) -> None:
    history.add(timed(1000))
    history.add(timed(5000), board="renode")
    history.add(timed(9000, version=2))
    history.add(timed(1100))
    found = history.trend()
    assert [(series.board, series.version) for series in found.series] == [("qemu", 1), ("renode", 1), ("qemu", 2)]
    assert [point.change for point in found.points] == [None, None, None, 100]


def test_cycles_and_instructions_share_no_axis(history: History) -> None:
    history.add(timed(1000))
    cycles = made_case(latency={"unit": "cycles", "stages": {"total": figures(2000)}})
    history.add(cycles, clock=CYCLES)
    assert history.trend().units == ("instructions", "cycles")


def test_the_newest_runs_are_kept_with_their_change(history: History) -> None:
    for p50 in (100, 200, 400):
        history.add(timed(p50))
    (point,) = history.trend(last=1).points
    assert (point.value, point.change) == (600, 200)


FIGURES = {
    "arena": 3600,
    "stack": 984,
    "flash": 207_000,
    "image": 200_000,
    "bundle": 7000,
    "ram": 90_000,
    "accuracy": 0.97,
    "decision.accuracy": 0.97,
    "agreement.top1": 0.99,
    "invoke.max": 500_300,
    "prepare.mean": 10_000,
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_metric_is_the_figure_of_the_run(history: History, name: str) -> None:
    history.add(made_case())
    assert history.trend(metric_of(name)).points[0].value == FIGURES[name]


@pytest.mark.parametrize(("name", "close"), [("totl.p99", "total.p99"), ("arenas", "arena"), ("host_seconds", "")])
def test_an_unknown_metric_is_misuse(name: str, close: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{close}'" if close else "fix: use one of arena"):
        metric_of(name)


MEMORY = made_case()["memory"]
NO_VALUE = made_check("decision.accuracy", 0.0) | {"value": None, "outcome": "not judged", "reason": "no label"}
LACKING = {
    "another case": (made_case("other"), P99, "has no case 'motion'"),
    "a case that broke": (made_case(error="BoardError: gone\nx"), P99, "BoardError: gone"),
    "no vector done": (made_case(latency={"unit": "instructions", "stages": {}}), P99, "no vector was done"),
    "no mark": (made_case(memory=MEMORY | {"arena_high_water": 0}), metric_of("arena"), "no mark of the arena"),
    "workstation": (made_case(memory=MEMORY | {"host": True}), metric_of("flash"), "built for a workstation"),
    "no such check": (made_case(checks=[]), metric_of("accuracy"), "does not ask for decision.accuracy"),
    "not judged": (made_case(checks=[NO_VALUE]), metric_of("accuracy"), "no label"),
}


@pytest.mark.parametrize("kind", LACKING)
def test_a_run_without_the_figure_is_told(history: History, kind: str) -> None:
    case, metric, words = LACKING[kind]
    history.add(made_case())
    lacking = history.add(case)
    found = history.trend(metric)
    assert len(found.points) == 1
    (left,) = found.left_out
    assert left.file == lacking
    assert words in left.reason
    assert any(words in line and str(lacking) in line for line in lines(found, 80))


def test_a_damaged_file_is_told_and_the_others_stay(history: History) -> None:
    history.add(timed(100))
    history.add(timed(200)).write_text("{")
    found = history.trend()
    assert (len(found.points), len(found.left_out)) == (1, 1)


def test_no_run_with_the_figure_is_misuse_that_says_why(history: History) -> None:
    history.add(made_case("other"))
    with pytest.raises(UsageError, match=r"no run has total\.p99 of case motion\n.*only: other\n  fix: "):
        history.trend()


def test_files_folders_and_patterns_name_each_run_once(history: History) -> None:
    files = [history.add(timed(p50)) for p50 in (1, 2, 3)]
    assert run_files([str(history.path / "run*"), str(files[0]), str(history.path)]) == files
    with pytest.raises(UsageError, match=r"no run\.json there"):
        run_files([str(history.path / "none*")])


def test_the_plot_has_ten_lines_and_its_ends_are_the_extremes(history: History) -> None:
    for p50 in (100, 300, 200):
        history.add(timed(p50))
    title, *rows = plot(history.trend(), "instructions", 60, ASCII)
    assert title == "instructions:"
    assert len(rows) == HEIGHT + 2
    assert rows[0].startswith("500 |")
    assert rows[HEIGHT - 1].startswith("300 |")
    assert rows[0].index("o") > rows[HEIGHT - 1].index("o")


@given(
    values=st.lists(st.integers(0, 10**9), min_size=2, max_size=50),
    width=st.integers(20, 200),
)
def test_a_plot_never_leaves_its_width_and_shows_each_run_once(values: list[int], width: int) -> None:
    found = _trend_of(values)
    rows = list(plot(found, "instructions", width, ASCII))
    assert max(map(len, rows)) <= max(width, 13 + 2 + 10)
    room = max(8, width - max(len(f"{value:,}") for value in values) - 2)
    assert sum(row.count("o") for row in rows[1 : HEIGHT + 1]) == min(len(values), room)


def _trend_of(values: list[int]) -> Trend:
    from datetime import UTC, datetime, timedelta

    from hil.trend.trend import Point, Series

    series, start = Series("qemu", "instructions", 1, "instructions"), datetime(2026, 3, 1, tzinfo=UTC)
    points = (
        Point(start + timedelta(days=day), series, value, Path("run.json"), "") for day, value in enumerate(values)
    )
    return Trend("motion", P99, tuple(points), ())


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("nonsense", ASCII)],
)
def test_a_terminal_gets_what_it_can_show(encoding: str | None, glyphs: object) -> None:
    assert glyphs_for(encoding) is glyphs


def test_the_command_prints_the_table_and_writes_the_page(
    history: History, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for p50 in (800, 1000):
        history.add(timed(p50))
    parser = argparse.ArgumentParser()
    add_trend_command(parser.add_subparsers())
    page = tmp_path / "trend.html"
    options = parser.parse_args(["trend", "motion", str(history.path), "--html", str(page)])
    assert options.run(options) == 0
    text = capsys.readouterr().out
    assert "1,200" in text
    assert "+20.00 %" in text
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
