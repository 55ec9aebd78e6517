"""A broken instrument makes what rests on it invalid, and nothing else; what it detected all the same stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_evidence import CYCLES, with_section

from hil.contract import CHECKS, checks_for, judge
from hil.contract.instruments.clock import ClockTest, Spin, Timed
from hil.contract.instruments.core import CoreTest
from hil.contract.instruments.guards import GuardTest, Trip
from hil.contract.instruments.link import LinkTest
from hil.contract.instruments.marks import Mark, MemoryTest, Plant, Sizes
from hil.contract.plain import PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.types import Evidence, FaultReport, Outcome, ReplayDifference, VectorFault
from hil.contract.witnessed import Witnessed
from hil.records import ClockSpec, CoreState, Status

BY_ID = {check.id: check for check in CHECKS}
LATENCY = {check.id for check in CHECKS if check.contract == "latency"}
BREAKS: dict[str, tuple[Callable[[Evidence], Evidence], set[str]]] = {
    "instruments.clock": (
        lambda evidence: with_section(evidence, ClockTest, slept=0),
        {*LATENCY, "instruments.stages", "execution.plain", "soak.repeat", "soak.latency"},
    ),
    "instruments.stages": (
        lambda evidence: with_section(evidence, ClockTest, plain=Timed(1000, 900_000, True)),
        LATENCY,
    ),
    "instruments.arena_mark": (
        lambda evidence: with_section(evidence, MemoryTest, arena=Mark(5000, 2500)),
        {"memory.arena", "memory.arena_headroom"},
    ),
    "instruments.stack_mark": (
        lambda evidence: with_section(evidence, MemoryTest, stack=Mark(2000, 1000)),
        {"memory.stack", "memory.stack_headroom"},
    ),
    "instruments.symbols": (
        lambda evidence: with_section(evidence, MemoryTest, sizes=Sizes(65536, 2048)),
        {"memory.stack", "memory.stack_headroom"},
    ),
    "instruments.deadline": (
        lambda evidence: with_section(
            evidence, GuardTest, deadline=replace(evidence.section(GuardTest).deadline, trip=Trip("spun"))
        ),
        {"execution.fault"},
    ),
    "instruments.stack_guard": (
        lambda evidence: with_section(evidence, GuardTest, stack=Trip("written")),
        {"execution.fault"},
    ),
    "instruments.null_guard": (
        lambda evidence: with_section(evidence, GuardTest, null=(Trip("read"),)),
        {"execution.fault"},
    ),
    "instruments.canaries": (
        lambda evidence: with_section(evidence, MemoryTest, plants=(Plant("below", 1, 0),)),
        {"execution.canaries"},
    ),
    "instruments.core": (
        lambda evidence: with_section(evidence, CoreTest, masked=CoreState(0, 0, 0, 0)),
        {"execution.core"},
    ),
}


@pytest.mark.parametrize("instrument", BREAKS)
def test_what_rests_on_a_broken_instrument_is_invalid(instrument: str, evidence: Evidence) -> None:
    damage, resting = BREAKS[instrument]
    results = {check.id: judge(check, damage(evidence)) for check in checks_for(evidence.case)}
    assert {name for name, result in results.items() if result.outcome is Outcome.INVALID} == {instrument, *resting}
    assert {result.outcome for result in results.values()} == {Outcome.INVALID, Outcome.PASSED}
    for name in resting:
        assert results[name].reason.startswith(f"{instrument} is broken: ")
        assert not results[name].findings


def test_a_canary_that_the_product_damages_itself_is_no_broken_instrument(evidence: Evidence) -> None:
    evidence.records.canaries[5] = 2
    plants = (Plant("above", 2, 2), Plant("above, later", 0, 2), Plant("below", 1, 3), Plant("below, later", 0, 2))
    evidence = with_section(evidence, MemoryTest, plants=plants, canaries=(0, 30))
    assert judge(BY_ID["instruments.canaries"], evidence).outcome is Outcome.PASSED
    assert judge(BY_ID["execution.canaries"], evidence).outcome is Outcome.FAILED
    deaf = with_section(evidence, MemoryTest, plants=(Plant("below", 1, 2),))
    assert judge(BY_ID["instruments.canaries"], deaf).outcome is Outcome.INVALID


def test_a_figure_of_a_broken_instrument_breaks_no_contract(evidence: Evidence) -> None:
    evidence.records.ticks[:, 2] += 1_000_000_000
    assert judge(BY_ID["latency.total.max"], evidence).outcome is Outcome.FAILED
    broken = with_section(evidence, ClockTest, slept=0)
    assert judge(BY_ID["latency.total.max"], broken).outcome is Outcome.INVALID


def test_what_a_broken_detector_found_all_the_same_stands(evidence: Evidence) -> None:
    evidence = with_section(evidence, GuardTest, stack=Trip("written"))
    evidence.records.status[12] = Status.FAULT
    faults = (VectorFault(12, Status.FAULT, FaultReport("hard fault", "invoke", "pc 0")),)
    assert judge(BY_ID["execution.fault"], replace(evidence, faults=faults)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("check", "silent", "reason"),
    [
        ("instruments.clock", ClockTest(tried=True), "it has no self-tests"),
        ("instruments.stages", ClockTest(tried=True), "it has no self-tests"),
        ("instruments.deadline", GuardTest(tried=True), "it has no self-tests"),
        ("instruments.stack_guard", GuardTest(tried=True), "it has no self-tests"),
        ("instruments.null_guard", GuardTest(tried=True), "it has no self-tests"),
        ("instruments.core", CoreTest(tried=True), "it has no self-tests"),
        ("instruments.core", CoreTest(tried=True, able=True), "does not tell"),
        ("instruments.canaries", MemoryTest(tried=True), "no symbol"),
        ("instruments.arena_mark", MemoryTest(tried=True), "no symbol"),
        ("instruments.stack_mark", MemoryTest(tried=True), "no symbol"),
        ("instruments.stack_mark", MemoryTest(tried=True, blind="no memory"), "no memory"),
        ("instruments.symbols", MemoryTest(tried=True), "no symbols"),
        ("execution.plain", PlainRuns(tried=True), "it has no plain way"),
        ("instruments.link", LinkTest(), "the run ended before"),
    ],
)
def test_a_firmware_that_does_not_tell_is_not_judged(
    check: str, silent: ClockTest, reason: str, evidence: Evidence
) -> None:
    result = judge(BY_ID[check], evidence.having(silent))
    assert result.outcome is Outcome.NOT_JUDGED
    assert reason in result.reason


def test_an_older_firmware_tells_nothing_of_window_and_core(evidence: Evidence) -> None:
    evidence.records.received[:] = evidence.records.core[:] = evidence.records.gate_ticks[:] = -1
    silent = evidence.having(Witnessed(tried=True))
    for check in ("input.received", "execution.core"):
        assert judge(BY_ID[check], silent).outcome is Outcome.NOT_JUDGED


def test_stages_of_one_length_must_be_alike_on_a_clock_of_cycles(evidence: Evidence) -> None:
    def on(units: tuple[int, ...]) -> Outcome:
        found = replace(evidence.section(ClockTest), spin=Spin(8_000_000, units, ()), slept=10**9)
        return judge(BY_ID["instruments.clock"], replace(evidence, clock=CYCLES).having(found)).outcome

    assert on((5_000_000, 10_000_000, 50_000_000, 55_000_000)) is Outcome.PASSED
    assert on((5_000_000, 5_000_000, 45_000_000, 50_000_000)) is Outcome.INVALID  # prepare without the gate
    assert on((5_000_000, 10_000_000, 33_222_784, 38_222_784)) is Outcome.INVALID  # wraps in invoke


def test_the_deadline_is_judged_by_the_rounds_that_were_done_on_a_clock_of_cycles(evidence: Evidence) -> None:
    """5 cycles a round, 333,333 rounds: 1,666,665 cycles."""
    spin = Spin(8_000_000, (5_000_000, 10_000_000, 50_000_000, 55_000_000))
    evidence = replace(evidence, clock=CYCLES).having(replace(evidence.section(ClockTest), spin=spin, slept=10**9))
    trip = evidence.section(GuardTest).deadline
    assert trip is not None
    for deadline, outcome in ((1_666_000, Outcome.PASSED), (1_000_000, Outcome.INVALID)):
        tried = with_section(evidence, GuardTest, deadline=replace(trip, deadline=deadline))
        assert judge(BY_ID["instruments.deadline"], tried).outcome is outcome


def test_host_time_judges_the_deadline_by_what_the_host_saw(evidence: Evidence) -> None:
    host = ClockSpec("host time", "ns", 1, 1, 10**9, False, 10**9)
    trip = evidence.section(GuardTest).deadline
    assert trip is not None
    for seconds, outcome in (
        (0.0005, Outcome.INVALID),
        (0.001, Outcome.PASSED),
        (1.5, Outcome.PASSED),
        (2.5, Outcome.INVALID),
    ):
        tried = with_section(evidence, GuardTest, deadline=replace(trip, seconds=seconds))
        assert judge(BY_ID["instruments.deadline"], replace(tried, clock=host)).outcome is outcome


def plain_times(evidence: Evidence, excess: tuple[int, int, int]) -> Evidence:
    found = evidence.section(PlainRuns)
    return with_section(evidence, PlainRuns, units=found.units + np.array(excess))


def test_one_slow_path_among_the_plain_windows_accuses_no_instrument(evidence: Evidence) -> None:
    assert judge(BY_ID["instruments.stages"], plain_times(evidence, (50_000, 0, 0))).outcome is Outcome.PASSED
    assert judge(BY_ID["instruments.stages"], plain_times(evidence, (50_000, 50_000, 0))).outcome is Outcome.INVALID


def test_a_window_whose_time_does_not_repeat_says_nothing_of_who_looks(evidence: Evidence) -> None:
    """It was slow when it was measured, and fast the second time: latency.repeat tells."""
    faster = plain_times(evidence, (0, -40_000, 0))
    assert judge(BY_ID["execution.plain"], faster).outcome is Outcome.FAILED
    unsteady = ReplayDifference(9, "pass", 1, "ticks", "[1, 2, 3]", "[1, 2, 4]")
    assert (
        judge(BY_ID["execution.plain"], with_section(faster, Repeats, differences=(unsteady,))).outcome
        is Outcome.PASSED
    )
    once = with_section(faster, Repeats, pass_runs=0)
    assert judge(BY_ID["execution.plain"], once).outcome is Outcome.PASSED
    assert judge(BY_ID["execution.plain"], plain_times(once, (-40_000, 0, -40_000))).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("inside", "outside", "wire", "said"),
    [
        (900, 1_900, 1_000, ""),
        (890, 2_000, 1_000, "about 1,000 "),
        (890, 2_000, 0, "about 2,000 "),
        (2_099, 2_000, 1_000, ""),
        (2_101, 2_000, 1_000, "not above 2,000 "),
    ],
)
def test_what_a_wire_takes_is_left_out_where_the_clock_shows_little_and_not_where_it_shows_much(
    evidence: Evidence, inside: int, outside: int, wire: int, said: str
) -> None:
    spin = replace(evidence.section(ClockTest).spin, counted=(Timed(inside, outside, False, wire),))
    result = judge(BY_ID["instruments.clock"], with_section(evidence, ClockTest, spin=spin))
    found = [finding.expected for finding in result.findings]
    assert [expected[: len(said)] for expected in found] == ([said] if said else [])
