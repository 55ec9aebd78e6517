"""Where a check stops to hold: the last value that is allowed passes, the first beyond it fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_contract_defects import BY_ID, contracts, hello, records

from hil.case.types import LatencyLimit, Limit, SoakLimits
from hil.contract import judge
from hil.contract.types import CheckResult, Evidence, Outcome

Change = Callable[[Evidence], Evidence]


def verdict(check: str, evidence: Evidence, *changes: Change) -> CheckResult:
    for change in changes:
        evidence = change(evidence)
    return judge(BY_ID[check], evidence)


def marks(*, start: int, vectors: int, stack: int = 2000, **of_hello: Any) -> tuple[Change, ...]:
    """High-water marks of the arena at the start and over the vectors, and of the stack; vector #9 has the largest."""
    return (
        hello(arena_high_water=start, **of_hello),
        records(slice(None), arena_high_water=max(0, vectors - 1), stack_high_water=max(0, stack - 1)),
        records(9, arena_high_water=vectors, stack_high_water=stack),
    )


def lsb(budget: int, off: int) -> tuple[Change, ...]:
    def change(evidence: Evidence) -> Evidence:
        evidence.records.output[9, 2] = evidence.references.output[9, 2] - off
        return evidence

    return contracts(lsb=budget), change


@pytest.mark.parametrize(
    ("check", "allowed", "beyond", "vector"),
    [
        ("memory.arena", marks(start=0, vectors=8192), marks(start=0, vectors=8193), "#9"),
        ("memory.arena", marks(start=8192, vectors=1), marks(start=8193, vectors=1), ""),
        # The interpreter may count 64 bytes of padding that it never touches; a mark of 0 was not measured.
        ("memory.arena", marks(start=0, vectors=5436), marks(start=0, vectors=5435), ""),
        ("memory.arena", marks(start=0, vectors=1, arena_used=1), marks(start=0, vectors=0, arena_used=1), ""),
        ("memory.arena_headroom", marks(start=0, vectors=7372), marks(start=0, vectors=7373), "#9"),
        ("memory.arena_headroom", marks(start=7372, vectors=1), marks(start=7373, vectors=1), ""),
        ("memory.flash", (contracts(flash_bytes=153_000),), (contracts(flash_bytes=152_999),), ""),
        ("memory.ram", (contracts(ram_bytes=80_000),), (contracts(ram_bytes=79_999),), ""),
        ("memory.stack", marks(start=0, vectors=1, stack=3000), marks(start=0, vectors=1, stack=3001), "#9"),
        (
            "memory.stack",
            (contracts(stack_bytes=None), *marks(start=0, vectors=1, stack=4095)),
            (contracts(stack_bytes=None), *marks(start=0, vectors=1, stack=4096)),
            "#9",
        ),
        ("memory.stack", marks(start=0, vectors=1, stack=1), marks(start=0, vectors=1, stack=0), ""),
        ("memory.stack_headroom", marks(start=0, vectors=1, stack=3072), marks(start=0, vectors=1, stack=3073), "#9"),
        ("execution.output", lsb(0, 0), lsb(0, 1), "#9"),
        ("execution.output", lsb(2, 2), lsb(2, 3), "#9"),
        ("execution.output", lsb(2, -2), lsb(2, -3), "#9"),
        ("execution.golden", lsb(2, 2), lsb(2, 3), "#9"),
        ("decision.answer", lsb(0, 0), (records(9, answer=1, label=2),), "#9"),
        ("execution.arena", (hello(arena_used=8192),), (hello(arena_used=8193),), ""),
    ],
)
def test_at_the_limit_it_holds_and_one_beyond_it_does_not(
    evidence: Evidence, check: str, allowed: tuple[Change, ...], beyond: tuple[Change, ...], vector: str
) -> None:
    assert verdict(check, evidence, *allowed).outcome is Outcome.PASSED
    failed = verdict(check, evidence, *beyond)
    assert (failed.outcome, failed.total, failed.findings[0].vector) == (Outcome.FAILED, 1, vector)


def limited(name: str, **bounds: float) -> Change:
    """A limit of the case, or one figure of its agreement or coverage, is this one."""

    def change(evidence: Evidence) -> Evidence:
        limit, kept = Limit(**bounds), evidence.case.contracts
        for group in ("agreement", "coverage"):
            if name in (old := getattr(kept, group)):
                return contracts(**{group: {**old, name: limit}})(evidence)
        return contracts(**{name: limit})(evidence)

    return change


