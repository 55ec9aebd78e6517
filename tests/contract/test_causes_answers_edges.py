"""Answers under other names: at the first and the last label, with answers that are none, and at half of a label."""

from __future__ import annotations

import numpy as np
import pytest

from hil.contract.causes.answers import Answers, always, mostly_permuted, permuted

LABELS = ("a", "b", "c", "d", "e", "f")


def answers(*pairs: tuple[int, int], labels: int = 4) -> Answers:
    wanted, given = zip(*pairs, strict=True)
    return Answers(np.array(wanted, np.int32), np.array(given, np.int32), LABELS[:labels])


@pytest.mark.parametrize(("index", "name"), [(-1, "no label"), (0, "'a'"), (3, "'d'"), (4, "no label")])
def test_only_a_label_has_a_name(index: int, name: str) -> None:
    assert answers((0, 0)).name(index) == name


@pytest.mark.parametrize("cause", [permuted, mostly_permuted])
@pytest.mark.parametrize(("labels", "more"), [(4, False), (5, True)])
def test_four_labels_are_shown(cause: object, labels: int, more: bool) -> None:
    assert callable(cause)
    said = cause(answers(*((n, (n + 1) % labels) for n in range(labels)), labels=labels))
    assert said.count(" is answered as ") == 4
    assert said.endswith(", ...") is more


def test_answers_that_are_no_label_are_left_out_of_most() -> None:
    """On either side, below the first label and behind the last."""
    swap = [(0, 1), (1, 0)]
    wanted = "permuted labels: 'a' is answered as 'b', 'b' is answered as 'a'"
    assert mostly_permuted(answers(*swap)) == wanted
    for odd in ((-1, 0), (0, -1), (4, 0), (0, 4), (-1, -1), (4, 4), (-1, 4), (4, -1)):
        assert mostly_permuted(answers(*swap, *[odd] * 5)) == wanted, odd


def test_half_of_a_label_is_not_most_of_it() -> None:
    swap = [(0, 1), (0, 1), (1, 0), (1, 0)]
    assert mostly_permuted(answers(*swap, (0, 2))) != ""
    assert mostly_permuted(answers(*swap, (0, 2), (0, 3))) == ""


def test_two_labels_taken_for_one_are_no_permutation() -> None:
    assert mostly_permuted(answers((0, 2), (1, 2), (3, 0))) == ""
    assert mostly_permuted(answers((0, 2), (1, 3), (3, 0))) != ""


def test_one_answer_to_two_labels_is_constant_and_to_one_it_is_right() -> None:
    assert always(answers((0, 3), (1, 3))) == "constant answer: every vector is answered 'd'"
    assert always(answers((0, 3), (0, 3))) == ""
    assert always(answers((0, 3), (1, 2))) == ""
