"""Knows which instruments were shown to work, and which checks rest on each: what a broken one measured says nothing.

An instrument is what the firmware's test mode, or the harness, measures and detects with. In each session it is shown
something that it must detect. When it does not, its own check and those that rest on it are *invalid*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hil.contract.instruments import clock, core, guards, link, marks
from hil.contract.types import Check, CheckResult, Evidence, Outcome

_DECLARED: tuple[Check, ...] = (*link.CHECKS, *clock.CHECKS, *guards.CHECKS, *marks.CHECKS, *core.CHECKS)

# Whatever these say is a figure of that instrument. A name that ends in "." stands for all that begin with it.
_MEASURED_WITH: Mapping[str, tuple[str, ...]] = {
    "instruments.clock": (
        "latency.",
        "baseline.latency.",
        "soak.latency",
        "soak.repeat",
        "instruments.stages",
        "execution.plain",
    ),
    "instruments.stages": ("latency.", "baseline.latency."),
    "instruments.arena_mark": ("memory.arena", "memory.arena_headroom", "baseline.arena"),
    "instruments.stack_mark": ("memory.stack", "memory.stack_headroom", "baseline.stack"),
    "instruments.symbols": ("memory.stack", "memory.stack_headroom", "baseline.stack"),
}
# These hold when that instrument detected nothing; what it did detect stands.
_DETECTED_BY: Mapping[str, tuple[str, ...]] = {
    "instruments.deadline": ("execution.fault",),
    "instruments.stack_guard": ("execution.fault",),
    "instruments.null_guard": ("execution.fault",),
    "instruments.canaries": ("execution.canaries",),
    "instruments.core": ("execution.core",),
}


def _never_a_broken_contract(check: Check) -> Check:
    """What such a check finds is no fault of the product: it makes the measurement invalid."""

    def judge(evidence: Evidence) -> CheckResult:
        result = check.judge(evidence)
        return replace(result, outcome=Outcome.INVALID) if result.outcome is Outcome.FAILED else result

    return replace(check, judge=judge)


CHECKS = tuple(_never_a_broken_contract(check) for check in _DECLARED)
_JUDGES: Mapping[str, Callable[[Evidence], CheckResult]] = {check.id: check.judge for check in CHECKS}


def held_to_instruments(result: CheckResult, evidence: Evidence) -> CheckResult:
    """`result`, or that it is invalid, when an instrument that it rests on is broken."""
    tables = [_MEASURED_WITH] if result.outcome is Outcome.FAILED else [_MEASURED_WITH, _DETECTED_BY]
    if result.outcome is Outcome.INVALID or (result.outcome is Outcome.NOT_JUDGED and result.value is None):
        return result  # it has no figure that could rest on anything
    for table in tables:
        for instrument, resting in table.items():
            if any(_stands_for(name, result.check) for name in resting):
                found = _JUDGES[instrument](evidence)
                if found.outcome is Outcome.INVALID:
                    reason = f"{instrument} is broken: {found.findings[0].observed}"
                    return CheckResult(result.check, Outcome.INVALID, limit=result.limit, reason=reason)
    return result


def _stands_for(name: str, check: str) -> bool:
    return check.startswith(name) if name.endswith(".") else check == name
