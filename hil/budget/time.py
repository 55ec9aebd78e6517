"""The rows of a budget sheet that are about time: latency by stage, and the energy that follows from it.

Time is measured (cycles of a known frequency), planned (ms) or assumed (the plan says what an instruction takes).
"""

from __future__ import annotations

from collections.abc import Iterator

from hil.budget import energy as energy_of
from hil.budget.file import CLOCKS, STATISTICS, Amount, BudgetFile
from hil.budget.limits import CaseLimits
from hil.budget.types import Row, RunCase, Sources
from hil.case.types import STAGES

Key = tuple[str, str, str]  # clock of budget.toml (its unit), stage, statistic


def latency_limits(case: CaseLimits) -> dict[Key, float]:
    """The latency limits of case.toml."""
    return {(limit.unit, limit.stage, limit.statistic): limit.maximum for limit in case.latency}


def planned_latency(plan: BudgetFile, clock: str, stage: str, statistic: str) -> Amount | None:
    """What the plan says of one statistic of one stage on one clock."""
    amount: Amount | None = getattr(getattr(getattr(plan.latency, clock), stage), statistic)
    return amount


def latency_rows(sources: Sources) -> Iterator[Row]:
    """A row for each limit of case and plan; a stage without any has its p99 shown."""
    limits = latency_limits(sources.case) if sources.case is not None else {}
    run_unit = sources.run.clock.unit if sources.run is not None and sources.run.clock is not None else ""
    for clock in CLOCKS:
        for stage in STAGES:
            rows = [row for s in STATISTICS if (row := _latency_row(sources, limits, (clock, stage, s))) is not None]
            if not rows and clock == run_unit:
                rows = [Row(f"latency: {stage} p99", clock, actual=_spent(sources.run, stage, "p99", None)[0])]
            yield from rows


def _latency_row(sources: Sources, limits: dict[Key, float], key: Key) -> Row | None:
    clock, stage, statistic = key
    entry = planned_latency(sources.plan, *key) if sources.plan is not None else None
    if key not in limits and entry is None:
        return None
    budget = limits.get(key, entry.budget if entry is not None else None)
    spent, note = _spent_in(sources, clock, stage, statistic)
    planned, check = entry.planned if entry is not None else None, f"latency.{stage}.{statistic}"
    judged = check if key in limits else ""
    return Row(f"latency: {stage} {statistic}", clock, budget, planned, spent, note=note, check=judged)


def _spent_in(sources: Sources, unit: str, stage: str, statistic: str) -> tuple[float | None, str]:
    """What the run spent, in `unit`, and what is to be said of it; None when its clock cannot tell."""
    run = sources.run
    if run is None or run.clock is None or run.case.latency is None:
        return None, ""
    clock, confidence = run.clock, sources.case.confidence if sources.case is not None else None
    value, note = _spent(run, stage, statistic, confidence)
    if unit == clock.unit:
        return value, note
    if value is None or unit != "ms":
        return None, f"{run.board} counts {clock.kind}"
    seconds, how = _seconds(sources, value)
    if seconds is None:
        return None, how
    return 1000 * seconds, "; ".join(filter(None, (note, how)))


def _spent(run: RunCase | None, stage: str, statistic: str, confidence: float | None) -> tuple[float | None, str]:
    """In units of the run's clock: the bound that the gate judged where there is one, else the figure itself."""
    figures = run.case.latency.stages.get(stage) if run is not None and run.case.latency is not None else None
    if run is None or figures is None:
        return None, ""
    check = run.case.check(f"latency.{stage}.{statistic}")
    bound = check.numbers.get("bound") if check is not None else None
    if isinstance(bound, int | float) and statistic != "max":
        return bound, f"upper {100 * confidence:g} % bound" if confidence is not None else "upper bound"
    return float(getattr(figures, statistic)), ""


def _seconds(sources: Sources, units: float) -> tuple[float | None, str]:
    """Units of the run's clock as seconds: measured on a cycle clock, assumed where the plan says how; else None."""
    run, assumed = sources.run, sources.plan.assumed if sources.plan is not None else None
    assert run is not None
    assert run.clock is not None
    if run.clock.kind == "cycles" and run.clock.hz:
        return units / run.clock.hz, ""
    if run.clock.kind == "instructions" and assumed is not None:
        return units * assumed.cycles_per_instruction / assumed.core_hz, _assumption(sources)
    return None, f"{run.board} counts {run.clock.kind}, which are no time"


def _assumption(sources: Sources) -> str:
    assert sources.plan is not None
    assert sources.plan.assumed is not None
    assumed = sources.plan.assumed
    return f"assumed: {assumed.cycles_per_instruction:g} cycles an instruction at {assumed.core_hz / 1e6:g} MHz"


