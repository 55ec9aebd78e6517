"""Each further pass runs the same groups in another order, so that hardly one meets the neighbour that it had."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hil.session.order import SEED, shuffled, steps

GROUPS = st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=4), min_size=1, max_size=40)


@given(GROUPS, st.integers(0, 50))
def test_groups_stay_whole_and_none_is_lost(groups: list[list[int]], seed: int) -> None:
    assert sorted(shuffled(groups, seed)) == sorted(groups)


@given(st.integers(2, 60), st.integers(0, 50))
def test_hardly_a_group_comes_behind_the_same_one(count: int, seed: int) -> None:
    order = [index for (index,) in shuffled([[index] for index in range(count)], seed)]
    assert sum(later == earlier + 1 for earlier, later in pairwise(order)) <= (0 if count == 2 else 2)


def test_an_order_is_that_of_its_seed() -> None:
    groups = [[index] for index in range(20)]
    assert shuffled(groups, SEED) == shuffled(groups, SEED)
    assert shuffled(groups, SEED) != shuffled(groups, SEED + 1)


def test_decision_state_starts_afresh_with_each_group() -> None:
    assert list(steps([[4, 5], [1]])) == [(4, True), (5, False), (1, True)]
