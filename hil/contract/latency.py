"""Knows the latency contract: ticks to units, distinct samples, percentiles, the bound that a limit is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from hil.case.types import STAGES, Case, LatencyLimit, Limit
from hil.contract.blame import Blame, Mask, blame, blocks, done, faulted
from hil.contract.ready import asked, unready
from hil.contract.repeats import Repeats, answer_check, run_differences
from hil.contract.statistics import minimum_samples, percentile, upper_bound
from hil.contract.types import Check, CheckResult, Evidence, ReplayDifference
from hil.contract.verdict import Sheet, broke_first, number, plural
from hil.records import GateReason

QUANTILES: Mapping[str, float] = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_SLOW_PATH = 0.1  # a vector that takes this share longer than the median went another way
STATISTICS = (*QUANTILES, "max")


class LatencySummary(TypedDict):
    """For reports: the clock's unit, and per stage n, min, p50, p95, p99, max (nearest rank) and mean."""

    unit: str
    stages: dict[str, dict[str, float]]


@dataclass(frozen=True)
class _Samples:
    """Ascending values of one stage over distinct samples, in units of the clock, and the vector of the largest."""

    ordered: NDArray[np.int64]
    slowest: int


def latency_summary(evidence: Evidence) -> LatencySummary:
    """The figures of prepare, invoke, decide and total over distinct samples, whatever the case limits.

    `stages` is empty when no vector was done. Percentiles here are point estimates; a limit is held to an upper bound.
    """
    rows, spent = _distinct(evidence)
    stages = {stage: _figures(np.sort(spent[:, column])) for column, stage in enumerate(STAGES)} if len(rows) else {}
    return LatencySummary(unit=evidence.clock.unit, stages=stages)


@dataclass(frozen=True)
class LatencySamples:
    """units [n, 4] of prepare, invoke, decide and total for all vectors, zeros where one was not done; rows [m]: the
    vectors that count as samples.
    """

    units: NDArray[np.int64]
    rows: NDArray[np.intp]


def latency_samples(evidence: Evidence) -> LatencySamples:
    """What the percentiles of a run are made of, for its archive."""
    rows = np.flatnonzero(done(evidence.records))
    units = np.zeros((len(evidence.records), len(STAGES)), np.int64)
    units[rows] = stage_units(evidence, rows)
    return LatencySamples(units, _distinct(evidence)[0])


