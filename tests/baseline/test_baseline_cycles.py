"""The baseline contract on a board with measured cycles: noise is silent, the stage that grew is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_baseline import accept, accepted_evidence
from made_evidence import CYCLES, REJECTED, N

from hil.contract import CHECKS, judge
from hil.contract.types import Evidence, Outcome

BY_ID = {check.id: check for check in CHECKS if check.contract == "baseline"}


def noisy(evidence: Evidence, seed: int, factors: tuple[float, float, float] = (1, 1, 1)) -> Evidence:
    """Another session: every stage off by about 0.01 %, 1 % of the windows by up to 1 %."""
    random = np.random.default_rng(seed)
    stages = np.diff(evidence.records.ticks, axis=1, prepend=0).astype(float) * factors
    error = random.normal(0, 1e-4, stages.shape)
    error[random.random(N) < 0.01] *= 100
    records = replace(evidence.records, ticks=np.rint(stages * (1 + error)).astype(np.int64).cumsum(axis=1))
    return replace(evidence, records=records)


@pytest.fixture
def evidence() -> Evidence:
    evidence = accepted_evidence(CYCLES)
    evidence.records.ticks[:] *= 10
    return accept(replace(evidence, baseline=None))


def failed(evidence: Evidence) -> set[str]:
    results = [judge(check, evidence) for check in BY_ID.values()]
    return {result.check.removeprefix("baseline.") for result in results if result.outcome is Outcome.FAILED}


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_bench_is_no_regression(evidence: Evidence, seed: int) -> None:
    assert failed(noisy(evidence, seed)) == set()


@pytest.mark.parametrize(("stage", "name"), [(0, "prepare"), (1, "invoke")])
def test_the_stage_that_takes_two_percent_longer_is_blamed_alone(evidence: Evidence, stage: int, name: str) -> None:
    factors = tuple(1.02 if stage == column else 1.0 for column in range(3))
    slower = noisy(evidence, 1, factors)
    assert failed(slower) == {f"latency.{name}"}
    finding = judge(BY_ID[f"baseline.latency.{name}"], slower).findings[0]
    assert finding.stage == name
    assert "(all windows) take +2.00 %" in finding.observed
    assert "by more than 0.5 %" in finding.expected


def test_a_slow_path_is_found_and_called_one(evidence: Evidence) -> None:
    slow = np.argsort(evidence.records.ticks[:, 1])[-4:]
    for column in (1, 2):
        evidence.records.ticks[slow, column] += 300_000
    evidence = accept(replace(evidence, baseline=None))
    later = noisy(evidence, 3)
    later.records.ticks[slow, 1:] += 30_000  # a little more than 2 % of these windows' invoke
    finding = judge(BY_ID["baseline.latency.invoke"], later).findings[0]
    assert "the slowest 1 %" in finding.observed


def test_too_few_windows_are_not_judged_and_told(evidence: Evidence) -> None:
    evidence.records.status[10:] = 101
    evidence.records.ticks[10:] = 0
    few = judge(BY_ID["baseline.latency.invoke"], evidence)
    assert few.outcome is Outcome.NOT_JUDGED
    assert few.reason == f"needs 15 windows in both runs on a clock with noise, there are {10 - (REJECTED < 10)}"
