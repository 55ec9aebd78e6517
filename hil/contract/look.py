"""Knows how a look for something odd becomes the verdict of a check: marginal, unless the case means it so; and how one
look at each of several tensors becomes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hil.contract.ready import unready
from hil.contract.tensors import Side
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.contract.verdict import Numbers, Sheet
from hil.records import GateReason

MEANT = "meant so by the case"  # how the reason of a check begins whose oddity the case expects
_STALE = "take it out of [contract.sanity] expect, where it would hide the next one"
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Look:
    """What one kind of oddity looked at. odd: what is odd in words, "" when nothing is; hint: what next; value: its
    figure; little: why nothing could be seen.
    """

    value: float
    unit: str = ""
    odd: str = ""
    hint: str = ""
    little: str = ""
    numbers: Numbers = field(default_factory=dict)


def judge_look(
    kind: str, look: Callable[[Evidence, Rows], Look], side: Side | None = None
) -> Callable[[Evidence], CheckResult]:
    """The check `sanity.<kind>`. look: is given the evidence and the vectors that the gate accepts, at least one. side:
    it is taken of each tensor of that side.
    """

    def judge(evidence: Evidence) -> CheckResult:
        sheet = Sheet(f"sanity.{kind}", evidence)
        rows = np.flatnonzero(evidence.references.gate == GateReason.VALID)
        if reason := unready(evidence) or ("" if len(rows) else "the gate rejects every vector of the case"):
            return sheet.not_judged(reason)
        views = side.views(evidence) if side else (evidence,)
        looks = [look(view, rows) for view in views]
        meant = kind in evidence.case.contracts.meant
        results = [_result(sheet, kind, seen, meant) for seen in looks]
        result = results[0] if side is None or len(results) == 1 else _of_each([*map(side.name, views)], looks, results)
        return _stale(result) if meant and not any(seen.odd for seen in looks) else result

    return judge


def _of_each(names: list[str], looks: list[Look], results: list[CheckResult]) -> CheckResult:
    """One result: that of the first tensor that is odd, else of the first, and the words of all."""
    pairs = tuple(zip(names, results, strict=True))
    shown = next((result for seen, result in zip(looks, results, strict=True) if seen.odd), results[0])
    return replace(
        shown,
        reason="; ".join(f"{name}: {result.reason}" for name, result in pairs if result.reason),
        numbers={f"{name}: {key}": value for name, result in pairs for key, value in result.numbers.items()},
        tensors=pairs,
    )


def _result(sheet: Sheet, kind: str, seen: Look, meant: bool) -> CheckResult:
    result = sheet.result(value=seen.value, unit=seen.unit, reason=seen.little, numbers=seen.numbers)
    if seen.odd and meant:
        return replace(result, reason=f"{MEANT}: {seen.odd}")
    if seen.odd:
        hint = f'{seen.hint}; when it is meant so: [contract.sanity] expect = ["{kind}"]'
        return replace(result, outcome=Outcome.MARGINAL, reason=seen.odd, hint=hint)
    return result


def _stale(result: CheckResult) -> CheckResult:
    """Of several tensors each says so: the gate holds the whole to the worst of them."""
    said = "the case expects it, and it is not so"
    tensors = tuple((name, _stale(each)) for name, each in result.tensors)
    return replace(result, outcome=Outcome.MARGINAL, reason=said, hint=_STALE, tensors=tensors)
