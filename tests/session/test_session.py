"""What is kept from one window to the next, and what several boards share, on the real firmware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from native_session import imu_motion, native_board, native_image, only_steps, with_vectors

from hil.case.types import Case, Decide
from hil.contract import checks_for, judge
from hil.contract.repeats import Repeats
from hil.contract.scores import ScoreProbes, StreamProbes
from hil.contract.types import Evidence, Outcome
from hil.records import DecisionReason, RunRecords, Status
from hil.session import Share, conclude, groups, repeats, run_case, run_share
from hil.session.order import SEED


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
    with only_steps(repeats.STEP):
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
    asked = ("decision.answer", "decision.reject", "decision.repeat", "execution.output", "execution.repeat")
    outcomes = {check.id: judge(check, evidence).outcome for check in checks_for(case) if check.id in asked}
    assert outcomes == dict.fromkeys(asked, Outcome.PASSED)


def test_the_decisions_of_the_streams_meet_every_reason(tmp_path: Path) -> None:
    """Else the test above would prove little."""
    met: set[int] = set()
    for changes in (DECISIONS["debounce"], DECISIONS["all"]):
        case = with_vectors(imu_motion(), *stream_indices())
        with only_steps():
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
    with only_steps(repeats.STEP):
        evidence = run(case, tmp_path)
    assert evidence.section(Repeats) == Repeats(1, replays - 1, 7 * (passes - 1), seed=SEED)


def test_a_set_in_which_nothing_is_valid_replays_nothing(tmp_path: Path) -> None:
    whole = imu_motion()
    assert whole.vectors.reject is not None
    rejected = [index for index, reason in enumerate(whole.vectors.reject) if reason]
    assert rejected
    case = with_vectors(whole, rejected)
    with only_steps(repeats.STEP):
        evidence = run(case, tmp_path)
    assert set(evidence.records.status.tolist()) == {Status.REJECTED}
    ran = evidence.section(Repeats)
    assert (ran.replayed, ran.replay_runs) == (0, 0)
    assert (evidence.records.answer <= 0).all()
    outcome = {check.id: judge(check, evidence).outcome for check in checks_for(case)}
    assert outcome["execution.repeat"] != Outcome.PASSED


@pytest.mark.slow
def test_shares_of_streams_give_what_one_run_gives(tmp_path: Path) -> None:
    """Debounce and cooldown carry state from window to window; shares must not cut a stream."""
    base = imu_motion()
    decide = replace(base.decide, debounce=2, cooldown=3)
    sequence = [number for number in range(8) for _ in range(5)]
    case = with_vectors(replace(base, decide=decide), list(range(0, 520, 13)), sequence)
    with native_board(tmp_path) as board:
        image = native_image()
        alone = run_case(case, board, image)
        cuts = [Share(0, 0, 3, lead=False), Share(1, 3, 4, lead=True), Share(2, 4, 8, lead=False)]
        parts = [run_share(case, share, board, image) for share in (cuts[1], cuts[2], cuts[0])]
        together = conclude(case, parts, board, image)
    for item in fields(RunRecords):
        if item.name not in ("ticks", "gate_ticks"):  # host time here
            one, other = (getattr(result.evidence.records, item.name) for result in (alone, together))
            np.testing.assert_array_equal(one, other, err_msg=item.name)
    for name in ("output", "winner", "score", "answer", "reason", "gate", "digest", "float_output", "float_chain"):
        one, other = (getattr(result.evidence.references, name) for result in (alone, together))
        np.testing.assert_array_equal(one, other, err_msg=name)
    for kind in (ScoreProbes, StreamProbes):
        probes = together.evidence.section(kind).probes
        assert probes == alone.evidence.section(kind).probes
        assert probes
    one, other = alone.evidence.section(Repeats), together.evidence.section(Repeats)
    assert one.replay_runs == other.replay_runs > 0
    assert one.pass_runs == other.pass_runs == len(case.vectors)
