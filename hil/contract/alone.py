"""Knows what the scores of one window are answered with on their own, without the state that a stream carries on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.metrics import Floats
from hil.contract.types import Evidence
from hil.records import Status
from hil.reference.decide import best
from hil.tensor import Elements

Answers = NDArray[np.intp]  # label indices, -1 for unknown
UNKNOWN = -1


def threshold_score(case: Case) -> float:
    """The real score at which the device starts to accept: between the raw threshold and the next raw score; of float32
    that next score itself.

    Infinite where the threshold lies outside the output's type, so that every score, or none, is accepted.
    """
    threshold, output = case.decide.threshold, case.model.output
    if threshold < output.element.low:
        return -np.inf
    if threshold >= output.element.high:
        return np.inf
    if output.element.real:
        return float(output.element.of_ranks(threshold + 1))
    return float(output.quantisation.real(np.array(threshold + 0.5)))


def real_answers(case: Case, scores: Floats) -> Answers:
    """Winner of each row of real scores [n, labels] where it reaches the threshold."""
    return np.where(scores.max(axis=1) >= threshold_score(case), scores.argmax(axis=1), UNKNOWN)


def raw_answers(case: Case, output: Elements) -> Answers:
    """Winner of each row of raw scores [n, labels] where it is above the threshold."""
    winner, score = best(output)
    return np.where(score > case.decide.threshold, winner, UNKNOWN).astype(np.intp)


def device_answers(evidence: Evidence) -> Answers:
    """What the device answered, [n]; unknown where a vector was not done.

    Where state has a part (a stream, a debounce) the answer that its own output gives without it.
    """
    case, records = evidence.case, evidence.records
    alone = np.full(len(records), case.decide.debounce <= 1)
    if case.vectors.sequence is not None:
        alone &= case.vectors.sequence < 0
    answers = np.where(alone, records.answer, raw_answers(case, records.output))
    return np.where(records.status == Status.DONE, answers, UNKNOWN)
