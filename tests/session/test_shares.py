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
from hil.session import Share, case_cost, groups, merge_records, plan, share, whole
from hil.tensor import FLOAT32

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


# ---- the cuts --------------------------------------------------------------------------------------------------------


def cut(sequence: list[int], workers: int, monkeypatch: pytest.MonkeyPatch, **contracts: int) -> list[tuple[int, int]]:
    """Where the shares begin and end, of a case whose window costs a million."""
    monkeypatch.setattr(share, "inference_cost", lambda _: 1_000_000)
    case = with_vectors(imu_motion(), [0] * len(sequence), sequence)
    case = replace(case, contracts=replace(case.contracts, **{"passes": 1, "replays": 10, **contracts}))
    return [(each.start, each.stop) for each in sorted(plan(case, workers), key=lambda each: each.number)]


def test_the_cost_counts_each_pass_each_replay_and_what_the_lead_share_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "inference_cost", lambda _: 1000)
    case = with_vectors(imu_motion(), [0] * 5)
    case = replace(case, contracts=replace(case.contracts, passes=3, replays=7))
    assert case_cost(case) == (5 * 3 + 7 + 20) * 1000


def test_the_first_share_is_shorter_by_what_a_lead_share_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 replays and 20 windows' worth of probes, each share's part of 400 in all."""
    assert cut([-1] * 370, 2, monkeypatch) == [(0, 69), (69, 169), (169, 269), (269, 370)]
    assert cut([-1] * 370, 1, monkeypatch) == [(0, 370)]
    assert cut([-1] * 370, 2, monkeypatch, passes=3) == [(0, 84), (84, 179), (179, 274), (274, 370)]


@pytest.mark.parametrize(("vectors", "shares"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (9, 4)])
def test_there_are_no_more_shares_than_groups_nor_than_two_a_worker(
    vectors: int, shares: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(cut([-1] * vectors, 2, monkeypatch, passes=1000)) == shares


@pytest.mark.parametrize(("windows", "shares"), [(7, 1), (8, 2), (11, 2), (12, 3), (15, 3), (16, 4)])
def test_each_share_is_worth_its_start(windows: int, shares: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four windows of a million."""
    monkeypatch.setattr(share, "_LEAD_WINDOWS", 0)
    assert len(cut([-1] * windows, 9, monkeypatch, replays=0)) == shares


def test_a_long_stream_is_a_share_of_its_own_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cut([0] * 100 + [-1] * 2, 2, monkeypatch) == [(0, 1), (1, 2), (2, 3)]
    assert cut([-1] * 2 + [0] * 100, 2, monkeypatch) == [(0, 2), (2, 3)]


def test_without_a_valid_vector_the_first_share_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "inference_cost", lambda _: 1_000_000)
    case = imu_motion()
    assert case.vectors.reject is not None
    case = with_vectors(case, [case.vectors.reject.index("range")] * 4)
    shares = plan(replace(case, contracts=replace(case.contracts, passes=1000)), 2)
    assert [each.number for each in shares if each.lead] == [0]
    assert [(each.start, each.stop) for each in shares] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_share_of_all_and_one_of_nothing() -> None:
    case = with_vectors(imu_motion(), [0] * 3, [0, -1, 0])
    assert whole(case) == Share(0, 0, 2, lead=True)
    assert whole(case).rows(case).tolist() == [0, 2, 1]
    assert Share(0, 1, 1, lead=False).rows(case).dtype == np.intp


# ---- what shares leave -----------------------------------------------------------------------------------------------


def test_labels_that_are_empty_stay_so_whatever_others_a_board_met() -> None:
    case = with_vectors(imu_motion(), list(range(4)))
    parts = []
    for number, (texts, rows) in enumerate(((["a"], [0, -1, -1, -1]), (["b", "a"], [-1, -1, 1, -1]))):
        records = RunRecords.empty(4, 4)
        records.label_texts[:], records.label[:] = texts, rows
        parts.append((Share(number, 2 * number, 2 * number + 2, lead=number == 0), records))
    merged = merge_records(case, parts)
    assert (merged.label_texts, merged.label.tolist()) == (["a", "b"], [0, -1, 0, -1])


@pytest.mark.parametrize(("passes", "wanted"), [(1, [1, 1, 0, 5]), (2, [5, 5, 0, 5])])
def test_a_vector_without_a_record_keeps_a_mark_of_zero(passes: int, wanted: list[int]) -> None:
    case = with_vectors(imu_motion(), list(range(4)))
    case = replace(case, contracts=replace(case.contracts, passes=passes))
    parts = []
    for number, marks in enumerate(([1, 1, 0, 0], [0, 0, 0, 5])):
        records = RunRecords.empty(4, 4)
        records.arena_high_water[:] = marks
        parts.append((Share(number, 2 * number, 2 * number + 2, lead=number == 0), records))
    assert merge_records(case, parts).arena_high_water.tolist() == wanted


def test_records_of_one_share_are_those_of_the_case_and_of_two_have_the_model_s_type() -> None:
    case = with_vectors(imu_motion(), list(range(4)))
    records = RunRecords.empty(4, 4)
    assert merge_records(case, [(whole(case), records)]) is records
    real = replace(case, model=replace(case.model, outputs=(replace(case.model.output, dtype="FLOAT32"),)))
    halves = [
        (Share(number, 2 * number, 2 * number + 2, lead=False), RunRecords.empty(4, 4, FLOAT32)) for number in (0, 1)
    ]
    assert merge_records(real, halves).output.dtype == np.float32
