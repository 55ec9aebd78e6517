"""Vectors that belong together, and their order: each further pass runs the same groups in another one, so that hardly
one meets the neighbour that it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from native_session import imu_motion, with_vectors

from hil.case.types import Case
from hil.session import groups
from hil.session.order import SEED, shuffled, steps

SEQUENCES = st.lists(st.integers(-1, 4), min_size=1, max_size=30)


def case_with(sequence: Sequence[int] | None, n: int) -> Case:
    return with_vectors(imu_motion(), [0] * n, sequence)


@given(sequence=SEQUENCES)
def test_every_vector_is_in_one_group(sequence: list[int]) -> None:
    order = groups(case_with(sequence, len(sequence)))
    assert sorted(index for group in order for index in group) == list(range(len(sequence)))


@given(sequence=SEQUENCES)
def test_a_stream_is_one_group_in_file_order_and_lone_vectors_stand_alone(sequence: list[int]) -> None:
    order = groups(case_with(sequence, len(sequence)))
    for group in order:
        assert group == sorted(group)
        numbers = {sequence[index] for index in group}
        assert len(numbers) == 1
        number = numbers.pop()
        assert len(group) == (1 if number < 0 else sequence.count(number))
    assert [group[0] for group in order] == sorted(group[0] for group in order)  # in order of first appearance


def test_without_sequences_every_vector_stands_alone() -> None:
    assert groups(case_with(None, 3)) == [[0], [1], [2]]


GROUPS = st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=4), min_size=1, max_size=40)


@given(GROUPS, st.integers(0, 50))
def test_groups_stay_whole_and_none_is_lost(order: list[list[int]], seed: int) -> None:
    assert sorted(shuffled(order, seed)) == sorted(order)


@given(st.integers(2, 60), st.integers(0, 50))
def test_hardly_a_group_comes_behind_the_same_one(count: int, seed: int) -> None:
    order = [index for (index,) in shuffled([[index] for index in range(count)], seed)]
    assert sum(later == earlier + 1 for earlier, later in pairwise(order)) <= (0 if count == 2 else 2)


def test_of_two_groups_a_further_pass_turns_them_round() -> None:
    """Whatever the seed: of some hundred, one shuffles them eight times without doing so."""
    assert all(shuffled([[0], [1]], seed) == [[1], [0]] for seed in range(1500))


def test_an_order_is_that_of_its_seed() -> None:
    lone = [[index] for index in range(20)]
    assert shuffled(lone, SEED) == shuffled(lone, SEED)
    assert shuffled(lone, SEED) != shuffled(lone, SEED + 1)


def test_decision_state_starts_afresh_with_each_group() -> None:
    assert list(steps([[4, 5], [1]])) == [(4, True), (5, False), (1, True)]
