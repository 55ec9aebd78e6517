"""What one window's scores are answered with on their own: at the threshold, at the ends of the type, in a stream."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import LABELS, STREAM, N

from hil.case.types import Case
from hil.contract.alone import UNKNOWN, device_answers, raw_answers, real_answers, threshold_score
from hil.contract.types import Evidence
from hil.records import Status
from hil.tensor import ranks


def accepting_above(evidence: Evidence, threshold: int) -> Case:
    decide = replace(evidence.case.decide, threshold=threshold, release=threshold)
    return replace(evidence.case, decide=decide)


@pytest.mark.parametrize(
    ("threshold", "score"),
    [(-129, -np.inf), (-128, 0.5 / 256), (0, 128.5 / 256), (126, 254.5 / 256), (127, np.inf), (128, np.inf)],
)
def test_the_real_threshold_lies_half_a_step_above_the_raw_one(
    evidence: Evidence, threshold: int, score: float
) -> None:
    """A score of 1/256 a step, from raw -128; below it all are accepted, from the highest on none."""
    assert threshold_score(accepting_above(evidence, threshold)) == score


def test_of_float32_the_next_number_is_accepted(evidence: Evidence) -> None:
    model = replace(evidence.case.model, outputs=(replace(evidence.case.model.output, dtype="FLOAT32"),))
    half = int(ranks(np.array([0.5], np.float32))[0])
    case = replace(accepting_above(evidence, half), model=model)
    assert threshold_score(case) == float(np.nextafter(np.float32(0.5), np.float32(1)))


def test_the_threshold_itself_is_not_accepted_and_the_next_score_is(evidence: Evidence) -> None:
    case = accepting_above(evidence, 5)
    scores = np.array([[5, 0, 0, 0], [6, 0, 0, 0], [4, 5, 6, 6]], np.int8)
    assert raw_answers(case, scores).tolist() == [UNKNOWN, 0, 2]  # of equal ones the first
    real = (scores.astype(np.float64) + 128) / 256
    assert real_answers(case, real).tolist() == [UNKNOWN, 0, 2]
    between = np.full((1, 4), 0.1)
    between[0, 3] = threshold_score(case)
    assert real_answers(case, between).tolist() == [3]


def other_answers(evidence: Evidence) -> Evidence:
    """The device answers everything with what its output does not say."""
    evidence.records.answer[:] = (raw_answers(evidence.case, evidence.records.output) + 1) % len(LABELS)
    evidence.records.status[:] = Status.DONE
    return evidence


def answered_alone(evidence: Evidence) -> list[int]:
    """Vectors for which the device's own answer stands."""
    return np.flatnonzero(device_answers(evidence) == evidence.records.answer).tolist()


def test_in_a_stream_the_output_says_what_the_answer_would_have_been(evidence: Evidence) -> None:
    """Sequence 0 is the first stream, not none."""
    assert answered_alone(other_answers(evidence)) == [row for row in range(N) if row not in STREAM]
    without = replace(evidence.case, vectors=replace(evidence.case.vectors, sequence=None))
    assert answered_alone(replace(evidence, case=without)) == list(range(N))


@pytest.mark.parametrize(("debounce", "alone"), [(0, True), (1, True), (2, False)])
def test_a_debounce_of_two_windows_is_a_state_too(evidence: Evidence, debounce: int, alone: bool) -> None:
    case = evidence.case
    changed = replace(
        case, decide=replace(case.decide, debounce=debounce), vectors=replace(case.vectors, sequence=None)
    )
    found = answered_alone(replace(other_answers(evidence), case=changed))
    assert found == (list(range(N)) if alone else [])


def test_what_was_not_done_has_no_answer(evidence: Evidence) -> None:
    evidence.records.status[40] = Status.FAULT
    evidence.records.answer[40] = 2
    assert device_answers(evidence)[40] == UNKNOWN