@pytest.mark.parametrize(
    ("check", "name", "bound"),
    [
        ("input.saturation", "saturation", "maximum"),
        ("input.saturation", "saturation", "minimum"),
        ("decision.accuracy", "accuracy", "minimum"),
        ("decision.accuracy", "accuracy", "maximum"),
        ("agreement.cosine", "cosine", "minimum"),
        ("agreement.sqnr_db", "sqnr_db", "minimum"),
        ("agreement.max_abs_error", "max_abs_error", "maximum"),
        ("agreement.spearman", "spearman", "minimum"),
        ("execution.coverage", "range", "minimum"),
    ],
)
def test_a_figure_holds_a_limit_that_it_equals(evidence: Evidence, check: str, name: str, bound: str) -> None:
    value = verdict(check, evidence).value
    assert value is not None
    stricter = math.nextafter(value, math.inf if bound == "minimum" else -math.inf)
    at_it = verdict(check, evidence, limited(name, **{bound: value}))
    assert (at_it.outcome, at_it.value, at_it.total) == (Outcome.PASSED, value, 0)
    beyond = verdict(check, evidence, limited(name, **{bound: stricter}))
    assert (beyond.outcome, beyond.value, beyond.total) == (Outcome.FAILED, value, 1)


@pytest.mark.parametrize("stage", ["prepare", "invoke", "decide", "total"])
@pytest.mark.parametrize("statistic", ["p50", "p95", "p99", "max"])
def test_a_time_holds_a_limit_that_it_equals(evidence: Evidence, stage: str, statistic: str) -> None:
    check = f"latency.{stage}.{statistic}"
    bound = verdict(check, evidence).value
    assert bound is not None

    def of(ticks: float) -> Change:
        limit = LatencyLimit(stage, statistic, "instructions", Limit(maximum=ticks, unit="instructions"))
        return contracts(latency=(limit,))

    assert verdict(check, evidence, of(bound)).outcome is Outcome.PASSED
    assert verdict(check, evidence, of(bound - 1)).outcome is Outcome.FAILED


def test_a_window_of_the_soak_may_be_as_slow_as_the_case_says(evidence: Evidence) -> None:
    slowest = verdict("soak.latency", evidence).value
    assert slowest is not None
    windows = evidence.case.contracts.soak.windows
    assert verdict("soak.latency", evidence, contracts(soak=SoakLimits(windows, slowest))).outcome is Outcome.PASSED
    below = math.nextafter(slowest, 0)
    assert verdict("soak.latency", evidence, contracts(soak=SoakLimits(windows, below))).outcome is Outcome.FAILED


def test_saturation_is_the_share_of_elements_at_either_end(evidence: Evidence) -> None:
    """Of 319 vectors with 24 elements each."""
    result = verdict("input.saturation", evidence)
    done = np.delete(evidence.references.prepared, 7, axis=0)
    ends = np.count_nonzero((done == -128) | (done == 127), axis=1)
    assert result.value == pytest.approx(ends.sum() / (319 * 24), rel=1e-12)
    assert result.numbers == {"vectors": 319, "most_in_one_vector": ends.max()}


def test_no_more_than_twenty_findings_are_kept_and_all_are_counted(evidence: Evidence) -> None:
    evidence.records.digest[:30] ^= 1  # one of them the gate rejects
    result = judge(BY_ID["input.prepared"], evidence)
    assert [finding.vector for finding in result.findings] == [f"#{row}" for row in range(21) if row != 7]
    assert result.total == 29


def test_a_figure_of_an_image_for_a_workstation_says_nothing_of_the_product(evidence: Evidence) -> None:
    hosted = replace(evidence, image=replace(evidence.image, host=True))
    for check in ("arena", "arena_headroom", "flash", "ram", "stack", "stack_headroom"):
        result = judge(BY_ID[f"memory.{check}"], hosted)
        assert (result.outcome, result.total) == (Outcome.NOT_JUDGED, 0)
        assert result.reason == "the image is built for a workstation: needs one for the target"


@pytest.mark.parametrize("check", ["arena", "stack"])
def test_no_size_leaves_all_of_itself_untouched(evidence: Evidence, check: str) -> None:
    found = verdict(f"memory.{check}_headroom", evidence, contracts(**{f"{check}_headroom": 1.0}))
    assert found.outcome is Outcome.FAILED
    assert " more " in found.findings[0].hint.replace("=", "")


def test_a_stack_without_a_budget_may_use_all_but_the_last_byte_of_it(evidence: Evidence) -> None:
    found = verdict("memory.stack", evidence, contracts(stack_bytes=None))
    assert (found.outcome, found.limit) == (Outcome.PASSED, Limit(maximum=4095, unit="bytes"))
    assert verdict("memory.stack", evidence).limit == Limit(maximum=3000, unit="bytes")


@pytest.mark.parametrize(("by_the_elf", "told", "size"), [(4096, 9999, 4096), (0, 5000, 5000)])
def test_a_stack_is_as_large_as_its_elf_says_or_else_the_firmware(
    evidence: Evidence, by_the_elf: int, told: int, size: int
) -> None:
    """Whatever instruments.symbols makes of two that are not the same."""
    evidence = hello(stack_bytes=told)(replace(evidence, image=replace(evidence.image, stack_bytes=by_the_elf)))
    assert BY_ID["memory.stack"].judge(evidence).numbers["stack_size"] == size
