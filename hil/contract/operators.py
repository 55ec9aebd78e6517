"""Knows what each operator of the model took on one vector: the section that the profiled run leaves."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.types import ReplayDifference, Section


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
