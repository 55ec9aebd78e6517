"""Whether the tensor of a front end of the product's own is right, as far as the case says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.tensor import Elements


def takes_tensors(case: Case) -> bool:
    """Whether a tensor of the device may be right although it is not the expected one, byte for byte."""
    exact = case.contracts.prepared_lsb == 0 and case.contracts.prepared_tolerance == 0
    return case.prepare.own and (case.vectors.prepared is None or not exact)


def distance(wanted: Elements, observed: Elements) -> NDArray[np.float64]:
    """How far each element is off: in LSB, of float32 in its own unit; NaN to NaN is 0, and infinite to a number."""
    if wanted.dtype.kind != "f":
        return np.abs(wanted.astype(np.float64) - observed.astype(np.float64))
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(wanted.astype(np.float64) - observed.astype(np.float64))
    same = (wanted == observed) | (np.isnan(wanted) & np.isnan(observed))
    return np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))


def allowance(case: Case) -> float:
    """What an element of the prepared tensor may be off by, in the unit of `distance`."""
    contracts = case.contracts
    return contracts.prepared_tolerance if case.model.input.element.real else float(contracts.prepared_lsb)


def is_right(case: Case, vector: int, observed: Elements) -> bool:
    """Whether the device's tensor is as far right as the case says; without an expectation it is."""
    wanted = case.vectors.prepared
    if len(observed) != case.model.input.elements:
        return False
    return wanted is None or bool((distance(wanted[vector], observed) <= allowance(case)).all())
