"""The order in which a case runs, and what is kept from one window to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_session import imu_motion, native_board, native_image, with_vectors

from hil.case.types import Case, Decide
from hil.contract import checks_for, judge
from hil.contract.repeats import Repeats
from hil.contract.types import Evidence, Outcome
from hil.records import DecisionReason, Status
from hil.session import groups, run_case
from hil.session.order import SEED

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


# ---- streams on the real firmware


def stream_indices() -> tuple[list[int], list[int]]:
    """Vectors of three interleaved streams and lone ones between them; a rejected window is among them."""
    case = imu_motion()
    assert case.vectors.label is not None
    assert case.vectors.reject is not None
    by_label = [np.flatnonzero(case.vectors.label == label) for label in range(4)]
    rejected = [index for index, reason in enumerate(case.vectors.reject) if reason in ("range", "flat")]
    dice = np.random.default_rng(20)
    indices, sequence = [], []
    for step in range(120):
        number = int(dice.integers(-1, 3))
        label = (step // 12 + max(number, 0)) % 4 if dice.random() < 0.8 else int(dice.integers(4))
        pool = rejected if rejected and dice.random() < 0.05 else list(by_label[label])
        indices.append(int(dice.choice(pool)))
        sequence.append(number)
    return indices, sequence


def decide(decide: Decide, scores: Sequence[int], state: dict[str, int]) -> tuple[int, DecisionReason]:
    """`argmax/1` of docs/pipeline.md, written from that page; state: active, candidate, run, cool."""
    winner = max(range(len(scores)), key=lambda label: (scores[label], -label))
    bar = decide.release if winner == state["active"] else decide.threshold
    cooling = state["cool"] > 0
    state["cool"] -= cooling
    if scores[winner] <= bar:
        state |= {"active": -1, "candidate": -1, "run": 0}
        return -1, DecisionReason.BELOW_THRESHOLD
    if winner == state["candidate"]:
        state["run"] = min(state["run"] + 1, decide.debounce)
    else:
        state |= {"candidate": winner, "run": 1}
    if cooling:
        return -1, DecisionReason.COOLDOWN
    if winner != state["active"] and state["run"] < decide.debounce:
        return -1, DecisionReason.DEBOUNCE
    state |= {"active": winner, "cool": decide.cooldown}
    return winner, DecisionReason.ACCEPTED


DECISIONS = {
    "plain": {"debounce": 1, "cooldown": 0},
    "debounce": {"debounce": 3, "cooldown": 0},
    "cooldown": {"debounce": 1, "cooldown": 2},
    "hysteresis": {"threshold": 120, "release": -100, "debounce": 1, "cooldown": 0},
    "all": {"threshold": 100, "release": -20, "debounce": 2, "cooldown": 3},
}


def run(case: Case, folder: Path) -> Evidence:
    with native_board(folder) as board:
        return run_case(case, board, native_image()).evidence


@pytest.mark.parametrize("name", DECISIONS)
def test_streams_keep_the_decision_state_and_nothing_else_does(name: str, tmp_path: Path) -> None:
    case = with_vectors(imu_motion(), *stream_indices())
    case = replace(case, decide=replace(case.decide, **DECISIONS[name]))
    evidence = run(case, tmp_path)
    records = evidence.records
    assert not evidence.faults
    assert {Status.DONE, Status.REJECTED} == set(records.status.tolist())
    for group in groups(case):
        state = {"active": -1, "candidate": -1, "run": 0, "cool": 0}
        for index in group:
            if records.status[index] == Status.DONE:
                answer = decide(case.decide, records.output[index].tolist(), state)
                assert (records.answer[index], records.reason[index]) == answer, index
    broken = [check for check in checks_for(case) if judge(check, evidence).outcome == Outcome.FAILED]
    assert [check.id for check in broken if check.id.startswith(("decision.", "execution.", "input."))] in (
        [],
        ["decision.accuracy"],
    )


def test_the_decisions_of_the_streams_meet_every_reason(tmp_path: Path) -> None:
    """Else the test above would prove little."""
    met: set[int] = set()
    for changes in (DECISIONS["debounce"], DECISIONS["all"]):
        case = with_vectors(imu_motion(), *stream_indices())
        evidence = run(replace(case, decide=replace(case.decide, **changes)), tmp_path)
        met |= set(evidence.records.reason[evidence.records.status == Status.DONE].tolist())
    assert met == {
        DecisionReason.ACCEPTED,
        DecisionReason.BELOW_THRESHOLD,
        DecisionReason.DEBOUNCE,
        DecisionReason.COOLDOWN,
    }


# ---- replays and passes


@pytest.mark.parametrize(("replays", "passes"), [(1, 1), (2, 1), (10, 2), (3, 4)])
def test_replays_and_passes_are_as_many_as_the_case_says(replays: int, passes: int, tmp_path: Path) -> None:
    """`replays` runs of one vector and `passes` runs of the set: the first of each is the same one."""
    case = with_vectors(imu_motion(), range(7))
    case = replace(case, contracts=replace(case.contracts, replays=replays, passes=passes))
    evidence = run(case, tmp_path)
    assert evidence.section(Repeats) == Repeats(1, replays - 1, 7 * (passes - 1), seed=SEED)


def test_a_set_in_which_nothing_is_valid_replays_nothing(tmp_path: Path) -> None:
    whole = imu_motion()
    assert whole.vectors.reject is not None
    rejected = [index for index, reason in enumerate(whole.vectors.reject) if reason]
    assert rejected
    case = with_vectors(whole, rejected)
    evidence = run(case, tmp_path)
    assert set(evidence.records.status.tolist()) == {Status.REJECTED}
    repeats = evidence.section(Repeats)
    assert (repeats.replayed, repeats.replay_runs) == (0, 0)
    assert (evidence.records.answer <= 0).all()
    outcome = {check.id: judge(check, evidence).outcome for check in checks_for(case)}
    assert outcome["execution.repeat"] != Outcome.PASSED
