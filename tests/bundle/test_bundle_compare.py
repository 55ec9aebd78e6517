"""A bundle that is not the case's is told field by field, each field to the contract that it belongs to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil.bundle import build_bundle
from hil.bundle.compare import differences
from hil.case.load import load_case
from hil.case.types import Case

CASE = Path(__file__).parents[2] / "golden_vectors" / "imu_motion"


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case(CASE)


def told(case: Case, other: Case) -> list[tuple[str, str, str, str]]:
    found = differences(build_bundle(case), build_bundle(other))
    return [(item.contract, item.field, item.expected, item.observed) for item in found]


def test_equal_bundles_do_not_differ(case: Case) -> None:
    assert told(case, case) == []


def test_a_threshold_belongs_to_the_decision(case: Case) -> None:
    other = replace(case, decide=replace(case.decide, threshold=60))
    assert told(case, other) == [("decision", "decide.threshold", str(case.decide.threshold), "60")]


def test_gate_and_prepare_belong_to_the_input(case: Case) -> None:
    first, *others = case.prepare.channels
    channels = (replace(first, gain=first.gain + 1), *others)
    other = replace(case, gate=replace(case.gate, min_span=1.0), prepare=replace(case.prepare, channels=channels))
    assert told(case, other) == [
        ("input", "gate.min_span", "64.0", "1.0"),
        ("input", "prepare.channels[0].gain", str(first.gain), str(first.gain + 1)),
    ]


def test_a_channel_too_few_is_absent(case: Case) -> None:
    other = replace(case, prepare=replace(case.prepare, channels=case.prepare.channels[:-1]))
    fields = [(field, observed) for _, field, _, observed in told(case, other)]
    assert fields == [(f"prepare.channels[5].{name}", "absent") for name in ("source", "offset", "gain")]


def test_the_arena_belongs_to_the_execution(case: Case) -> None:
    assert told(case, replace(case, arena_bytes=8192)) == [("execution", "arena_bytes", "4096", "8192")]


def test_bytes_that_are_no_bundle_are_left_to_the_device(case: Case) -> None:
    damaged = bytearray(build_bundle(case))
    damaged[100] ^= 1
    assert differences(build_bundle(case), bytes(damaged)) == ()
