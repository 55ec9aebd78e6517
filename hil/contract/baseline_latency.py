"""Knows how the time of a stage is held against the accepted one, which stage is to blame, and what grew inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.baseline.columns import Columns
from hil.baseline.types import Figures
from hil.case.types import PARTS, STAGES
from hil.contract import measured
from hil.contract.accepted import accepted, other_compiler, put_in, same_work, standing
from hil.contract.ready import unready
from hil.contract.regression import STATISTICS, fewest_windows, grown, growth
from hil.contract.types import CheckResult, Evidence
from hil.contract.verdict import Sheet, number, plural

_SHOWN_OPERATORS = 3
_LONG = 1000  # units: a stage shorter than this has no factor worth naming
# Two runs of the same window on one board agree within 0.01 % of its whole time: what the clock itself cannot tell.
_FLOOR = 0.0002
# Seen on qemu: decide counts one instruction more on one window of 523 when only the length of invoke changed.
_TICK = 1


@dataclass(frozen=True)
class Pair:
    """The same windows in both runs: units [m, 4] of prepare, invoke, decide and total, and their rows in the case."""

    rows: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    figures_before: dict[str, Figures]
    figures_after: dict[str, Figures]

    def column(self, stage: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        index = STAGES.index(stage)
        return self.before[:, index], self.after[:, index]

    def figures(self, stage: str) -> tuple[Figures, Figures]:
        return self.figures_before[stage], self.figures_after[stage]

    def swapped(self) -> Pair:
        """As if time ran the other way: what grew is then what became faster."""
        return Pair(self.rows, self.after, self.before, self.figures_after, self.figures_before)


@dataclass(frozen=True)
class Slower:
    """The statistics of a stage that grew, over which windows, and the share of growth that would have been allowed."""

    statistics: Sequence[str]
    before: Figures
    now: Figures
    allowed: float
    where: str


def pair(evidence: Evidence) -> Pair:
    """The windows that count as samples in both runs.

    Figures are those of each run; when one lost windows, both are computed again over those that they share.
    """
    first, second = accepted(evidence).columns, measured.columns(evidence)
    rows = np.intersect1d(first.samples, second.samples)
    before, after = _with_total(first, rows), _with_total(second, rows)
    if len(rows) == len(first.samples) == len(second.samples):
        figures: list[dict[str, Figures]] = [dict(accepted(evidence).latency), dict(measured.latency(evidence))]
    else:
        figures = [
            {stage: measured.figures_of(units[:, column]) for column, stage in enumerate(STAGES)} if len(rows) else {}
            for units in (before, after)
        ]
    return Pair(rows, before, after, *figures)


def judge_stage(stage: str, evidence: Evidence) -> CheckResult:
    """The check of one stage. That of the total is not judged when a stage explains it."""
    sheet = Sheet(f"baseline.latency.{stage}", evidence)
    if reason := standing(evidence) or _no_times(evidence):
        return sheet.not_judged(reason)
    both = pair(evidence)
    if reason := _too_few(evidence, both):
        return sheet.not_judged(reason)
    before, now = both.figures(stage)
    numbers = {key: value for name in STATISTICS for key, value in _pair_of(name, before, now)}
    blamed = [part for part in PARTS if stage == "total" and regressed(evidence, both, part)]
    if blamed:
        see = ", ".join(f"baseline.latency.{part}" for part in blamed)
        return sheet.not_judged(f"a stage explains it: see {see}", numbers)
    if found := regressed(evidence, both, stage):
        _add(sheet, both, stage, found)
    return sheet.result(value=_percent(before.mean, now.mean), unit="% of the accepted mean", numbers=numbers)


def regressed(evidence: Evidence, both: Pair, stage: str) -> Slower | None:
    """What grew, if anything did.

    On a clock that repeats, windows on which the stage made the same of the same must not take longer; other work takes
    other time, so that only growth of some size counts there. On measured cycles the test over the pairs decides.
    """
    tolerance, (first, now) = evidence.case.contracts.baseline, both.figures(stage)
    effect, floor = tolerance.latency_effect, _FLOOR * both.figures_before["total"].p50
    if not evidence.clock.deterministic:
        found = growth(*both.column(stage), effect=effect, floor=floor)
        names = [name for name in STATISTICS if getattr(now, name) > getattr(first, name)]
        return Slower(names, first, now, effect, str(found)) if found else None
    same = same_work(evidence, stage)[both.rows]
    before, after = both.column(stage)
    after = np.where(np.abs(after - before) <= _TICK, before, after)
    if same.any():
        figures = measured.figures_of(before[same]), measured.figures_of(after[same])
        if names := grown(*figures, tolerance.latency):
            where = "" if same.all() else f"over the {plural(int(same.sum()), 'window')} that it made the same of"
            shown = (first, now) if same.all() else figures
            return Slower(names, *shown, tolerance.latency, where)
    least = max(effect, tolerance.latency)
    names = [] if same.all() else grown(measured.figures_of(before), measured.figures_of(after), least, floor)
    return Slower(names, first, now, least, "") if names else None


def _no_times(evidence: Evidence) -> str:
    clock = evidence.clock
    if not measured.comparable_clock(clock):
        return f"needs a board whose clock counts instructions or cycles; {evidence.board} counts {clock.kind}"
    return other_compiler(evidence) or unready(evidence)


def _too_few(evidence: Evidence, both: Pair) -> str:
    if not len(both.rows):
        return "no vector came through in both runs: see execution.complete and input.gate"
    units = measured.columns(evidence).units[both.rows]
    if (units < 0).any() or not units[:, 1].all():
        return "the clock of the port does not run, or wraps: an inference takes some time, and no stage less than none"
    if not evidence.clock.deterministic and len(both.rows) < fewest_windows():
        return f"needs {fewest_windows()} windows in both runs on a clock with noise, there are {len(both.rows)}"
    return ""


def _add(sheet: Sheet, both: Pair, stage: str, found: Slower) -> None:
    evidence = sheet.evidence
    first, second = both.column(stage)
    slower = second > first
    most = int((second - first).argmax())
    name = evidence.case.vectors.name(int(both.rows[most]))
    windows = f"{int(slower.sum()):,} of {plural(len(slower), 'window')} slower"
    figures = [
        f"{point} {_change(getattr(found.before, point), getattr(found.now, point))}" for point in found.statistics
    ]
    allowed = f" by more than {number(100 * found.allowed)} %" if found.allowed else ""
    sheet.add(
        f"{stage} not above the accepted{allowed}",
        "; ".join(
            filter(
                None,
                (
                    f"{', '.join(figures)} {evidence.clock.unit}",
                    found.where,
                    f"{windows}, most {name}: {_change(first[most], second[most])}",
                ),
            )
        ),
        vector=name if slower.mean() < 0.5 else "",
        stage="" if stage == "total" else stage,
        hint="; ".join(filter(None, (_operators(evidence, stage), _same_factor(both), put_in(evidence)))),
    )


def _change(before: float, now: float) -> str:
    """`11,487 -> 11,900 (+3.6 %)`."""
    shown = [f"{value:,.1f}" if isinstance(value, float) else f"{int(value):,}" for value in (before, now)]
    return f"{shown[0]} -> {shown[1]} ({_percent(before, now):+.3g} %)"


def _percent(before: float, now: float) -> float:
    if before == 0:
        return 0.0 if now == 0 else float("inf")
    return 100 * (float(now) - float(before)) / float(before)


def operator_growth(evidence: Evidence) -> list[tuple[str, int, int]]:
    """Operators of one profiled vector in both runs, (name, accepted units, units now), in the order of the model.

    Empty when either run has none, or when they are not the same operators on the same vector.
    """
    before, now = accepted(evidence).operators, measured.operators(evidence)
    same = [(item.index, item.operator) for item in before] == [(item.index, item.operator) for item in now]
    if not same or accepted(evidence).operators_vector != measured.operators_vector(evidence):
        return []
    return [(f"{old.operator} #{old.index}", old.units, new.units) for old, new in zip(before, now, strict=True)]


def _operators(evidence: Evidence, stage: str) -> str:
    """The operators that grew most, for invoke."""
    pairs = [item for item in operator_growth(evidence) if item[2] > item[1]] if stage == "invoke" else []
    pairs.sort(key=lambda item: item[1] - item[2])
    words = [f"{name} {_change(before, now)}" for name, before, now in pairs[:_SHOWN_OPERATORS]]
    unit = evidence.clock.unit
    return f"on {measured.operators_vector(evidence)} most grew {', '.join(words)} {unit}" if words else ""


def _same_factor(both: Pair) -> str:
    """All longer stages by one factor: not the work grew, but what runs it."""
    pairs = [(both.figures_before[stage].mean, both.figures_after[stage].mean) for stage in PARTS]
    factors = [now / before for before, now in pairs if before >= _LONG]
    least = min(factors, default=1.0) - 1
    if len(factors) < 2 or least <= 0.001 or max(factors) - 1 > 1.1 * least:
        return ""
    return f"all stages by the same {number(round(factors[0], 4))}: clock, wait states, compiler flags?"


def _pair_of(name: str, before: Figures, now: Figures) -> tuple[tuple[str, float], tuple[str, float]]:
    return (name, getattr(now, name)), (f"{name}_accepted", getattr(before, name))


def _with_total(columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    units = columns.units[rows] if len(rows) else np.zeros((0, 3), np.int64)
    return np.concatenate([units, units.sum(axis=1, keepdims=True)], axis=1)
