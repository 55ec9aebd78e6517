"""Latency limits: units, distinct samples, clocks that cannot judge, and what a finding says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from hil.case.types import LatencyLimit, Limit
from hil.contract import CHECKS, judge, latency_summary
from hil.contract.latency import _first_difference, distinct_windows, stage_units
from hil.contract.types import Evidence, Outcome
from hil.records import ClockSpec, GateReason, Status

BY_ID = {check.id: check for check in CHECKS}
MS = LatencyLimit("total", "p99", "cycles", Limit(maximum=2.0, unit="ms"))
IN_CYCLES = LatencyLimit("total", "p99", "cycles", Limit(maximum=90_000, unit="cycles"))
INSTRUCTIONS = LatencyLimit("total", "p99", "instructions", Limit(maximum=60_000, unit="instructions"))


def test_stage_units_are_differences_of_rounded_up_totals(evidence: Evidence) -> None:
    """5/8 instruction a tick, rounded up: 3 -> 2, 5 -> 4 (3.125), 9 -> 6 (5.625)."""
    evidence.records.ticks[0] = (3, 5, 9)
    assert stage_units(evidence, np.array([0])).tolist() == [[2, 2, 2, 6]]


def test_stages_add_up_to_the_total(evidence: Evidence) -> None:
    units = stage_units(evidence, np.arange(320))
    assert np.array_equal(units[:, :3].sum(axis=1), units[:, 3])


def test_the_judged_value_is_the_order_statistic_of_the_bound(evidence: Evidence) -> None:
    """319 samples: the smallest r with P[Binomial(319, 0.95) < r] >= 0.95, from scipy's own distribution."""
    totals = np.sort(np.ceil(np.delete(evidence.records.ticks[:, 2], 7) * 5 / 8))
    rank = int(binom.ppf(0.95, 319, 0.95)) + 1
    result = judge(BY_ID["latency.total.p95"], evidence)
    assert result.value == totals[rank - 1]
    assert result.numbers["p95"] == totals[int(np.ceil(0.95 * 319)) - 1]
    assert result.numbers["max"] == totals[-1]
    assert result.numbers["mean"] == pytest.approx(totals.mean())
    assert result.unit == "instructions"


def test_equal_windows_are_one_sample_on_a_deterministic_clock(evidence: Evidence) -> None:
    evidence.case.vectors.windows[100:200] = evidence.case.vectors.windows[100]
    result = judge(BY_ID["latency.total.p99"], evidence)
    assert result.outcome is Outcome.FAILED
    assert "220 distinct samples; equal windows are one sample" in result.findings[0].observed
    assert judge(BY_ID["latency.total.p95"], evidence).numbers["n"] == 220


def test_equal_windows_are_samples_of_their_own_on_a_physical_clock(
    evidence: Evidence, with_contracts: Callable[..., Evidence], cycles: ClockSpec
) -> None:
    evidence.case.vectors.windows[:] = 0
    evidence = with_contracts(replace(evidence, clock=cycles), latency=(IN_CYCLES,))
    assert judge(BY_ID["latency.total.p99"], evidence).numbers["n"] == 319


def test_of_equal_windows_the_slowest_counts(evidence: Evidence) -> None:
    evidence.case.vectors.windows[100:110] = evidence.case.vectors.windows[100]
    evidence.records.ticks[105] += 800_000
    assert judge(BY_ID["latency.total.max"], evidence).value == np.ceil(evidence.records.ticks[105, 2] * 5 / 8)


@given(arrays(np.int16, (12, 2, 2), elements=st.integers(-1, 1)))
def test_windows_are_grouped_by_their_bytes(windows: np.ndarray) -> None:
    groups = distinct_windows(windows)
    raw = [window.tobytes() for window in windows]
    assert [[a == b for b in groups] for a in groups] == [[a == b for b in raw] for a in raw]


def test_windows_that_differ_in_sign_bits_alone_are_distinct() -> None:
    """Pairs of top bits cancel in a careless hash modulo a power of two."""
    bits = (np.arange(4096)[:, None] >> np.arange(12)) & 1
    assert len(set(distinct_windows((bits << 7).astype(np.uint8)).tolist())) == 4096