# ---- energy ----------------------------------------------------------------------------------------------------------


def energy_rows(sources: Sources) -> Iterator[Row]:
    """Duty cycle, power, daily energy, battery; without a rate there is nothing to say."""
    plan = sources.plan
    if plan is None or (plan.rate is None and not plan.energy.model_fields_set):
        return
    goals, (planned_s, planned_note), (actual_s, actual_note) = (
        plan.energy,
        _planned_seconds(plan),
        _actual_seconds(sources),
    )
    planned, actual = _energy(sources, planned_s), _energy(sources, actual_s)
    missing, times = _missing(sources, planned_s, actual_s), "; ".join(filter(None, (actual_note, planned_note)))
    note = missing or times
    if plan.rate is not None:
        planned_duty, actual_duty = _duty_percent(sources, planned_s), _duty_percent(sources, actual_s)
        yield Row("duty cycle", "%", 100.0, planned_duty, actual_duty, note=times or missing)
        if max(planned_duty or 0.0, actual_duty or 0.0) > 100:
            note = "the device cannot keep up with the rate"
    yield Row("average power", "mW", goals.average_mw, planned.average_mw, actual.average_mw, note=note)
    yield Row("energy a day", "mWh", goals.daily_mwh, planned.daily_mwh, actual.daily_mwh, note=note)
    days = planned.battery_days, actual.battery_days
    yield Row("battery", "days", goals.battery_days, *days, least=True, note=missing or _no_battery(sources) or note)


def _duty_percent(sources: Sources, inference_s: float | None) -> float | None:
    """Known also without the board's power, then without the time that a wake-up takes."""
    rate, power = sources.plan.rate if sources.plan else None, sources.board.power if sources.board else None
    if rate is None or inference_s is None:
        return None
    return 100 * rate.per_second * (inference_s + (power.wake_ms / 1000 if power is not None else 0.0))


def _energy(sources: Sources, inference_s: float | None) -> energy_of.Energy:
    power = sources.board.power if sources.board is not None else None
    plan = sources.plan
    if power is None or plan is None or plan.rate is None or inference_s is None:
        return energy_of.Energy(0.0)
    return energy_of.energy(power, inference_s, plan.rate.per_second, plan.energy.battery_mwh)


def _planned_seconds(plan: BudgetFile) -> tuple[float | None, str]:
    """Planned time of an inference: the first planned statistic of the total, in ms or in counts that are assumed to
    take time.
    """
    for clock in ("ms", "cycles", "instructions"):
        for statistic in STATISTICS:
            amount = planned_latency(plan, clock, "total", statistic)
            if amount is None or amount.planned is None:
                continue
            if clock == "ms":
                return amount.planned / 1000, f"from the planned {statistic} of {amount.planned:g} ms"
            if plan.assumed is not None:
                cycles = amount.planned * (plan.assumed.cycles_per_instruction if clock == "instructions" else 1)
                seconds, mhz = cycles / plan.assumed.core_hz, plan.assumed.core_hz / 1e6
                return seconds, f"assumed: {1000 * seconds:.4g} ms, the planned {clock} ({statistic}) at {mhz:g} MHz"
    return None, ""


def _actual_seconds(sources: Sources) -> tuple[float | None, str]:
    """Mean time of an inference of the run; None when its clock is no time."""
    run = sources.run
    if run is None or run.clock is None or run.case.latency is None or "total" not in run.case.latency.stages:
        return None, ""
    seconds, how = _seconds(sources, run.case.latency.stages["total"].mean)
    if seconds is None:
        return None, ""
    return seconds, "; ".join(filter(None, (how, f"mean of the run {1000 * seconds:.4g} ms")))


def _missing(sources: Sources, planned_s: float | None, actual_s: float | None) -> str:
    """Why there are no energy figures; "" when there are."""
    if sources.plan is not None and sources.plan.rate is None:
        return "needs a [rate] in budget.toml"
    if sources.board is None:
        return "needs a board with a [power] table: --board=NAME"
    if sources.board.power is None:
        return f"needs a [power] table in {sources.board.file}"
    if planned_s is None and actual_s is None:
        return "needs the time of an inference: a run that counts cycles, a planned total in ms, or [assumed]"
    return ""


def _no_battery(sources: Sources) -> str:
    power, plan = sources.board.power if sources.board is not None else None, sources.plan
    known = (power is not None and power.battery_mwh is not None) or (plan is not None and plan.energy.battery_mwh)
    return "" if known else "needs battery_mwh"
