"""The test of measured cycles: silent on clean pairs, however heavy the tails, and not on slowdowns.

benchmarks/regression.py measures the rates over many more pairs.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest, fisher_exact

from hil.baseline.types import Figures
from hil.contract.measured import figures_of
from hil.contract.regression import FEWEST, LEVEL, STAGE_COUNT, TESTS, fewest_windows, grown, growth

ALLOWED = LEVEL / (STAGE_COUNT * TESTS)
EFFECT = 0.005
TIMES = st.integers(15, 400).flatmap(lambda n: arrays(np.int64, n, elements=st.integers(1000, 10_000_000)))


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark's simulation of a noisy bench."""
    file = Path(__file__).parents[2] / "benchmarks" / "regression.py"
    spec = importlib.util.spec_from_file_location("regression_benchmark", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("costs", ["equal", "mixture", "slow_path"])
def test_clean_pairs_raise_no_alarm(bench: ModuleType, costs: str) -> None:
    """100 pairs of all stages: at the stated rate of 0.1 % nine of ten such trials see none, and these are such."""
    assert bench.alarms(100, 300, bench.NOISES[0], getattr(bench, costs), seed=7) == 0


@pytest.mark.slow
@pytest.mark.parametrize("noise", range(3))
def test_a_thousand_clean_pairs_raise_an_alarm_at_most(bench: ModuleType, noise: int) -> None:
    assert bench.alarms(1000, 300, bench.NOISES[noise], bench.mixture, seed=11) <= 1


@pytest.mark.parametrize(
    ("slower", "costs"),
    [("everything", "equal"), ("slowest_percent", "slow_path"), ("slowest_percent", "mixture"), ("new_path", "equal")],
)
def test_a_slower_p99_is_found(bench: ModuleType, slower: str, costs: str) -> None:
    found = bench.caught(100, 300, bench.STATED, getattr(bench, costs), getattr(bench, slower), seed=5)
    assert found >= 99


@pytest.mark.slow
@pytest.mark.parametrize("costs", ["equal", "mixture", "slow_path"])
def test_a_shift_below_the_smallest_effect_is_no_regression(bench: ModuleType, costs: str) -> None:
    """0.3 % on every window of 2000 is beyond doubt, and still not what a release is stopped for."""
    random = np.random.default_rng(3)
    for _ in range(100):
        shape = 500_000 * getattr(bench, costs)(random, 2000)
        pair = [bench.measured(random, shape * factor, bench.STATED) for factor in (1.0, 1.003)]
        assert growth(*pair, effect=EFFECT) is None


@settings(max_examples=30)
@given(TIMES)
def test_equal_times_are_no_growth(before: np.ndarray) -> None:
    assert growth(before, before, effect=EFFECT) is None


@settings(max_examples=30)
@given(TIMES, st.integers(0, 2**32 - 1))
def test_faster_windows_are_never_a_regression(before: np.ndarray, seed: int) -> None:
    after = before - np.random.default_rng(seed).integers(0, 1000, len(before))
    assert growth(before, after, effect=EFFECT) is None


@settings(max_examples=30)
@given(TIMES)
def test_one_percent_on_every_window_is_always_found(before: np.ndarray) -> None:
    found = growth(before, np.ceil(before * 1.011).astype(np.int64), effect=EFFECT)
    assert found is not None
    assert (found.group, found.grew) == ("all windows", len(before))
    assert 0.01 < found.share < 0.013


@settings(max_examples=30)
@given(TIMES, st.randoms(use_true_random=False))
def test_the_order_of_the_windows_does_not_matter(before: np.ndarray, random) -> None:
    before = np.unique(before)  # among equal times the slowest are a matter of order
    after = before + (np.arange(len(before)) % 3 == 0) * before // 10
    order = np.array(random.sample(range(len(before)), len(before)))
    assert growth(before, after, effect=EFFECT) == growth(before[order], after[order], effect=EFFECT)


def test_the_chance_of_all_windows_is_that_of_scipys_sign_test() -> None:
    before = np.full(40, 100_000)
    after = before + np.where(np.arange(40) < 34, 2000, 0)
    found = growth(before, after, effect=EFFECT)
    assert found is not None
    assert found.chance == pytest.approx(binomtest(34, 40, 0.5, alternative="greater").pvalue)


def test_the_chance_of_the_slowest_is_that_of_scipys_exact_test() -> None:
    before = np.arange(100_000, 130_000, 100)  # 300
    after = before.copy()
    after[-3:] += 3000
    after[10] += 3000
    found = growth(before, after, effect=EFFECT)
    assert found is not None
    assert (found.group, found.grew, found.of) == ("the slowest 1 %", 3, 3)
    assert found.chance == pytest.approx(fisher_exact([[3, 0], [1, 296]], alternative="greater").pvalue)


def test_disturbed_samples_do_not_choose_themselves_as_the_slowest() -> None:
    """Equal windows; six samples of each session are disturbed by 3 %. The disturbed ones are the slowest of the second
    session, which must not make them its slow path.
    """
    before, after = np.full(300, 100_000), np.full(300, 100_000)
    before[:6] += 3000
    after[100:106] += 3000
    assert growth(before, after, effect=EFFECT) is None


@pytest.mark.parametrize(("windows", "found"), [(FEWEST - 1, False), (FEWEST, True)])
def test_a_new_slow_path_is_one_percent_of_the_windows(windows: int, found: bool) -> None:
    before = np.full(300, 100_000)
    after = before.copy()
    after[::50][:windows] += 30_000
    assert (growth(before, after, effect=EFFECT) is not None) is found


def test_a_cycle_more_in_a_very_short_stage_is_below_the_floor() -> None:
    before = np.full(300, 110)
    assert growth(before, before + 10, effect=EFFECT, floor=100.0) is None
    assert growth(before, before + 110, effect=EFFECT, floor=100.0) is not None


def test_with_fewer_windows_even_all_of_them_prove_nothing() -> None:
    n = fewest_windows()
    assert 0.5**n <= ALLOWED < 0.5 ** (n - 1)


def figures(**values: float) -> Figures:
    return Figures.model_validate(
        {**{"n": 5, "min": 1, "p50": 100, "p95": 100, "p99": 100, "max": 100, "mean": 100.0}, **values}
    )


@pytest.mark.parametrize("name", ["p50", "p95", "p99", "max", "mean"])
def test_any_growth_counts_on_a_clock_that_repeats(name: str) -> None:
    more = figures(**{name: 100.5 if name == "mean" else 101})
    assert grown(figures(), more, 0.0) == [name]
    assert grown(more, figures(), 0.0) == []
    assert grown(figures(), more, 0.01) == []


@settings(max_examples=30)
@given(arrays(np.int64, st.integers(1, 200), elements=st.integers(0, 10**9)))
def test_figures_are_nearest_ranks(units: np.ndarray) -> None:
    found = figures_of(units)
    for name, q in (("p50", 50), ("p95", 95), ("p99", 99), ("min", 0), ("max", 100)):
        assert getattr(found, name) == np.percentile(units, q, method="inverted_cdf")
    assert found.mean == pytest.approx(units.mean())
