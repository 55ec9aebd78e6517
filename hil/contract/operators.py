"""Knows single operators of the model: what each took on one vector, and which first gives another output."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.state import WrongPairs
from hil.contract.types import Evidence, ReplayDifference, Section


@dataclass(frozen=True)
class OperatorTicks:
    """What one operator of the model took on one vector, in units of the board's clock; `index` counts in the order of
    the model.
    """

    index: int
    operator: str
    units: int


@dataclass(frozen=True)
class OperatorProfile(Section):
    """The operators of one run of `vector`, in order. Nothing when the firmware cannot tell, or when the profiled run
    was not the vector's record, which is in `differences` then.
    """

    operators: tuple[OperatorTicks, ...] = ()
    vector: int = -1
    differences: tuple[ReplayDifference, ...] = ()


@dataclass(frozen=True)
class FirstOperator(Section):
    """Where the device leaves the oracle on one window, when it does and a piece of the model shows it. operators:
    index and name of the operator, of several when those between cannot be told apart.
    """

    window: str = ""
    operators: tuple[tuple[int, str], ...] = ()

    def __str__(self) -> str:
        if not self.operators:
            return ""
        (first, name), (last, other) = self.operators[0], self.operators[-1]
        place = f"operator {first} {name}" + (f" to {last} {other}" if last > first else "")
        return (
            f"the first output that is not the oracle's is that of {place} (window {self.window}, model cut behind it)"
        )


def with_culprit(hint: str, evidence: Evidence) -> str:
    """The hint, and the operator, or the pairs of state, where they are known."""
    found = str(evidence.section(FirstOperator)) or str(evidence.section(WrongPairs))
    return f"{hint}; {found}" if found else hint
