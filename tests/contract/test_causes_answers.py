"""Answers that are the right ones under other names are recognised: by index, by text, and in the true labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_evidence import LABELS

from hil.contract import CHECKS, judge
from hil.contract.causes import ANSWERS, guess
from hil.contract.causes.answers import Answers, mostly_permuted
from hil.contract.types import Evidence, Finding, Outcome
from hil.records import Status

BY_ID = {check.id: check for check in CHECKS}
WANTED = np.array([0, 1, 2, 3, -1, 0, 2, 1, 3, -1], np.int32)
SIDEWAYS = np.array([2, 1, 0, 3, -1], np.int32)  # index -1, unknown, is the last


def look(given: np.ndarray) -> str:
    return guess(ANSWERS, Answers(WANTED, given.astype(np.int32), LABELS))


def first(evidence: Evidence, check: str) -> Finding:
    result = judge(BY_ID[check], evidence)
    assert result.outcome is Outcome.FAILED
    return result.findings[0]


def test_two_labels_taken_for_one_another() -> None:
    assert look(SIDEWAYS[WANTED]) == "permuted labels: 'circle' is answered as 'shake', 'shake' is answered as 'circle'"


def test_labels_that_are_rotated() -> None:
    assert look(np.where(WANTED < 0, -1, (WANTED + 1) % 4)).startswith(
        "permuted labels: 'circle' is answered as 'idle'"
    )


def test_always_the_same_answer() -> None:
    assert look(np.full_like(WANTED, 1)) == "constant answer: every vector is answered 'idle'"


@pytest.mark.parametrize(
    "given",
    [
        [1, 1, 2, 3, -1, 0, 2, 1, 3, -1],  # one of two
        [1, 1, 2, 3, -1, 1, 2, 1, 3, -1],  # two labels as one
        [2, 1, 0, 3, 1, 2, 0, 1, 3, 1],  # an unknown one gets a label
    ],
)
def test_other_mistakes_are_no_permutation(given: list[int]) -> None:
    assert look(np.array(given)) == ""


def test_true_labels_in_another_order_show_through_mistakes_of_the_model() -> None:
    truth = np.repeat(np.arange(4), 25).astype(np.int32)
    given = SIDEWAYS[truth]
    given[::6] = (given[::6] + 1) % 4
    assert mostly_permuted(Answers(truth, given, LABELS)).startswith("permuted labels: 'circle' is answered as 'shake'")
    given[::2] = np.random.default_rng(1).integers(0, 4, len(given[::2]))
    assert mostly_permuted(Answers(truth, np.roll(truth, 3), LABELS)) == ""


# ---- in the findings


def test_a_permuted_label_map_is_the_only_thing_that_decision_answer_names(evidence: Evidence) -> None:
    rows = evidence.records
    rows.answer[:] = SIDEWAYS[rows.answer]
    rows.label[:] = np.where(rows.answer >= 0, 3 - rows.answer, -1)
    finding = first(evidence, "decision.answer")
    assert finding.hint.startswith("looks like permuted labels: 'circle' is answered as 'shake'")
    assert finding.stage == "decide"
    assert "see decision.answer" in first(evidence, "decision.accuracy").hint
    assert judge(BY_ID["execution.output"], evidence).outcome is Outcome.PASSED


def test_permuted_texts_under_the_right_index_are_named_too(evidence: Evidence) -> None:
    evidence.records.label[:] = np.where(evidence.records.label >= 0, (evidence.records.label + 1) % 4, -1)
    hint = first(evidence, "decision.answer").hint
    assert hint.startswith("looks like permuted labels:")
    assert "by its text alone: see decision.labels" in hint


def test_a_label_column_in_another_order_is_told_from_a_bad_model(evidence: Evidence) -> None:
    label = evidence.case.vectors.label
    assert label is not None
    label[:] = SIDEWAYS[label]
    hint = first(evidence, "decision.accuracy").hint
    assert "'circle' is answered as 'shake'" in hint
    assert "is the `label` column in the order of decision.labels?" in hint


def test_answers_of_vectors_that_broke_before_do_not_hide_the_permutation(evidence: Evidence) -> None:
    rows = evidence.records
    rows.answer[:] = SIDEWAYS[rows.answer]
    rows.label[:] = np.where(rows.answer >= 0, 3 - rows.answer, -1)
    rows.digest[40] ^= 1
    rows.answer[40] = 1
    rows.status[41] = Status.FAULT
    assert first(evidence, "decision.answer").hint.startswith("looks like permuted labels")


# ---- accuracy that is lost with agreement


def test_accuracy_that_quantisation_loses_points_to_agreement(evidence: Evidence) -> None:
    """The float model is right; oracle and device answer alike, and wrong on every third vector."""
    lose_by_quantisation(evidence)
    finding = first(evidence, "decision.accuracy")
    assert finding.hint.startswith("agreement is lost with it: the float model reaches ")
    assert finding.hint.endswith("see agreement.top1")
    assert judge(BY_ID["decision.answer"], evidence).outcome is Outcome.PASSED


def test_accuracy_that_quantisation_loses_unseen_asks_for_figures_of_agreement(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    lose_by_quantisation(evidence)
    hint = first(with_contracts(evidence, agreement={}), "decision.accuracy").hint
    assert hint.startswith("lost in quantisation: the float model reaches ")
    assert "[contract.agreement]" in hint


def test_accuracy_that_the_input_loses_is_not_called_quantisation(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    """The float model is right on the raw windows, and as wrong as the oracle on what prepare makes of them."""
    lose_by_quantisation(evidence)
    oracle = (evidence.references.output.astype(np.float32) + 128) / 256
    evidence = replace(evidence, references=replace(evidence.references, float_output=oracle))
    hint = first(with_contracts(evidence, agreement={}), "decision.accuracy").hint
    assert hint.startswith("lost in the input, on its way to the prepared tensor: the float model reaches ")


def test_accuracy_that_the_float_model_has_not_either_is_the_model_s(evidence: Evidence) -> None:
    label = evidence.case.vectors.label
    assert label is not None
    label[::3] = (label[::3] + np.random.default_rng(1).integers(1, 4, len(label[::3]))) % 4
    assert first(evidence, "decision.accuracy").hint.startswith("the reference is as inaccurate")


def lose_by_quantisation(evidence: Evidence) -> None:
    rows, references = evidence.records, evidence.references
    wrong = np.arange(0, 320, 3)
    for side in (rows, references):
        side.output[wrong] = np.roll(side.output[wrong], 1, axis=1)
        side.winner[wrong] = side.output[wrong].argmax(axis=1)
        side.score[wrong] = side.output[wrong].max(axis=1)
        side.answer[wrong] = np.where(side.score[wrong] > 0, side.winner[wrong], -1)
    rows.label[:] = np.where(rows.answer >= 0, 3 - rows.answer, -1)