def stage_units(evidence: Evidence, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Units spent in prepare, invoke, decide and in total, [rows, 4].

    Cumulative ticks become units first and are then subtracted, so that the stages add up to the total.
    """
    cumulative = evidence.clock.units(evidence.records.ticks[rows])
    stages = np.diff(cumulative, axis=1, prepend=0)
    return np.concatenate([stages, cumulative[:, 2:]], axis=1)


def distinct_windows(windows: NDArray[np.generic]) -> NDArray[np.intp]:
    """Group number of each window, [n]: windows with the same bytes share one.

    Grouped by a 64-bit multilinear hash of the bytes with random weights; two different windows meet with odds of at
    most 2**-57, as the difference of two bytes has no more than 7 factors of two.
    """
    flat = np.ascontiguousarray(windows).reshape(len(windows), -1).view(np.uint8)
    weights = np.random.default_rng(0x48494C).integers(0, 2**64, flat.shape[1], np.uint64)
    keys = np.empty(len(flat), np.uint64)
    for rows in blocks(np.arange(len(flat)), flat.shape[1]):
        keys[rows] = flat[rows].astype(np.uint64) @ weights
    return np.unique(keys, return_inverse=True)[1].astype(np.intp)


def _distinct(evidence: Evidence, among: Mask | None = None) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows of the vectors that count as samples, and their `stage_units`. among: only of these.

    On a deterministic clock equal windows are one sample. Decision state may still make them differ by some ticks: per
    stage the longest counts.
    """
    rows = np.flatnonzero(done(evidence.records) if among is None else done(evidence.records) & among)
    spent = stage_units(evidence, rows)
    if not evidence.clock.deterministic or not len(rows):
        return rows, spent
    group = distinct_windows(evidence.case.vectors.joined(rows))
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return rows[order[starts]], np.maximum.reduceat(spent[order], starts, axis=0)


def _samples(evidence: Evidence, stage: str, among: Mask | None = None) -> _Samples:
    """Raises ValueError when there is none."""
    rows, spent = _distinct(evidence, among)
    values = spent[:, STAGES.index(stage)]
    return _Samples(np.sort(values), int(rows[values.argmax()]))


def _figures(ordered: NDArray[np.int64]) -> dict[str, float]:
    points = {name: percentile(ordered, p) for name, p in QUANTILES.items()}
    return {"n": len(ordered), "min": int(ordered[0]), **points, "max": int(ordered[-1]), "mean": float(ordered.mean())}


def limits_of(case: Case, stage: str, statistic: str) -> tuple[LatencyLimit, ...]:
    """The case's limits on one statistic of one stage: at most one per unit."""
    return tuple(limit for limit in case.contracts.latency if (limit.stage, limit.statistic) == (stage, statistic))


def not_judged_here(evidence: Evidence, limit: LatencyLimit) -> str:
    """Why this board cannot judge this limit; "" when it can."""
    clock = evidence.clock
    if limit.clock != clock.kind:
        return f"{limit.limit}: needs a board whose clock counts {limit.clock}; {evidence.board} counts {clock.kind}"
    if limit.limit.unit == "ms" and clock.hz <= 0:
        return f"{limit.limit}: needs a clock of known frequency; {evidence.board} gives none"
    return ""


def _judge(stage: str, statistic: str, evidence: Evidence) -> CheckResult:
    check = f"latency.{stage}.{statistic}"
    limits = limits_of(evidence.case, stage, statistic)
    foreign = "; ".join(filter(None, (not_judged_here(evidence, limit) for limit in limits)))
    own = [limit for limit in limits if not not_judged_here(evidence, limit)]
    sheet = Sheet(check, evidence, (own or limits)[0].limit)
    if not own:
        return sheet.not_judged(foreign)
    if reason := unready(evidence) or asked(done(evidence.records), evidence):
        return sheet.not_judged(reason)
    if _clock_stands(sheet):
        return sheet.result()
    return _judge_limits(sheet, stage, statistic, own, f"not judged here: {foreign}" if foreign else "")


def _clock_stands(sheet: Sheet) -> bool:
    """Adds a finding when the ticks cannot be true: no inference takes no time, no stage takes less than none.

    An invoke that takes no time and brings a wrong output did not run: that is not the clock's fault.
    """
    evidence, found = sheet.evidence, blame(sheet.evidence)
    rows = np.flatnonzero(done(evidence.records))
    spent = np.diff(evidence.records.ticks[rows], axis=1, prepend=0)
    impossible = rows[(spent < 0).any(axis=1) | (spent[:, STAGES.index("invoke")] == 0)]
    clean = impossible[~found.broke[impossible]]
    expected = "ticks that do not fall from stage to stage, and an invoke that takes some"
    if len(clean):
        vector = int(clean[0])
        sheet.add(
            expected,
            f"ticks {evidence.records.ticks[vector].tolist()} at the end of prepare, invoke and decide"
            f" ({plural(len(impossible), 'such vector')})",
            vector=evidence.case.vectors.name(vector),
            hint="the clock of the port does not run, or wraps: look at its start and read functions",
        )
    else:
        sheet.blame_earlier(impossible, found, expected)
    return bool(len(impossible))


def _judge_limits(sheet: Sheet, stage: str, statistic: str, limits: list[LatencyLimit], reason: str) -> CheckResult:
    """Hold one statistic to all limits of this board's clock; the result shows the first broken one, else the first."""
    evidence = sheet.evidence
    samples = _samples(evidence, stage)
    figures = _figures(samples.ordered)
    bound = _bound(evidence, statistic, samples)
    if bound is None:
        if lost := _samples_lost(evidence, statistic):
            return sheet.not_judged(lost, figures)
        _too_few(sheet, stage, statistic, figures)
        return sheet.result(reason=reason, numbers=figures)
    broken = [limit for limit in limits if not limit.limit.holds(_in_unit(bound, limit.limit, evidence))]
    for limit in broken:
        sheet.limit = limit.limit
        if not _explained(sheet, limit):
            _too_slow(sheet, limit, bound, figures, samples.slowest)
    sheet.limit = (broken or limits)[0].limit
    return sheet.result(
        value=_in_unit(bound, sheet.limit, evidence), reason=reason, numbers={**figures, "bound": bound}
    )


def _bound(evidence: Evidence, statistic: str, samples: _Samples) -> int | None:
    """What a limit on the statistic is held against; None when there are too few samples for it."""
    if statistic not in QUANTILES:
        return int(samples.ordered[-1])
    return upper_bound(samples.ordered, QUANTILES[statistic], evidence.case.contracts.confidence)


def _explained(sheet: Sheet, limit: LatencyLimit) -> bool:
    """Answers first: adds the finding that points to what broke, when the limit holds without those vectors. With too
    few of the others for a bound, none of them may be above it.
    """
    evidence, found = sheet.evidence, blame(sheet.evidence)
    broken = done(evidence.records) & found.broke
    if not broken.any():
        return False
    if (done(evidence.records) & ~broken).any():
        clean = _samples(evidence, limit.stage, ~broken)
        bound = _bound(evidence, limit.statistic, clean)
        if not limit.limit.holds(_in_unit(int(clean.ordered[-1]) if bound is None else bound, limit.limit, evidence)):
            return False
    slow = np.flatnonzero(broken)
    spent = stage_units(evidence, slow)[:, STAGES.index(limit.stage)]
    over = [not limit.limit.holds(_in_unit(value, limit.limit, evidence)) for value in spent.tolist()]
    sheet.blame_earlier(slow[over], found, f"{limit.stage} {limit.statistic} {limit.limit}")
    return any(over)


def _samples_lost(evidence: Evidence, statistic: str) -> str:
    """Why there are too few samples for a bound, when the case has enough of them; "" when it has not."""
    wanted, found = evidence.references.gate == GateReason.VALID, blame(evidence)
    lost = np.flatnonzero(wanted & ~done(evidence.records))
    windows = evidence.case.vectors.joined(wanted)
    count = len(np.unique(distinct_windows(windows))) if evidence.clock.deterministic else len(windows)
    if not len(lost) or count < minimum_samples(QUANTILES[statistic], evidence.case.contracts.confidence):
        return ""
    see = "execution.fault" if faulted(evidence).any() or evidence.faults else found.check(int(lost[0]))
    return f"{plural(len(lost), 'vector')} brought no time, and too few are left for a bound: see {see}"


def _in_unit(value: float, limit: Limit, evidence: Evidence) -> float:
    """A value of the clock in the unit of the limit."""
    return value * 1000 / evidence.clock.hz if limit.unit == "ms" else float(value)


def _too_few(sheet: Sheet, stage: str, statistic: str, figures: dict[str, float]) -> None:
    confidence = sheet.evidence.case.contracts.confidence
    needed = minimum_samples(QUANTILES[statistic], confidence)
    largest = f"largest {stage} {number(figures['max'])} {sheet.evidence.clock.unit}"
    equal = "; equal windows are one sample on this clock" if sheet.evidence.clock.deterministic else ""
    sheet.add(
        f"{plural(needed, 'distinct sample')} for an upper bound of {statistic} at {number(100 * confidence)} %",
        f"{plural(int(figures['n']), 'distinct sample')}{equal}; {largest}",
        hint="add vectors with other windows, or limit a statistic that needs fewer samples",
    )


def _too_slow(sheet: Sheet, limit: LatencyLimit, bound: int, figures: dict[str, float], slowest: int) -> None:
    evidence, unit = sheet.evidence, limit.limit.unit

    def words(value: float) -> str:
        return f"{number(_in_unit(value, limit.limit, evidence))} {unit}"

    name = evidence.case.vectors.name(slowest)
    observed = words(bound)
    if limit.statistic in QUANTILES:
        point = figures[limit.statistic]
        confidence = number(100 * evidence.case.contracts.confidence)
        observed += f" (upper {confidence} % bound; {limit.statistic} itself {words(point)})"
    slow_stage, where = _where(evidence, slowest)
    sheet.add(
        f"{limit.stage} {limit.statistic} {limit.limit}",
        f"{observed}; max {words(figures['max'])} on {name}",
        stage=slow_stage if limit.stage == "total" else limit.stage,
        hint=f"on {name} {where}; compare with the accepted release, then look at compiler flags and kernels",
    )


def _where(evidence: Evidence, slowest: int) -> tuple[str, str]:
    """The stage that makes the slowest vector slow, in words: the one that leaves its own median most when that is a
    slow path, else the one that takes most.
    """
    _, spent = _distinct(evidence)
    usual = np.array([percentile(np.sort(spent[:, column]), 0.5) for column in range(len(STAGES))])
    shares = stage_units(evidence, np.array([slowest]))[0]
    unit, excess = evidence.clock.unit, shares - usual
    if excess[3] > _SLOW_PATH * usual[3]:
        worst = int(excess[:3].argmax())
        return STAGES[worst], (
            f"{STAGES[worst]} takes {number(int(shares[worst]))} {unit}, its p50 is {number(int(usual[worst]))}"
        )
    heaviest = int(shares[:3].argmax())
    total = f"{number(int(shares[heaviest]))} of {number(int(shares[3]))} {unit}"
    return STAGES[heaviest], f"most goes to {STAGES[heaviest]}: {total}"


def _asks(stage: str, statistic: str, case: Case) -> bool:
    return bool(limits_of(case, stage, statistic))


def _formula(statistic: str) -> str:
    if statistic == "max":
        return "largest of n distinct samples"
    p = f"{QUANTILES[statistic]:g}"
    return f"X(r) of n distinct samples, smallest r with P[Binomial(n, {p}) < r] >= confidence"


def _judge_repeat(evidence: Evidence) -> CheckResult:
    sheet, repeats = Sheet("latency.repeat", evidence), evidence.section(Repeats)
    runs = repeats.replay_runs + repeats.pass_runs
    if not evidence.clock.deterministic:
        return sheet.not_judged(f"needs a board whose clock repeats; that of {evidence.board} does not")
    if reason := unready(evidence) or ("" if runs else "no vector was run twice: see execution.repeat"):
        return sheet.not_judged(reason)
    found = blame(evidence)
    slow = [difference for difference in run_differences(evidence) if difference.field == "ticks"]
    explained = [(difference, _answer_first(evidence, found, difference)) for difference in slow]
    for difference, see in explained:
        if not see:
            sheet.add(
                f"ticks {difference.first}",
                f"{difference.again} {difference.place}, with the same output and decision",
                vector=evidence.case.vectors.name(difference.vector),
                stage=_first_difference(difference.first, difference.again),
                hint="the time of a window depends on what ran before: a slow path on a counter, a cache, an interrupt",
            )
    for see in dict.fromkeys(see for _, see in explained if see):
        those = [difference for difference, other in explained if other == see]
        sheet.add(
            "the same ticks",
            f"{plural(len(those), 'run')} took another time, but an answer broke first",
            vector=evidence.case.vectors.name(those[0].vector),
            stage=found.text(those[0].vector) or _first_difference(those[0].first, those[0].again),
            hint=see,
        )
    return sheet.result(numbers={"runs_compared": runs})


def _answer_first(evidence: Evidence, found: Blame, difference: ReplayDifference) -> str:
    """What broke on this vector, or in the same run of the set, before its time did; "" when nothing did."""
    if found.broke[difference.vector] or found.before_decide[difference.vector]:
        return broke_first(evidence, found, difference.vector)
    check = answer_check(evidence, difference)
    return f"answers did not repeat either, which comes first: see {check}" if check else ""


def _first_difference(first: str, again: str) -> str:
    """The stage at whose end two lists of cumulative ticks, as text, part; "" when they are no such lists."""
    pairs = zip(STAGES, first.strip("[]").split(", "), again.strip("[]").split(", "), strict=False)
    return next((stage for stage, one, other in pairs if one != other), "")


CHECKS = (
    *(
        Check(
            f"latency.{stage}.{statistic}",
            f"{statistic} of {stage if stage != 'total' else 'all stages together'}",
            _formula(statistic),
            partial(_asks, stage, statistic),
            partial(_judge, stage, statistic),
        )
        for stage in STAGES
        for statistic in STATISTICS
    ),
    Check(
        "latency.repeat",
        "a window takes the same time in every run",
        "runs with the same output and decision whose ticks differ = 0",
        lambda case: case.contracts.replays > 1 or case.contracts.passes > 1,
        _judge_repeat,
    ),
)
