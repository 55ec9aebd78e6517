"""Knows what the scores of one window are answered with on their own, without the state that a stream carries on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.metrics import Floats
from hil.contract.types import Evidence
from hil.records import Status

Answers = NDArray[np.intp]  # label indices, -1 for unknown
UNKNOWN = -1


def threshold_score(case: Case) -> float:
    """The real score at which the device starts to accept: between the raw threshold and the next raw score.

    Infinite where the threshold lies outside int8, so that every score, or none, is accepted.
    """
    threshold, quantisation = case.decide.threshold, case.model.output.quantisation
    if threshold < -128:
        return -np.inf
    if threshold >= 127:
        return np.inf
    return (threshold + 0.5 - quantisation.zero_point) * quantisation.scale


def real_answers(case: Case, scores: Floats) -> Answers:
    """Winner of each row of real scores [n, labels] where it reaches the threshold."""
    return np.where(scores.max(axis=1) >= threshold_score(case), scores.argmax(axis=1), UNKNOWN)


def raw_answers(case: Case, output: NDArray[np.int8]) -> Answers:
    """Winner of each row of raw scores [n, labels] where it is above the threshold."""
    return np.where(output.max(axis=1) > case.decide.threshold, output.argmax(axis=1), UNKNOWN)


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
