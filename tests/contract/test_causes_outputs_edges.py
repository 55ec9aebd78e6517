"""Mistakes around the model's run at the least that shows them, and one less, of which nothing may be said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from hil.contract.causes import outputs
from hil.contract.causes.outputs import Outputs, output_name
from hil.tensor import INT8, INT16, UINT8, ElementType

LABELS = ("a", "b", "c", "d", "e", "f")


def run(
    wanted: ArrayLike,
    observed: ArrayLike,
    rows: list[int] | None = None,
    prepared: ArrayLike | None = None,
    element: ElementType = INT8,
    zero_point: int = 0,
) -> Outputs:
    """A run whose vectors are off where they differ, or at `rows`."""
    right, given = np.array(wanted, np.int64), np.array(observed, np.int64)
    off = np.flatnonzero((right != given).any(axis=1)) if rows is None else np.array(rows)
    inputs = np.zeros((len(right), 0), np.int64) if prepared is None else np.array(prepared, np.int64)
    return Outputs(right, given, off, inputs, zero_point, LABELS, ("CONV_2D",), lambda row: f"#{row}", element)


def scores(count: int, width: int = 4, seed: int = 1) -> np.ndarray:
    """No two rows alike, nor two places."""
    return np.random.default_rng(seed).permutation(count * width).reshape(count, width) - count * width // 2


def test_an_element_beyond_the_labels_has_no_name() -> None:
    assert [output_name(("a", "b"), place) for place in (1, 2)] == ["output [1] (b)", "output [2]"]


# ---- constant


def test_two_vectors_that_give_the_same_are_constant_and_one_is_not() -> None:
    assert outputs.constant(run([[1, 2], [3, 4]], [[5, 6], [5, 6]])).startswith("constant output")
    assert outputs.constant(run([[1, 2]], [[5, 6]])) == ""


def test_what_should_be_constant_is() -> None:
    assert outputs.constant(run([[1, 2], [1, 2], [1, 2]], [[5, 6], [5, 6], [5, 6]])) == ""
    assert outputs.constant(run([[1, 2], [1, 2], [1, 3]], [[5, 6], [5, 6], [5, 6]])) != ""


def test_all_of_one_value_asks_for_the_tensor_and_others_for_the_input() -> None:
    right = [[1, 2], [3, 4]]
    assert outputs.constant(run(right, [[5, 5], [5, 5]])).endswith("is this its output tensor?")
    assert outputs.constant(run(right, [[5, 6], [5, 6]])).endswith("does the input reach the model?")


# ---- the vector before


def kept(count: int, rows: list[int], of: int = 0) -> Outputs:
    """The output of the vector before stays; `of`: how many rows are off besides, in another way."""
    right = scores(count)
    given = right.copy()
    for row in rows:
        given[row] = given[row - 1]
    given[count - of :] += 1
    return run(right, given)


def test_an_output_that_stays_from_some_vector_on_is_told_from_the_third_on() -> None:
    assert "from #7 on the output stays that of #6" in outputs.still(kept(10, [7, 8, 9]))
    assert "it is still that of the vector before" in outputs.still(kept(10, [8, 9]))
    assert "it is still that of the vector before" in outputs.still(kept(10, [3, 5, 9]))


def test_it_may_begin_with_the_second_vector() -> None:
    assert "it is still that of the vector before" in outputs.still(kept(10, [1]))
    assert outputs.still(kept(10, [1])).endswith("or its result read too early?")
    right = scores(10)
    assert outputs.late(run(right, np.vstack([right[:1], right[:1], right[2:]]))).startswith("stale output")


def test_the_first_vector_has_none_before_it_and_is_left_out_once() -> None:
    """When it is off too, what it should be like is not known; nothing is said of it alone."""
    right = scores(10)
    behind = np.vstack([right[:1] + 1, right[:9]])
    assert outputs.late(run(right, behind)).startswith("stale output")
    given = right.copy()
    given[0] += 1
    assert outputs.late(run(right, given)) == outputs.still(run(right, given)) == ""
    given[4] = given[3]
    assert outputs.still(run(right, given)) != ""


def test_one_that_is_off_otherwise_takes_the_word_away() -> None:
    assert outputs.still(kept(10, [3, 5], of=1)) == ""
    right = scores(10)
    behind = np.vstack([right[:1], right[:9]])
    behind[9] += 1
    assert outputs.late(run(right, behind)) == ""


# ---- the input's memory


def of_the_input(count: int, width: int, elements: int, start: int = 0) -> Outputs:
    tensors = np.arange(count * elements).reshape(count, elements)
    return run(-1 - scores(count, width) ** 2, tensors[:, start : start + width], prepared=tensors)


def test_six_elements_that_are_the_input_s_are_no_chance_and_five_are() -> None:
    assert "the input tensor's memory, from element 2 on" in outputs.input_memory(of_the_input(2, 3, 8, 2))
    assert outputs.input_memory(of_the_input(1, 5, 8)) == ""
    assert "from element 0 on" in outputs.input_memory(of_the_input(1, 6, 6))  # the whole of it


def test_two_values_are_enough_and_one_is_not() -> None:
    right = scores(6, 2)
    tensors = np.zeros((6, 4), np.int64)
    assert outputs.input_memory(run(right, tensors[:, :2], prepared=tensors)) == ""
    tensors[:, 1] = 1
    assert outputs.input_memory(run(right, tensors[:, :2], prepared=tensors)) != ""


# ---- permuted


@pytest.mark.parametrize(("count", "width"), [(3, 2), (1, 4), (2, 3), (3, 128)])
def test_the_least_that_shows_a_permutation(count: int, width: int) -> None:
    right = scores(count, width)
    assert outputs.permuted(run(right, np.roll(right, 1, axis=1), element=INT16)).startswith("permuted outputs")


@pytest.mark.parametrize(("count", "width"), [(2, 2), (1, 3), (3, 129)])
def test_less_than_that_is_chance_or_too_wide(count: int, width: int) -> None:
    right = scores(count, width)
    assert outputs.permuted(run(right, np.roll(right, 1, axis=1), element=INT16)) == ""


def test_a_vector_that_is_off_otherwise_is_no_permutation_whichever_it_is() -> None:
    """The search looks at some of many vectors, the last one among them."""
    right = scores(3000, 4)
    for row in (0, 1, 1500, 2999):
        given = np.roll(right, 1, axis=1)
        given[row, 0] += 30_000
        assert outputs.permuted(run(right, given, element=INT16)) == ""


@pytest.mark.parametrize(("width", "more"), [(4, False), (5, True)])
def test_four_places_are_shown(width: int, more: bool) -> None:
    right = scores(20, width)
    said = outputs.permuted(run(right, np.roll(right, 1, axis=1)))
    assert said.count(" holds ") == 4
    assert (", ...;" in said) is more


def test_places_that_are_alike_stay_where_they_are() -> None:
    right = scores(20, 4)
    right[:, 3] = right[:, 2]
    said = outputs.permuted(run(right, right[:, [1, 0, 2, 3]]))
    assert said.startswith(
        "permuted outputs: output [0] (a) holds output [1] (b), output [1] (b) holds output [0] (a);"
    )


# ---- clamps, types, scales


def test_two_scores_that_are_cut_make_a_clamp_and_one_does_not() -> None:
    right = [[10, 60], [20, 70], [30, 40]]
    assert outputs.clamped(run(right, np.clip(right, -128, 50))).startswith("other clamp: scores are cut at 50")
    assert outputs.clamped(run([[10, 60], [20, 30]], [[10, 50], [20, 30]])) == ""
    assert outputs.clamped(run(right, np.full((3, 2), 25))) == ""  # all are one value


@pytest.mark.parametrize(("element", "low", "high"), [(INT8, -128, 127), (UINT8, 0, 255), (INT16, -32768, 32767)])
def test_a_score_at_one_end_that_came_out_at_the_other_wrapped_around(
    element: ElementType, low: int, high: int
) -> None:
    middle = (low + high + 1) // 2
    right, given = [[high, middle], [low, middle]], [[low + 3, middle], [high - 3, middle]]
    said = outputs.clamped(run(right, given, element=element))
    assert said.startswith(f"missing clamp: scores beyond [{low}, {high}] wrapped around")
    near = [[high - 3, middle], [low + 3, middle]]  # on their own side
    assert "missing clamp" not in outputs.clamped(run(right, near, element=element))


def test_another_type_is_named_by_the_one_that_the_output_has() -> None:
    right = np.array([[-5, 100], [17, -128]])
    flipped = right ^ -128
    assert "as uint8 is from int8" in outputs.taken_for(run(right, flipped))
    assert "as int8 is from uint8" in outputs.taken_for(run(right + 128, flipped + 128, element=UINT8))
    assert outputs.taken_for(run(right, flipped + 1)) == ""
    assert outputs.taken_for(run(right, right ^ -32768, element=INT16)) == ""


def test_three_vectors_with_a_swing_of_eight_show_a_scale() -> None:
    right = np.array([[8, 4], [7, -8], [2, 6]])
    assert outputs.scaled(run(right, 3 * right)).startswith("scale factor: scores are 3 times")
    assert outputs.scaled(run(right[:2], 3 * right[:2])) == ""
    small = np.clip(right, -7, 7)
    assert outputs.scaled(run(small, 3 * small)) == ""
    still = np.zeros((3, 2), np.int64)
    assert outputs.scaled(run(still, still + 5)) == ""


def test_nothing_is_no_multiple_and_neither_is_the_same() -> None:
    right = np.array([[80, 40], [70, -80], [20, 60]])
    assert outputs.scaled(run(right, 0 * right)) == ""
    nearly = right.copy()
    nearly[:, 0] += 1
    assert outputs.scaled(run(right, nearly)) == ""


def test_scores_at_the_bounds_say_nothing_of_a_scale() -> None:
    """They are cut, by the right scale as by another."""
    right = np.array([[-128, 20], [127, -30], [-127, 40]])
    given = np.array([[-128, 40], [127, -60], [-127, 80]])
    assert outputs.scaled(run(right, given)).startswith("scale factor: scores are 2 times")


def test_off_by_one_is_rounding_and_off_by_two_is_not() -> None:
    right = scores(5)
    assert outputs.rounded(run(right, right - 1)).startswith("other rounding")
    assert outputs.rounded(run(right, right - 2)) == ""


# ---- what they have in common


def test_one_place_on_three_vectors() -> None:
    right = scores(3)
    given = right.copy()
    given[:, 2] += 5
    assert "output [2] (c) is off by +5 on every vector" in outputs.by_position(run(right, given))
    assert outputs.by_position(run(right[:2], given[:2])) == ""
    assert "at output [2] (c)" in outputs.in_common(run(right, given))
    two = [[1, 2], [3, 4], [5, 6]]
    assert "at output [1] (b)" in outputs.in_common(run(two, [[1, 9], [3, 5], [5, 7]]))
    assert outputs.in_common(run([[1], [2], [3]], [[2], [4], [6]])) == ""


def test_a_place_that_is_cut_at_its_lowest_is_off_by_the_same() -> None:
    right = np.array([[-126, 1], [-20, 2], [-30, 3]])
    given = np.array([[-128, 1], [-25, 2], [-35, 3]])
    assert "output [0] (a) is off by -5 on every vector" in outputs.by_position(run(right, given))


def from_on(count: int, first: int, off: int) -> str:
    right = scores(count)
    given = right.copy()
    given[first : first + off] += np.random.default_rng(2).integers(1, 9, (off, 4))
    given[first : first + off, 0] += np.arange(off)
    return outputs.in_common(run(right, given, rows=list(range(first, first + off)), element=INT16))


def test_half_of_those_from_the_fourth_vector_on_are_enough() -> None:
    assert "from #3 on, window 4 of the run (3 of 6)" in from_on(9, 3, 3)
    assert "from #" not in from_on(10, 3, 3)  # 3 of 7
    assert "from #" not in from_on(9, 2, 3)
    assert "from #" not in from_on(8, 3, 2)


def of_one_class(right: int, off: int) -> str:
    """`right` vectors of class 0, of which `off` are off in two places, and as many of class 1."""
    wanted = np.array([[50 + row, row, -row] for row in range(right)] + [[row, 50 + row, -row] for row in range(right)])
    given = wanted.copy()
    given[:off, 1] += np.arange(3, 3 + off)
    given[:off, 2] -= 5
    return outputs.in_common(run(wanted, given))


def test_one_answer_only_takes_three_vectors_when_it_is_all_of_them_and_six_when_not() -> None:
    assert "where the highest score is output [0] (a), and on all of these" in of_one_class(3, 3)
    assert of_one_class(2, 2) == ""
    assert "where the highest score is output [0] (a);"[:-1] in of_one_class(10, 6)
    assert "and on all of these" not in of_one_class(10, 6)
    assert of_one_class(10, 5) == ""
