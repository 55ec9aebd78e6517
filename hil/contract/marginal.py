"""Knows when a check that holds is marginal: inside its limit, but within the case's margin of it."""

from __future__ import annotations

from dataclasses import replace

from hil.case.types import Limit
from hil.contract.types import CheckResult, Outcome
from hil.contract.verdict import number


def mark(result: CheckResult, margin: float) -> CheckResult:
    """`result`, marginal when it passed and its value has less than `margin` (a share, 0: never) of its room left.

    The room is what lies between the limit and the best value there can be: 0 for a maximum, 1 for a minimum without a
    unit (a share, a correlation), and for any other minimum as much as the limit itself.
    """
    if result.tensors:
        return _of_tensors(result, margin)
    if result.outcome is not Outcome.PASSED or result.value is None or result.limit is None or margin <= 0:
        return result
    left = _left(result.value, result.limit)
    if left is None or left >= margin:
        return result
    reason = (
        f"{number(100 * left)} % from its limit ({result.limit}); the margin of the case is {number(100 * margin)} %"
    )
    hint = "win room while there is some, or raise the limit"
    return replace(result, outcome=Outcome.MARGINAL, reason="; ".join(filter(None, (result.reason, reason))), hint=hint)


def _of_tensors(result: CheckResult, margin: float) -> CheckResult:
    """Each tensor is held to its own limit; the first that is marginal speaks for all."""
    tensors = tuple((name, mark(each, margin)) for name, each in result.tensors)
    near = [(name, each) for name, each in tensors if each.outcome is Outcome.MARGINAL]
    held = replace(result, tensors=tensors)
    if result.outcome is not Outcome.PASSED or not near:
        return held
    reason = "; ".join(f"{name}: {each.reason}" for name, each in tensors if each.reason)
    first = near[0][1]
    return replace(
        held,
        outcome=first.outcome,
        value=first.value,
        limit=first.limit,
        unit=first.unit,
        reason=reason,
        hint=first.hint,
    )


def _left(value: float, limit: Limit) -> float | None:
    """Smallest share of the room that is left, None when the limit has no room: it allows one value only."""
    shares = []
    if limit.maximum is not None and limit.maximum > 0:
        shares.append((limit.maximum - value) / limit.maximum)
    if limit.minimum is not None:
        room = 1 - limit.minimum if not limit.unit else abs(limit.minimum)
        if room > 0:
            shares.append((value - limit.minimum) / room)
    return min(shares, default=None)
