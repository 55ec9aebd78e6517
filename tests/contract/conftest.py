"""Knows the fixtures of the contract tests: evidence of a small run made by hand, and parts of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from made_evidence import CYCLES, REJECTED, STREAM, build_evidence

from hil.contract.types import Evidence
from hil.records import ClockSpec


@pytest.fixture
def evidence() -> Evidence:
    """A run that breaks nothing. Its arrays are this test's own and may be changed in place."""
    return build_evidence()


@pytest.fixture
def rejected() -> int:
    """The vector of the evidence that the gate refuses, as it must."""
    return REJECTED


@pytest.fixture
def stream() -> tuple[int, ...]:
    """The vectors of the evidence that form one stream, in order."""
    return STREAM


@pytest.fixture
def cycles() -> ClockSpec:
    """The clock of a board with a physical cycle counter at 100 MHz."""
    return CYCLES


@pytest.fixture
def with_contracts() -> Callable[..., Evidence]:
    """`with_contracts(evidence, lsb=1)`: the same evidence under other contract values."""

    def change(evidence: Evidence, **values: object) -> Evidence:
        contracts = replace(evidence.case.contracts, **values)
        return replace(evidence, case=replace(evidence.case, contracts=contracts))

    return change
