"""Knows which checks need which function of the firmware: without it they are not judged, and say what to add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hil.can import to_add, untold
from hil.contract.stack_seen import StackSeen
from hil.contract.types import Check, CheckResult, Evidence, Outcome
from hil.records import Can

_NEEDED: Mapping[Can, tuple[str, ...]] = {
    Can.DECIDE: ("decision.threshold", "decision.ties"),
    Can.PLAIN: ("execution.plain",),
    Can.TEST: (
        "instruments.clock",
        "instruments.stages",
        "instruments.deadline",
        "instruments.stack_guard",
        "instruments.null_guard",
        "instruments.core",
    ),
    Can.BUNDLE: ("execution.bundle", "execution.damaged"),
    Can.MARKS: (
        "execution.arena",
        "execution.canaries",
        "memory.arena",
        "memory.arena_headroom",
        "memory.stack",
        "memory.stack_headroom",
        "baseline.arena",
        "baseline.stack",
        "instruments.symbols",
        "instruments.canaries",
        "instruments.arena_mark",
        "instruments.stack_mark",
    ),
    Can.HEAP: ("memory.heap", "memory.heap_headroom", "memory.heap_growth"),
}
_OF_THE_STACK = ("memory.stack", "memory.stack_headroom", "baseline.stack")
# These need it of a model with several tensors only.
_OF_FURTHER: Mapping[Can, tuple[str, ...]] = {
    Can.TENSOR: ("input.type", "input.shape", "input.scale", "input.zero_point"),
}


def needed_by(check: str, evidence: Evidence) -> Can:
    """The functions that this check rests on."""
    if check in _OF_THE_STACK and evidence.section(StackSeen).mark:
        return Can(0)  # the harness measured it itself
    tables = [_NEEDED, _OF_FURTHER] if evidence.case.model.several else [_NEEDED]
    needed = Can(0)
    for table in tables:
        for function, checks in table.items():
            needed |= function if check in checks else Can(0)
    return needed


def not_told(check: Check, evidence: Evidence) -> CheckResult | None:
    """That nothing can be judged, when the firmware lacks a function that the check needs."""
    found = without(check.id, evidence, needed_by(check.id, evidence))
    blind = evidence.section(StackSeen).blind
    if found is None or check.id not in _OF_THE_STACK or not blind:
        return found
    return replace(found, reason=f"{found.reason}; {blind}")


def without(check: str, evidence: Evidence, needed: Can) -> CheckResult | None:
    """The same for functions that `check` itself names."""
    reason = untold(evidence.hello.can, needed)
    if not reason:
        return None
    hint = to_add(evidence.hello.can, needed)
    return CheckResult(check, Outcome.NOT_JUDGED, reason=reason, hint=hint)
