"""Knows how far an output is from the one that is wanted, and how far it may be: in steps of its type (LSB of integers,
ULP of float32), and for float32 also by an absolute tolerance, whichever allows more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Limit
from hil.tensor import STEPS_TO_NO_NUMBER, Elements, ElementType, steps_between

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Allowance:
    """What an output may be off by. tolerance: absolute, of float32 alone; 0 for none."""

    element: ElementType
    steps: int
    tolerance: float = 0.0

    @property
    def limit(self) -> Limit:
        """What `worst` is held to."""
        if self.tolerance:
            return Limit(maximum=self.tolerance)
        return Limit(maximum=self.steps, unit=self.element.step)

    @property
    def words(self) -> str:
        """As in `within 1 LSB`."""
        steps = f"within {self.steps:,} {self.element.step}"
        if not self.element.real:
            return steps
        if not self.tolerance:
            return steps if self.steps else "bit for bit"
        return f"{steps} or {self.tolerance:g}" if self.steps else f"within {self.tolerance:g}"

    def beyond(self, wanted: Elements, observed: Elements) -> Mask:
        """Which elements are farther off than that."""
        off: Mask = steps_between(wanted, observed) > self.steps
        if self.tolerance and off.any():
            off &= ~(absolute(wanted, observed) <= self.tolerance)
        return off

    def worst(self, wanted: Elements, observed: Elements) -> float:
        """The farthest that an element is off, in the unit of `limit`: with a tolerance the absolute error of those
        that the steps do not excuse.
        """
        steps = steps_between(wanted, observed)
        if not self.tolerance:
            return float(steps.max(initial=0))
        return float(absolute(wanted, observed)[steps > self.steps].max(initial=0.0))

    def off_by(self, wanted: Elements, observed: Elements, place: int) -> str:
        """How far one element of a row is off, as in `3 LSB off` or `0.25 off, 4,194,304 ULP`."""
        steps = int(steps_between(wanted, observed)[place])
        if steps == STEPS_TO_NO_NUMBER:
            return "which is no number" if np.isnan(observed[place]) else "where no number is wanted"
        if not self.element.real:
            return f"{steps} LSB off"
        return f"{absolute(wanted, observed)[place]:.6g} off, {steps:,} ULP"


def allowed(case: Case) -> Allowance:
    """What the case lets an output be off from the oracle's."""
    element, contracts = case.model.output.element, case.contracts
    if element.real:
        return Allowance(element, contracts.ulp, contracts.tolerance)
    return Allowance(element, contracts.lsb)


def allowed_since(case: Case) -> Allowance:
    """What the case lets an output be off from the accepted one."""
    element, tolerance = case.model.output.element, case.contracts.baseline
    return Allowance(element, tolerance.outputs_ulp if element.real else tolerance.outputs_lsb)


def absolute(wanted: Elements, observed: Elements) -> NDArray[np.float64]:
    """|observed - wanted|; infinite to what is no number on one side only, and between infinities of other signs."""
    with np.errstate(invalid="ignore"):
        error = np.abs(observed.astype(np.float64) - wanted.astype(np.float64))
    same = steps_between(wanted, observed) == 0
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def shown(element: ElementType, value: Any) -> str:
    """An element of an output in words: all digits that tell it from its neighbours."""
    return str(element.dtype.type(value)) if element.real else str(int(value))
