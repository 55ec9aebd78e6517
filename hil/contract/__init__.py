"""Knows all contracts: every check, in the order of blame, which of them a case asks for, and how to run one."""

from hil.case.types import Case
from hil.contract import (
    accuracy,
    agreement,
    baseline,
    coverage,
    damaged,
    decision,
    execution,
    golden,
    heap,
    history,
    input,
    instruments,
    kernels,
    latency,
    memory,
    plain,
    probes,
    refused,
    rejects,
    repeats,
    sanity,
    scores,
    soak,
    witnessed,
)
from hil.contract.latency import LatencySummary, latency_summary
from hil.contract.marginal import mark
from hil.contract.own import not_expected
from hil.contract.told import not_told
from hil.contract.types import Check, CheckResult, Evidence

CHECKS: tuple[Check, ...] = (
    *instruments.CHECKS,
    *witnessed.INPUT_CHECKS,
    *input.CHECKS,
    *rejects.CHECKS,
    *execution.CHECKS,
    *kernels.CHECKS,
    *witnessed.EXECUTION_CHECKS,
    *plain.CHECKS,
    *damaged.CHECKS,
    *repeats.CHECKS,
    *history.CHECKS,
    *probes.CHECKS,
    *coverage.CHECKS,
    *golden.CHECKS,
    *decision.CHECKS,
    *scores.CHECKS,
    *accuracy.CHECKS,
    *agreement.CHECKS,
    *sanity.CHECKS,
    *latency.CHECKS,
    *refused.CHECKS,
    *memory.CHECKS,
    *heap.CHECKS,
    *soak.CHECKS,
    *baseline.CHECKS,
)


def checks_for(case: Case) -> tuple[Check, ...]:
    """The checks that this case asks for, in the order of blame; known before any board starts."""
    return tuple(check for check in CHECKS if check.applies(case))


def judge(check: Check, evidence: Evidence) -> CheckResult:
    """The verdict of one check that applies to the evidence's case. An exception in here is a bug and is not caught."""
    unsaid = not_told(check, evidence) or not_expected(check, evidence)
    result = unsaid or mark(check.judge(evidence), evidence.case.contracts.margin)
    return instruments.held_to_instruments(result, evidence)


__all__ = ["CHECKS", "LatencySummary", "checks_for", "judge", "latency_summary"]
