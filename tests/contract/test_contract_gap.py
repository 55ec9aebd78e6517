"""Float model, int8 oracle and device over the same labelled vectors: counts by hand, and whose the gap is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import LABELS, REJECTED, N

from hil.case.types import Decide
from hil.contract.gap import Answered, Comparison, comparison
from hil.contract.types import Evidence
from hil.records import Status

UNSURE = 32  # of the 320 vectors every tenth lies below the threshold: nobody answers it


def compared(evidence: Evidence) -> Comparison:
    found = comparison(evidence)
    assert found is not None
    return found


def floats(evidence: Evidence, name: str) -> np.ndarray:
    scores = getattr(evidence.references, name)
    assert scores is not None
    return scores


def sure(evidence: Evidence, count: int) -> list[int]:
    """The first vectors that all sides answer, and answer right."""
    answered = np.flatnonzero((evidence.references.answer >= 0) & (np.arange(N) != REJECTED))
    return answered[:count].tolist()


def test_all_sides_are_counted_over_the_same_labelled_vectors(evidence: Evidence) -> None:
    found = compared(evidence)
    truth = evidence.case.vectors.label
    assert truth is not None
    counts = [int((np.delete(truth, REJECTED) == label).sum()) for label in range(len(LABELS))]
    assert (found.vectors, list(found.labelled)) == (N - 1, counts)
    share = (N - 1 - UNSURE) / (N - 1)
    for side in (found.float_chain, found.float_tensor, found.int8, found.device):
        assert side is not None
        assert (side.accuracy, side.accepted, side.wrongly_accepted, side.unknown) == (share, N - 1 - UNSURE, 0, UNSURE)
    assert found.device.recall == found.int8.recall
    assert found.gap is not None
    assert (found.gap.input, found.gap.quantisation, found.gap.device) == (0, 0, 0)


def test_what_each_step_loses_is_its_own(evidence: Evidence) -> None:
    """Vectors that are lost from the input on, from the conversion on, and on the device: 1, 2 and 4."""
    rows = sure(evidence, 7)
    for row in rows[:1]:
        floats(evidence, "float_output")[row] = 0  # the tensor no longer shows what the window does
    for row in rows[:3]:
        evidence.references.output[row] = evidence.records.output[row] = -128
        evidence.records.answer[row] = -1
    for row in rows[3:]:
        evidence.records.answer[row] = (evidence.records.answer[row] + 1) % 4
    found = compared(evidence)
    assert found.gap is not None
    assert np.array([found.gap.input, found.gap.quantisation, found.gap.device]) * found.vectors == pytest.approx(
        [-1, -2, -4]
    )
    assert (found.device.wrongly_accepted, found.device.unknown) == (4, UNSURE + 3)
    assert (found.int8.wrongly_accepted, found.int8.unknown) == (0, UNSURE + 3)


def test_recall_is_of_the_vectors_of_a_label(evidence: Evidence) -> None:
    label = np.full(N, -1)
    rows = sure(evidence, 10)
    label[rows] = evidence.references.winner[rows]
    label[rows[0]] = 3
    evidence.records.answer[rows[1]] = -1
    case = replace(evidence.case, vectors=replace(evidence.case.vectors, label=label))
    found = compared(replace(evidence, case=case))
    for at in range(len(LABELS)):
        mine = [row for row in rows if label[row] == at]
        right = [row for row in mine if evidence.records.answer[row] == at]
        assert found.device.recall[at] == (len(right) / len(mine) if mine else None)
    assert sum(found.labelled) == found.vectors == 10


def test_a_window_that_the_device_lost_counts_as_unknown_on_the_device(evidence: Evidence) -> None:
    (row,) = sure(evidence, 1)
    evidence.records.status[row], evidence.records.answer[row] = Status.REJECTED, -1
    found = compared(evidence)
    assert (found.device.unknown, found.int8.unknown) == (UNSURE + 1, UNSURE)


def test_where_state_has_a_part_each_window_is_decided_alone(evidence: Evidence) -> None:
    """A debounce of 3 accepts no first window; its own output does."""
    case = replace(evidence.case, decide=replace(evidence.case.decide, debounce=3))
    evidence.records.answer[:] = -1
    assert compared(replace(evidence, case=case)).device == compared(replace(evidence, case=case)).int8


def test_a_wrong_decide_stage_is_the_devices(evidence: Evidence) -> None:
    """Its outputs are right, its answers are not."""
    rows = sure(evidence, 5)
    evidence.records.answer[rows] = -1
    found = compared(evidence)
    assert found.gap is not None
    assert found.gap.device == pytest.approx(-5 / found.vectors)


def test_without_a_float_model_there_is_nothing_to_attribute(evidence: Evidence) -> None:
    references = replace(evidence.references, float_output=None, float_chain=None)
    found = compared(replace(evidence, references=references))
    assert (found.float_chain, found.float_tensor, found.gap) == (None, None, None)
    assert isinstance(found.int8, Answered)


def test_without_labels_or_answers_there_is_no_comparison(evidence: Evidence) -> None:
    unlabelled = replace(evidence.case, vectors=replace(evidence.case.vectors, label=None))
    undecided = replace(evidence.case, decide=Decide("none", 1))
    for case in (unlabelled, undecided):
        assert comparison(replace(evidence, case=case)) is None
    evidence.records.status[:] = Status.NOT_RUN
    assert comparison(evidence) is None