def test_a_clock_of_another_kind_judges_nothing_and_says_what_is_needed(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    result = judge(BY_ID["latency.total.p99"], with_contracts(evidence, latency=(MS,)))
    assert result.outcome is Outcome.NOT_JUDGED
    assert result.reason == "<= 2 ms: needs a board whose clock counts cycles; qemu counts instructions"


def test_a_limit_for_another_clock_is_named_beside_the_one_that_was_judged(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    result = judge(BY_ID["latency.total.p99"], with_contracts(evidence, latency=(MS, INSTRUCTIONS)))
    assert (result.outcome, result.limit) == (Outcome.PASSED, INSTRUCTIONS.limit)
    assert result.reason.startswith("not judged here: <= 2 ms")


def test_milliseconds_come_from_the_frequency_of_the_clock(
    evidence: Evidence, with_contracts: Callable[..., Evidence], cycles: ClockSpec
) -> None:
    """100 MHz: 250,000 cycles are 2.5 ms."""
    evidence.records.ticks[:] = (1000, 249_000, 250_000)
    evidence = with_contracts(replace(evidence, clock=cycles), latency=(MS,))
    result = judge(BY_ID["latency.total.p99"], evidence)
    assert (result.outcome, result.value, result.unit) == (Outcome.FAILED, 2.5, "ms")
    assert "2.5 ms" in result.findings[0].observed


def test_the_limit_that_breaks_is_the_one_shown(
    evidence: Evidence, with_contracts: Callable[..., Evidence], cycles: ClockSpec
) -> None:
    evidence.records.ticks[:] = (1000, 99_000, 100_000)  # 1 ms
    evidence = with_contracts(replace(evidence, clock=cycles), latency=(MS, IN_CYCLES))
    result = judge(BY_ID["latency.total.p99"], evidence)
    assert (result.outcome, result.value, result.limit) == (Outcome.FAILED, 100_000, IN_CYCLES.limit)
    assert result.findings[0].limit == "<= 90,000 cycles"


def test_milliseconds_need_a_known_frequency(
    evidence: Evidence, with_contracts: Callable[..., Evidence], cycles: ClockSpec
) -> None:
    evidence = with_contracts(replace(evidence, clock=replace(cycles, hz=0)), latency=(MS,))
    assert "known frequency" in judge(BY_ID["latency.total.p99"], evidence).reason


def test_the_slowest_vector_and_its_heaviest_stage_are_named(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    evidence.records.ticks[123] = (900_000, 901_000, 901_050)
    limit = LatencyLimit("total", "max", "instructions", Limit(maximum=100_000, unit="instructions"))
    finding = judge(BY_ID["latency.total.max"], with_contracts(evidence, latency=(limit,))).findings[0]
    assert "on #123" in finding.observed
    assert "on #123 prepare takes 562,500 instructions, its p50 is " in finding.hint
    assert finding.stage == "prepare"


def test_the_summary_holds_every_stage_in_the_unit_of_the_clock(evidence: Evidence) -> None:
    summary = latency_summary(evidence)
    assert summary["unit"] == "instructions"
    assert list(summary["stages"]) == ["prepare", "invoke", "decide", "total"]
    assert summary["stages"]["total"] == {
        name: judge(BY_ID["latency.total.max"], evidence).numbers[name]
        for name in ("n", "min", "p50", "p95", "p99", "max", "mean")
    }


def test_the_summary_is_empty_when_nothing_was_done(evidence: Evidence) -> None:
    evidence.records.status[:] = Status.NOT_RUN
    assert latency_summary(evidence)["stages"] == {}


@pytest.mark.parametrize(
    ("status", "gate", "see"),
    [(Status.REJECTED, GateReason.FLAT, "input.gate"), (Status.HANG, GateReason.VALID, "execution.fault")],
)
def test_samples_that_were_lost_are_no_want_of_vectors(
    evidence: Evidence, status: Status, gate: GateReason, see: str
) -> None:
    """299 are needed for p99, and the case has 319."""
    evidence.records.status[100:120], evidence.records.gate[100:120] = status, gate
    assert judge(BY_ID["latency.total.p99"], evidence).outcome is Outcome.PASSED
    evidence.records.status[120:122], evidence.records.gate[120:122] = status, gate
    result = judge(BY_ID["latency.total.p99"], evidence)
    assert (result.outcome, result.numbers["n"]) == (Outcome.NOT_JUDGED, 297)
    assert result.reason == f"22 vectors brought no time, and too few are left for a bound: see {see}"


def test_what_explains_a_slow_window_stands_beside_the_limit_that_it_breaks(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    evidence.records.ticks[0, 1:] += 160_000
    evidence.records.output[0, 0] ^= 1
    for statistic, samples in (("max", 1), ("p99", 30)):
        evidence.records.ticks[1:samples, 1:] += 160_000
        evidence.records.output[1:samples, 0] ^= 1
        limit = LatencyLimit("invoke", statistic, "instructions", Limit(maximum=60_000, unit="instructions"))
        (finding,) = judge(BY_ID[f"latency.invoke.{statistic}"], with_contracts(evidence, latency=(limit,))).findings
        assert finding.expected == f"invoke {statistic} <= 60,000 instructions"
        assert finding.hint == "execution broke first on this vector: see execution.output"


@pytest.mark.parametrize(
    ("first", "again", "stage"),
    [
        ("[1, 2, 3]", "[2, 2, 3]", "prepare"),
        ("[1, 2, 3]", "[1, 3, 3]", "invoke"),
        ("[1, 2, 3]", "[1, 2, 4]", "decide"),
        ("[1, 2, 3]", "[1, 2, 3]", ""),
        ("many", "many", ""),
        ("", "", ""),
    ],
)
def test_times_part_at_the_end_of_a_stage(first: str, again: str, stage: str) -> None:
    assert _first_difference(first, again) == stage
