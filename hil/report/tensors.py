"""What each tensor of a model with several came to, by name, for every report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hil.report.page.words import clip, limit_text, number, observed
from hil.runfile import Case, Check, TensorCheck
from hil.verdict import PASSED

HEADER = ("tensor", "check", "outcome", "observed", "limit")


@dataclass(frozen=True)
class Row:
    """What one check said of one tensor."""

    tensor: str
    check: str
    outcome: str
    observed: str
    limit: str
    reason: str

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.tensor, self.check, self.outcome, self.observed or self.reason, self.limit)


def of_check(check: Check) -> list[Row]:
    """All tensors of one check, in the order of the run; none of a check that was made of one."""
    return [_row(check, each) for each in check.tensors]


def rows(case: Case) -> list[Row]:
    """Every tensor, the inputs first, with what has a figure or does not hold; empty with one input and one output."""
    found = [row for check in case.checks for row in of_check(check) if row.observed or row.outcome != PASSED]
    order = list(dict.fromkeys(each.name for check in case.checks for each in check.tensors))
    order.sort(key=lambda name: not name.startswith("input"))
    return sorted(found, key=lambda row: order.index(row.tensor))


def lines(case: Case) -> Iterator[str]:
    """For a terminal: a line a tensor, `output 'level': execution.output 0 LSB (limit ≤ 1 LSB)`."""
    listed = rows(case)
    for name in dict.fromkeys(row.tensor for row in listed):
        yield f"  {name}: {', '.join(_words(row) for row in listed if row.tensor == name)}"


def _words(row: Row) -> str:
    outcome = "" if row.outcome == PASSED else row.outcome.upper() if row.outcome == "failed" else row.outcome
    limit = f"(limit {row.limit})" if row.limit else ""
    return " ".join(part for part in (row.check, outcome, row.observed, limit) if part)


def _ends(check: Check, name: str) -> str:
    """What the device said of a prepared tensor, "" of any other check."""
    words = {"minimum": "min {}", "maximum": "max {}", "saturated": "{} saturated", "not_finite": "{} not finite"}
    told = {key: check.numbers.get(f"{name}: {key}") for key in words}
    return ", ".join(words[key].format(number(value)) for key, value in told.items() if isinstance(value, int | float))


def _row(check: Check, each: TensorCheck) -> Row:
    return Row(
        tensor=clip(each.name, 120),
        check=check.id,
        outcome=each.outcome,
        observed=observed(check, each) or _ends(check, each.name),
        limit=limit_text(check, each),
        reason=clip(each.reason),
    )
