"""Stages that are the product's own: what is taken from the device in place of what nobody can compute. A tensor that
the front end gave, and that is right as far as the case says, is what the model answers to: the oracle is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hil.case.types import Case
from hil.contract.input import PreparedTensors
from hil.contract.types import References
from hil.records import GateReason, RunRecords, Status
from hil.reference.compute import Stimuli, model_outputs
from hil.reference.own import is_right, takes_tensors
from hil.reference.prepare import digest
from hil.session.part import Part
from hil.tensor import Elements


def with_tensors_of_the_device(case: Case, part: Part, stimuli: Stimuli) -> tuple[Part, Stimuli]:
    """Part and stimuli, with the device's tensors in place of those that nobody else can say. part: of all shares."""
    found = part.sections.get(PreparedTensors)
    taken = found.taken if isinstance(found, PreparedTensors) else {}
    wanted = _adopted(case, stimuli, part.records, taken)
    rows = np.flatnonzero(wanted.digest != stimuli.digest)
    if not len(rows):
        return part, wanted
    answers = model_outputs(case, wanted, None if case.keeps_state else rows)
    if case.keeps_state:
        return replace(part, outputs=answers), wanted
    part.outputs.put(rows, answers.take(rows))
    return part, wanted


def _adopted(case: Case, stimuli: Stimuli, records: RunRecords, tensors: Mapping[int, Elements]) -> Stimuli:
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
