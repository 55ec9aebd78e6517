"""Stages that are the product's own: what the case expects of them, and what is taken from the device in place of what
nobody can compute. A tensor that the front end gave, and that is right as far as the case says, is what the model
answers to: the oracle is asked for that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.types import References
from hil.records import GateReason, RunRecords, Status
from hil.reference.prepare import digest
from hil.tensor import Elements

if TYPE_CHECKING:
    from hil.reference.compute import Stimuli  # which needs the contracts, and they need this module


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


def adopted(case: Case, stimuli: Stimuli, records: RunRecords, tensors: Mapping[int, Elements]) -> Stimuli:
    """What the device should have seen, with what it saw where only it can say.

    tensors: [input elements] by vector, those that the device gave. Where the case has no gate, its verdict is taken.
    A tensor that has not the digest of its record is never right: one of the two is not that of the window.
    """
    gate = stimuli.gate
    if case.prepare.own and not case.gate.known:
        refused = (records.status == Status.REJECTED) & (records.gate != GateReason.VALID)
        gate = np.where(refused, records.gate, np.where(records.status == Status.DONE, GateReason.VALID, gate))
        gate = gate.astype(stimuli.gate.dtype)
    if not takes_tensors(case):
        return replace(stimuli, gate=gate)
    prepared, digests = stimuli.prepared.copy(), stimuli.digest.copy()
    done = records.status == Status.DONE
    unknown = done & (records.digest != digests)  # whether it is right is not known, without the tensor itself
    if case.vectors.prepared is None:
        unknown = np.ones(len(records), np.bool_)
    for vector, tensor in tensors.items():
        unknown[vector] = case.vectors.prepared is None and len(tensor) != case.model.input.elements
        told = digest(tensor) == records.digest[vector]
        if is_right(case, vector, tensor) and (told or case.vectors.prepared is None):
            prepared[vector], digests[vector] = tensor, digest(tensor)
    return Stimuli(gate, prepared, digests, stimuli.further, unknown)


def with_own_decisions(case: Case, references: References, records: RunRecords) -> References:
    """The references with what the case expects of a decide stage of the product's own; where it expects nothing, with
    what the device said.
    """
    if not case.decide.own:
        return references
    answer = records.answer
    if case.vectors.answer is not None:
        answer = np.where(references.gate == GateReason.VALID, case.vectors.answer, -1).astype(records.answer.dtype)
    return replace(references, winner=records.winner, score=records.score, answer=answer, reason=records.reason)
