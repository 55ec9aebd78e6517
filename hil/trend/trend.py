"""One figure of a case over many runs: which runs have it, in which order, and which of them may be compared at all."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hil import runfile
from hil.case.types import CONTRACTS, STAGES
from hil.errors import UsageError
from hil.runfile import RUN_FILE, Run, read_run

STATISTICS = ("min", "p50", "p95", "p99", "max", "mean")
SIZES = {
    # name: key of `memory` in run.json
    "arena": "arena_high_water",
    "stack": "stack_high_water",
    "flash": "flash_bytes",
    "image": "image_flash_bytes",
    "bundle": "bundle_bytes",
    "ram": "ram_bytes",
}
_MARKS = ("arena", "stack")  # 0 means that nothing was measured
_SHORT = {"accuracy": "decision.accuracy"}


@dataclass(frozen=True)
class Metric:
    """A figure by its name: `total.p99`, `arena`, or the value of a check such as `agreement.top1`."""

    name: str

    @property
    def check(self) -> str:
        """The check whose value it is; "" for what stands elsewhere in a run.json."""
        return "" if self.name in SIZES or self.stage else _SHORT.get(self.name, self.name)

    @property
    def stage(self) -> str:
        stage = self.name.split(".")[0]
        return stage if stage in STAGES else ""


@dataclass(frozen=True)
class Series:
    """What may be joined by a line: one board, one clock, one version of the case, one unit."""

    board: str
    clock: str
    version: int
    unit: str

    def __str__(self) -> str:
        return f"{self.board} ({self.clock}), version {self.version}"


@dataclass(frozen=True)
class Point:
    """One run. change: to the run before it in its series, None for the first."""

    started: datetime
    series: Series
    value: float
    file: Path
    firmware_sha256: str
    change: float | None = None

    @property
    def change_percent(self) -> float | None:
        """None when there is none, or when it starts from 0."""
        before = None if self.change is None else self.value - self.change
        return 100 * self.change / abs(before) if self.change is not None and before else None


@dataclass(frozen=True)
class LeftOut:
    """A file that gives no point, and why."""

    file: Path
    reason: str


@dataclass(frozen=True)
class Trend:
    """All points in the order in which the runs started."""

    case: str
    metric: Metric
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def series(self) -> tuple[Series, ...]:
        """In order of first use."""
        return tuple(dict.fromkeys(point.series for point in self.points))

    @property
    def units(self) -> tuple[str, ...]:
        """In order of first use: figures of two units do not share an axis."""
        return tuple(dict.fromkeys(series.unit for series in self.series))


class _NoFigure(Exception):
    """This run does not have the figure; the text says why."""


def metric_of(name: str) -> Metric:
    """Raises UsageError for a name that no run can have."""
    head, _, tail = name.partition(".")
    known = (
        name in SIZES or name in _SHORT or (head in STAGES and tail in STATISTICS) or (head in CONTRACTS and bool(tail))
    )
    if not known:
        names = [*SIZES, *_SHORT, *(f"{stage}.{statistic}" for stage in STAGES for statistic in STATISTICS)]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(names)}, or the id of a check"
        raise UsageError(f"there is no metric {name!r}\n  fix: {hint}")
    return Metric(name)


def run_files(arguments: Sequence[str]) -> list[Path]:
    """The run.json files that files, folders and patterns mean, each once. A folder without a run.json of its own means
    all below it. Raises UsageError for an argument that means none.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        paths = (
            [Path(argument)]
            if Path(argument).exists()
            else [Path(name) for name in sorted(glob.glob(argument, recursive=True))]
        )
        files = [file for path in paths for file in _files_at(path)]
        if not files:
            raise UsageError(
                f"{argument}: no run.json there\n  fix: give run.json files, folders that hold some, or a pattern"
            )
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _files_at(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [path / RUN_FILE] if (path / RUN_FILE).is_file() else sorted(path.rglob(RUN_FILE))


def trend(case: str, metric: Metric, files: Sequence[Path], last: int | None = None) -> Trend:
    """The figure over the `last` runs of the case. Raises UsageError when no run has it."""
    points: list[Point] = []
    left_out: list[LeftOut] = []
    for file in files:
        try:
            run = read_run(file)
            points.append(_point(run, run.case(case), metric))
        except UsageError as error:
            left_out.append(LeftOut(file, str(error).splitlines()[0].removeprefix(f"{file}: ")))
        except _NoFigure as error:
            left_out.append(LeftOut(file, str(error)))
    if not points:
        why = "".join(f"\n  {each.file}: {each.reason}" for each in left_out)
        fix = "name runs of this case, or another --metric"
        raise UsageError(f"no run has {metric.name} of case {case}{why}\n  fix: {fix}")
    points.sort(key=lambda point: point.started)
    return Trend(case, metric, _with_changes(points)[-last if last is not None else 0 :], tuple(left_out))


def _with_changes(points: Sequence[Point]) -> tuple[Point, ...]:
    before: dict[Series, float] = {}
    changed = []
    for point in points:
        change = point.value - before[point.series] if point.series in before else None
        before[point.series] = point.value
        changed.append(replace(point, change=change))
    return tuple(changed)


def _point(run: Run, case: runfile.Case, metric: Metric) -> Point:
    """The run's point. Raises _NoFigure."""
    if case.error:
        raise _NoFigure(f"the case did not come to its end: {case.error.splitlines()[0]}")
    value, unit = _figure(case, metric)
    board, clock = run.document.board, run.document.board.clock
    counts = "no clock" if clock is None else clock.kind + (f" at {clock.hz / 1e6:g} MHz" if clock.hz else "")
    series = Series(board.name, counts, case.version, unit)
    firmware = case.image.sha256 if case.image is not None else ""
    return Point(_time(run.document.started, run.file), series, value, run.file, firmware)


def _time(text: str, file: Path) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{file}: started: {text!r} is no time\n  fix: take the file as the run wrote it") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _figure(case: runfile.Case, metric: Metric) -> tuple[float, str]:
    """Value and unit. Raises _NoFigure."""
    if metric.stage:
        stages = case.latency.stages if case.latency is not None else {}
        if case.latency is None or metric.stage not in stages:
            raise _NoFigure("no vector was done")
        return float(getattr(stages[metric.stage], metric.name.split(".")[1])), case.latency.unit
    if metric.name in SIZES:
        return _size(case, metric), "bytes"
    check = case.check(metric.check)
    if check is None:
        raise _NoFigure(f"the case does not ask for {metric.check}")
    if check.value is None:
        raise _NoFigure(f"{metric.check}: {check.reason or check.outcome}")
    return check.value, check.unit


def _size(case: runfile.Case, metric: Metric) -> float:
    if case.memory is None:
        raise _NoFigure("it holds no sizes")
    value = int(getattr(case.memory, SIZES[metric.name]))
    if case.memory.host:
        raise _NoFigure("built for a workstation: its sizes are not the product's")
    if not value and metric.name in _MARKS:
        raise _NoFigure(f"no mark of the {metric.name} was measured")
    return float(value)
