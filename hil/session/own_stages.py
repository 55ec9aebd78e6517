"""The models' answers to tensors that only the device can say: those of a front end of the product's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hil.case.types import Case
from hil.contract.input import PreparedTensors
from hil.reference.compute import Stimuli, model_outputs
from hil.reference.own import adopted
from hil.session.part import Part


def with_tensors_of_the_device(case: Case, part: Part, stimuli: Stimuli) -> tuple[Part, Stimuli]:
    """Part and stimuli, with the device's tensors in place of those that nobody else can say. part: of all shares."""
    found = part.sections.get(PreparedTensors)
    taken = found.taken if isinstance(found, PreparedTensors) else {}
    wanted = adopted(case, stimuli, part.records, taken)
    rows = np.flatnonzero(wanted.digest != stimuli.digest)
    if not len(rows):
        return part, wanted
    answers = model_outputs(case, wanted, None if case.keeps_state else rows)
    if case.keeps_state:
        return replace(part, outputs=answers), wanted
    part.outputs.put(rows, answers.take(rows))
    return part, wanted
