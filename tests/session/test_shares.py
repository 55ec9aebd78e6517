"""How a case is cut into shares, and that the parts make the whole again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_session import imu_motion, with_vectors

from hil.case.types import Case
from hil.records import RunRecords, Status
from hil.session import Share, case_cost, groups, merge_records, plan, whole

SEQUENCES = st.lists(st.integers(-1, 6), min_size=1, max_size=60)


def long_case(sequence: list[int]) -> Case:
    """A case that is worth being cut: many passes make each of its few vectors cost much."""
    case = with_vectors(imu_motion(), [0] * len(sequence), sequence)
    return replace(case, contracts=replace(case.contracts, passes=5000))


@given(sequence=SEQUENCES, workers=st.integers(1, 5))
def test_each_group_is_in_one_share_and_one_share_leads(sequence: list[int], workers: int) -> None:
    case = long_case(sequence)
    shares = plan(case, workers)
    ordered = sorted(shares, key=lambda share: share.number)
    assert [group for share in ordered for group in share.groups(case)] == groups(case)
    assert all(share.groups(case) for share in shares)
    assert [share.lead for share in shares] == [True] + [False] * (len(shares) - 1)
    assert len(shares) <= max(1, 2 * workers)


def test_a_short_case_and_a_single_worker_get_one_share() -> None:
    short = with_vectors(imu_motion(), [0, 1, 2])
    assert plan(short, 4) == [whole(short)]
    assert plan(long_case([-1] * 40), 1) == [whole(long_case([-1] * 40))]


def test_the_lead_share_begins_with_what_the_gate_accepts() -> None:
    """The first vectors of this case are rejected: replays and probes need one that is not."""
    case = imu_motion()
    assert case.vectors.reject is not None
    rejected = [index for index, reason in enumerate(case.vectors.reject) if reason]
    case = with_vectors(case, [*rejected[:1] * 30, *range(30)])
    case = replace(case, contracts=replace(case.contracts, passes=5000))
    (lead, *_) = plan(case, 2)
    assert any(not reason for reason in np.array(case.vectors.reject)[lead.rows(case)])


def test_a_case_costs_more_with_more_vectors() -> None:
    assert case_cost(with_vectors(imu_motion(), [0] * 50)) > 2 * case_cost(with_vectors(imu_motion(), [0] * 5))


@given(cut=st.integers(1, 5), texts=st.lists(st.sampled_from("abc"), min_size=6, max_size=6), data=st.data())
def test_merged_records_hold_the_rows_of_their_shares(cut: int, texts: list[str], data: st.DataObject) -> None:
    """Whatever order the labels were met in, and whatever the other rows of a share hold."""
    case = with_vectors(imu_motion(), list(range(6)))
    parts = []
    for number, (start, stop) in enumerate(((0, cut), (cut, 6))):
        records = RunRecords.empty(6, 4)
        for row in range(start, stop):
            records.status[row], records.score[row] = Status.DONE, row
            if texts[row] not in records.label_texts:
                records.label_texts.append(texts[row])
            records.label[row] = records.label_texts.index(texts[row])
        parts.append((Share(number, start, stop, lead=number == 0), records))
    merged = merge_records(case, data.draw(st.permutations(parts)))
    assert merged.score.tolist() == list(range(6))
    assert [merged.label_texts[index] for index in merged.label] == texts
    assert merged.label_texts == list(dict.fromkeys(texts))


@pytest.mark.parametrize("passes", [1, 2])
def test_marks_are_those_of_a_board_that_ran_everything(passes: int) -> None:
    case = with_vectors(imu_motion(), list(range(4)))
    case = replace(case, contracts=replace(case.contracts, passes=passes))
    parts = []
    for number, marks in enumerate(([10, 30, 0, 0], [0, 0, 20, 40])):
        records = RunRecords.empty(4, 4)
        records.stack_high_water[:] = marks
        parts.append((Share(number, 2 * number, 2 * number + 2, lead=number == 0), records))
    wanted = [10, 30, 30, 40] if passes == 1 else [40] * 4
    assert merge_records(case, parts).stack_high_water.tolist() == wanted
