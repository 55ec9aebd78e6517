"""How often the test of measured cycles raises a false alarm, and how often it finds a real slowdown.

python benchmarks/regression.py [--pairs 20000] [--windows 300]      (docs/baselines.md)

Everything is simulated: no board has this many clean pairs. The noise is that of shared boards (0.01 % within a board),
with heavy tails: 1 % of the samples are disturbed 10 to 100 times as much, and each session drifts by 0.01 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from hil.contract.regression import growth

EFFECT, FLOOR_SHARE = 0.005, 0.0002  # as in [contract.baseline] and hil/contract/baseline_latency.py
STAGES = (11_000.0, 520_000.0, 110.0)  # cycles of prepare, invoke and decide of a small case
Times = NDArray[np.int64]
Costs = Callable[[np.random.Generator, int], NDArray[np.float64]]
Slower = Callable[[np.random.Generator, NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Noise:
    """Shares of a time: spread of a sample, share of samples disturbed and how much more, drift of a session.

    one_sided: a disturbance only ever costs time, as an interrupt does.
    """

    name: str
    spread: float = 1e-4
    disturbed: float = 0.01
    most: float = 100.0
    drift: float = 1e-4
    one_sided: bool = False


STATED = Noise("stated: 0.01 %, 1 % of samples 10-100 times as much, drift 0.01 %")
BUSY = Noise("five times as many disturbances", disturbed=0.05)
NOISES = (  # of the first and of the second session
    (STATED, STATED),
    (Noise("stated, disturbances only cost time", one_sided=True),) * 2,
    (BUSY, BUSY),
    (Noise("ten times the spread and the drift", spread=1e-3, most=10.0, drift=1e-3),) * 2,
    (STATED, replace(BUSY, name="stated, then five times as many disturbances", one_sided=True)),
)


def equal(_: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Every window costs the same, as a fixed preparation does."""
    return np.full(n, 1.0)


def mixture(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Windows of very different cost: three kinds a factor of three apart, spread by 10 % each."""
    return random.choice([1.0, 3.0, 9.0], n) * random.lognormal(0, 0.1, n)


def slow_path(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """1 % of the windows take a path that costs 30 % more."""
    costs = random.normal(1.0, 0.002, n)
    costs[random.choice(n, max(3, n // 100), replace=False)] *= 1.3
    return costs


COSTS: tuple[Costs, ...] = (equal, mixture, slow_path)


def measured(random: np.random.Generator, costs: NDArray[np.float64], noise: Noise) -> Times:
    """One session over the windows of these costs, in whole cycles, [n]."""
    n = len(costs)
    error = random.normal(0, noise.spread, n)
    hit = random.random(n) < noise.disturbed
    error[hit] = random.normal(0, 1, int(hit.sum())) * noise.spread * random.uniform(10, noise.most, int(hit.sum()))
    if noise.one_sided:
        error[hit] = np.abs(error[hit])
    return np.rint(costs * (1 + error) * (1 + random.normal(0, noise.drift))).astype(np.int64)


def everything(_: np.random.Generator, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every window takes 2 % longer."""
    return costs * 1.02


def slowest_percent(_: np.random.Generator, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slowest 1 % take 2 % longer: p99 moves, p50 and p95 do not."""
    after = costs.copy()
    after[np.argsort(costs)[-max(3, len(costs) // 100) :]] *= 1.02
    return after


def slowest_kind(_: np.random.Generator, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slowest 5 % take 2 % longer."""
    after = costs.copy()
    after[np.argsort(costs)[-len(costs) // 20 :]] *= 1.02
    return after


def some(random: np.random.Generator, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """10 % of the windows, whichever, take 2 % longer."""
    return costs * np.where(random.random(len(costs)) < 0.1, 1.02, 1.0)


def new_path(random: np.random.Generator, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 % of the windows, whichever, take 30 % longer: a slow path that was not there."""
    after = costs.copy()
    after[random.choice(len(costs), max(3, len(costs) // 100), replace=False)] *= 1.3
    return after


# What slows, and on which costs that is a fair question: of equal costs none are "the slowest".
SLOWER: tuple[tuple[Slower, tuple[Costs, ...]], ...] = (
    (everything, COSTS),
    (slowest_percent, (mixture, slow_path)),
    (slowest_kind, (mixture,)),
    (some, COSTS),
    (new_path, COSTS),
)


def alarms(pairs: int, windows: int, noises: tuple[Noise, Noise], costs: Costs, seed: int) -> int:
    """In how many of the clean pairs any stage, or the total, is called slower."""
    random, count = np.random.default_rng(seed), 0
    for _ in range(pairs):
        shape = costs(random, windows)
        before, after = ([measured(random, stage * shape, noise) for stage in STAGES] for noise in noises)
        count += any_slower(before, after)
    return count


def any_slower(before: list[Times], after: list[Times]) -> bool:
    both = [np.stack([*run, sum(run)]) for run in (before, after)]
    floor = FLOOR_SHARE * float(np.median(both[0][3]))
    return any(growth(*pair, effect=EFFECT, floor=floor) is not None for pair in zip(*both, strict=True))


def caught(pairs: int, windows: int, noise: Noise, costs: Costs, slower: Slower, seed: int) -> int:
    """In how many pairs a slower invoke stage is found."""
    random, count = np.random.default_rng(seed), 0
    for _ in range(pairs):
        shape = STAGES[1] * costs(random, windows)
        before, after = measured(random, shape, noise), measured(random, slower(random, shape), noise)
        count += growth(before, after, effect=EFFECT, floor=FLOOR_SHARE * float(np.median(before))) is not None
    return count


def interval(hits: int, of: int) -> str:
    """Rate with its 95 % interval (Clopper and Pearson)."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{100 * hits / of:8.3f} %  [{100 * low:.3f}, {100 * high:.3f}]  {hits:,} of {of:,}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000, help="clean pairs for each row")
    parser.add_argument("--windows", type=int, default=300)
    options = parser.parse_args()
    print(f"{options.windows} windows, smallest effect {100 * EFFECT:g} %, four stages; rate and 95 % interval")
    print("\nfalse alarms")
    for noises in NOISES:
        for costs in COSTS:
            hits = alarms(options.pairs, options.windows, noises, costs, seed=1)
            print(f"  {costs.__name__:<10} {interval(hits, options.pairs)}  {noises[1].name}", flush=True)
    print("\nslowdowns found, noise as stated")
    for slower, kinds in SLOWER:
        for costs in kinds:
            pairs = max(1, options.pairs // 5)
            hits = caught(pairs, options.windows, STATED, costs, slower, seed=2)
            print(f"  {costs.__name__:<10} {interval(hits, pairs)}  {slower.__doc__}", flush=True)


if __name__ == "__main__":
    main()
