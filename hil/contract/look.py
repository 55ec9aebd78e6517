"""Knows how a look for something odd becomes the verdict of a check: marginal, unless the case means it so; and how one
look at each of several tensors becomes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hil.contract.blame import unknown
from hil.contract.ready import unready
from hil.contract.tensors import Side
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.contract.verdict import Numbers, Sheet
from hil.project.toml_text import toml_key
from hil.records import GateReason

MEANT = "meant so by the case"  # how the reason of a check begins whose oddity the case expects
_STALE = "the case expects it, and it is not so"
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


@dataclass(frozen=True)
class _Expectation:
    """Whether the case means a kind of oddity of one tensor. table: where it says so, and would say it; own: a table of
    this tensor alone.
    """

    meant: bool
    table: str = "contract.sanity"
    own: bool = False


def judge_look(
    kind: str, look: Callable[[Evidence, Rows], Look], evidence: Evidence, side: Side | None = None
) -> CheckResult:
    """The check `sanity.<kind>`. look: is given the evidence and the vectors that the gate accepts, at least one. side:
    it is taken of each tensor of that side.
    """
    sheet = Sheet(f"sanity.{kind}", evidence)
    rows = np.flatnonzero((evidence.references.gate == GateReason.VALID) & ~unknown(evidence))
    if reason := unready(evidence) or ("" if len(rows) else "the gate rejects every vector of the case"):
        return sheet.not_judged(reason)
    views = side.views(evidence) if side else (evidence,)
    looks = [look(view, rows) for view in views]
    expected = [_expectation(kind, evidence, side, view, len(views)) for view in views]
    common = any(seen.odd for seen, each in zip(looks, expected, strict=True) if not each.own)
    results = [
        _result(sheet, kind, seen, each, met=bool(seen.odd) if each.own else common)
        for seen, each in zip(looks, expected, strict=True)
    ]
    if side is None or len(results) == 1:
        return results[0]
    return _of_each([*map(side.name, views)], looks, results)


def _expectation(kind: str, evidence: Evidence, side: Side | None, view: Evidence, tensors: int) -> _Expectation:
    contracts = evidence.case.contracts
    if side is None:
        return _Expectation(kind in contracts.meant)
    name = side.tensor(view)
    own = contracts.meant_of.get((side.noun, name))
    several = own is not None or tensors > 1
    table = f"contract.sanity.{side.noun}s.{toml_key(name)}" if several else "contract.sanity"
    return _Expectation(kind in (contracts.meant if own is None else own), table, own is not None)


def _of_each(names: list[str], looks: list[Look], results: list[CheckResult]) -> CheckResult:
    """One result: that of the first tensor that is marginal, else of the first that is odd, else of the first, and the
    words of all.
    """
    pairs = tuple(zip(names, results, strict=True))
    order = [
        (result.outcome is not Outcome.MARGINAL, not seen.odd) for seen, result in zip(looks, results, strict=True)
    ]
    return replace(
        results[order.index(min(order))],
        reason="; ".join(f"{name}: {result.reason}" for name, result in pairs if result.reason),
        numbers={f"{name}: {key}": value for name, result in pairs for key, value in result.numbers.items()},
        tensors=pairs,
    )


def _result(sheet: Sheet, kind: str, seen: Look, expected: _Expectation, met: bool) -> CheckResult:
    """met: the expectation, where there is one, is of something that was seen: of this tensor, or of any of those that
    share it.
    """
    result = sheet.result(value=seen.value, unit=seen.unit, reason=seen.little, numbers=seen.numbers)
    if expected.meant and not met:
        where = expected.table if expected.own else "contract.sanity"
        hint = f"take it out of [{where}] expect, where it would hide the next one"
        return replace(result, outcome=Outcome.MARGINAL, reason=_STALE, hint=hint)
    if seen.odd and expected.meant:
        return replace(result, reason=f"{MEANT}: {seen.odd}")
    if seen.odd:
        hint = f'{seen.hint}; when it is meant so: [{expected.table}] expect = ["{kind}"]'
        return replace(result, outcome=Outcome.MARGINAL, reason=seen.odd, hint=hint)
    return result
