"""The frequency of a cycle counter is found from two reads of it, and the uncertainty covers what it can be off by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.bench.cycle_clock import Frequency, measure


class Probe:
    """A counter that is read over a wire: the count is taken at some part of the way there and back."""

    def __init__(self, hz: float, trips_s: list[float], parts: list[float], start: int = 0) -> None:
        self.hz, self.start, self.time = hz, start, 100.0
        self._trips, self._parts, self.reads = trips_s, parts, 0

    def now(self) -> float:
        return self.time

    def read(self) -> int:
        trip = self._trips[self.reads % len(self._trips)]
        moment = self.time + trip * self._parts[self.reads % len(self._parts)]
        self.time += trip
        self.reads += 1
        return (self.start + int((moment - 100.0) * self.hz)) & 0xFFFF_FFFF

    def greet(self) -> None:
        self.time += 0.01


@given(
    st.floats(1e6, 600e6),
    st.lists(st.floats(1e-5, 5e-3), min_size=1, max_size=5),
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
    st.integers(0, 0xFFFF_FFFF),
)
def test_the_true_frequency_is_within_the_uncertainty(
    hz: float, trips_s: list[float], parts: list[float], start: int
) -> None:
    probe = Probe(hz, trips_s, parts, start)
    found = measure(probe.read, probe.greet, probe.now)
    rounding = 2 / (0.2 * hz)
    assert abs(found.hz / hz - 1) <= found.uncertainty * 1.05 + rounding
    assert probe.time < 100 + 2.2


def test_a_slow_probe_takes_longer_and_is_still_sharp() -> None:
    quick, slow = Probe(180e6, [1e-4], [0.5]), Probe(180e6, [2e-3], [0.0, 1.0])
    assert measure(quick.read, quick.greet, quick.now).uncertainty <= 0.002
    assert measure(slow.read, slow.greet, slow.now).uncertainty <= 0.002
    assert quick.time < slow.time


@pytest.mark.parametrize(("hz", "fits"), [(180e6, True), (181e6, True), (182e6, False), (178e6, False), (16e6, False)])
def test_one_per_cent_is_the_limit(hz: float, fits: bool) -> None:
    assert Frequency(hz, 0.001).fits(180_000_000) is fits


def test_what_cannot_be_told_sharply_does_not_pass() -> None:
    assert not Frequency(180e6, 0.02).fits(180_000_000)
    assert not Frequency(180e6, 0.02).decides(180_000_000)


@pytest.mark.parametrize(("hz", "uncertainty"), [(180e6, 0.009), (16e6, 0.3), (182e6, 0.001), (178.3e6, 0.001)])
def test_what_is_surely_right_or_wrong_or_sharp_is_decided(hz: float, uncertainty: float) -> None:
    assert Frequency(hz, uncertainty).decides(180_000_000)


def test_one_slow_first_read_does_not_matter() -> None:
    host = Probe(180e6, [0.045] + [0.001] * 999, [0.5])
    found = measure(host.read, host.greet, host.now)
    assert found.fits(180_000_000)
    assert found.uncertainty <= 0.002
    assert found.read_s == pytest.approx(0.001)


def test_one_slow_last_read_does_not_matter() -> None:
    """At 9 ms a read it is the last one that the time allows, and so the one that would end the span."""
    steady = Probe(180e6, [0.009], [0.5])
    measure(steady.read, steady.greet, steady.now)
    host = Probe(180e6, [0.009] * (steady.reads - 1) + [0.05] * 999, [0.5])
    found = measure(host.read, host.greet, host.now)
    assert found.fits(180_000_000)
    assert found.read_s == pytest.approx(0.009)
    assert host.time > 102


def test_reads_that_are_all_slow_decide_nothing() -> None:
    host = Probe(180e6, [0.025], [0.5])
    found = measure(host.read, host.greet, host.now)
    assert not found.decides(180_000_000)
    assert not found.fits(180_000_000)
    assert found.read_s == pytest.approx(0.025)
    assert found.decides(16_000_000)  # so far off that it does not matter
    assert host.time < 102.1


def test_a_counter_that_stands_still_does_not_pass() -> None:
    probe = Probe(0, [1e-4], [0.5])
    assert not measure(probe.read, probe.greet, probe.now).fits(180_000_000)
