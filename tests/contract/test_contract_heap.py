"""Growth of a heap is told from a heap that is filled once, and from one that goes up and down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_evidence import build_evidence

from hil.contract import CHECKS, judge
from hil.contract.heap import HeapRun, HeapUse, growing
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import Can

BY_ID = {check.id: check for check in CHECKS if check.id.startswith("memory.heap")}
WINDOWS = 300


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[f"memory.{name}"], evidence)


def with_runs(*runs: HeapRun) -> Evidence:
    return build_evidence().having(HeapUse(runs))


@given(
    start=st.integers(0, 10_000),
    leak=st.integers(1, 500),
    every=st.integers(1, WINDOWS // 4),
    swing=st.integers(0, 3),
)
def test_a_leak_grows_however_rare_it_is(start: int, leak: int, every: int, swing: int) -> None:
    """Beside what a window has in use for a while, as long as that is less than what a third of the windows leak."""
    windows = np.arange(WINDOWS)
    lost = leak * (windows // every)
    beside = np.where(windows % 2, min(swing, leak * (WINDOWS // 3 // every) // 4), 0)
    beside[-1] = 0
    beside[-WINDOWS // 3] = 0
    assert growing(start + lost + beside)


@given(st.integers(0, 10_000), st.integers(1, WINDOWS), st.integers(0, 5000))
def test_a_heap_that_is_filled_once_is_no_leak(start: int, filled: int, more: int) -> None:
    """Unless it is filled until the end."""
    used = np.full(WINDOWS, start + more)
    used[: min(filled, 2 * WINDOWS // 3)] = np.linspace(start, start + more, min(filled, 2 * WINDOWS // 3)).astype(int)
    assert not growing(used)


@given(st.lists(st.integers(0, 1), min_size=WINDOWS, max_size=WINDOWS), st.integers(1, 5000))
def test_a_heap_that_goes_up_and_down_is_no_leak(ups: list[int], size: int) -> None:
    used = np.array([0, 1, *ups, 0, 1]) * size
    used[[0, 1]] = 0, size  # both levels in the first third
    assert not growing(used)


@pytest.mark.parametrize("windows", [0, 1, 2, 29])
def test_a_few_windows_tell_nothing(windows: int) -> None:
    assert not growing(np.arange(windows) * 100)


def test_each_start_is_a_heap_of_its_own() -> None:
    """What is in use begins anew: three starts that never grow, each with more in use, are no leak."""
    level = [HeapRun(np.full(40, size), size, 8192, 0) for size in (100, 200, 300)]
    assert verdict("heap_growth", with_runs(*level)).outcome is Outcome.PASSED
    leaking = HeapRun(np.arange(40) * 16, 624, 8192, 0)
    (finding,) = verdict("heap_growth", with_runs(level[0], leaking)).findings
    # 192 bytes behind window 13, and 624 behind the 40th: 16 a window, so that 7,568 bytes last for 473 more.
    assert "192 bytes in use behind window 13, 624 behind window 40: 16 bytes a window; used up in 473 more" in (
        finding.observed
    )


def test_few_windows_are_not_judged() -> None:
    short = verdict("heap_growth", with_runs(HeapRun(np.arange(12), 11, 100, 0)))
    assert (short.outcome, short.reason) == (Outcome.NOT_JUDGED, "12 windows in a row: needs 30 to tell a leak")


@pytest.mark.parametrize("name", ["heap", "heap_headroom", "heap_growth"])
def test_a_firmware_that_tells_nothing_is_told_what_to_add(name: str) -> None:
    evidence = build_evidence()
    dumb = replace(evidence, hello=replace(evidence.hello, can=~Can.HEAP))
    result = verdict(name, dumb)
    assert result.outcome is Outcome.NOT_JUDGED
    assert result.reason == "the firmware does not tell what its heap came to"
    assert result.hint == "add heap in hil_product (docs/agent.md)"
    assert verdict(name, with_runs()).reason == "the firmware told nothing of its heap behind any window"


def test_what_is_not_told_of_a_heap_is_left_out() -> None:
    """mallinfo() knows no peak to the byte and no failed allocations: what was in use stands in for the peak."""
    result = verdict("heap", with_runs(HeapRun(np.array([10, 5000, 20]))))
    assert (result.outcome, result.value, result.numbers) == (Outcome.PASSED, 5000.0, {"peak": 5000})


def test_sizes_of_a_workstation_are_not_the_products_and_a_leak_is_one_there_too() -> None:
    evidence = with_runs(HeapRun(np.arange(300) * 8, 2392, None, None))
    host = replace(evidence, image=replace(evidence.image, host=True))
    assert verdict("heap", host).outcome is Outcome.NOT_JUDGED
    assert verdict("heap_growth", host).outcome is Outcome.FAILED
