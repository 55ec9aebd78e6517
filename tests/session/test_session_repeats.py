"""The first pass, and the same again: which windows are sent in which order, and what is made of each answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import CYCLES
from scripted_device import (
    REFUSED,
    Answer,
    N,
    Scripted,
    after_first_pass,
    case_of,
    record_of,
    session_with,
    stimuli_of,
    with_changes,
)

from hil.contract.input import PreparedDifference
from hil.contract.repeats import Repeats
from hil.contract.types import MAX_FINDINGS, Alone, ReplayDifference
from hil.errors import DeviceFault, DeviceSilent
from hil.records import GateReason, Record, Status
from hil.session import first_pass, repeats
from hil.session.order import SEED, afresh, shuffled, steps
from hil.session.state import NO_VECTOR

STREAMS = (0, -1, 0, 1, 1, -1)  # groups: 0 and 2, 1, 3 (refused) and 4, 5
NAME = case_of().vectors.name


def fault() -> DeviceFault:
    return DeviceFault("fault record")


# ---- the first pass --------------------------------------------------------------------------------------------------


def test_the_first_pass_sends_each_group_once_and_keeps_what_comes_back() -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted()
    run = session_with(device, STREAMS, told=lambda *what: told.append(what))
    assert first_pass.STEP.collect(run).differences == ()
    assert device.story() == ["run 0", "run 2, not fresh", "run 1", f"run {REFUSED}", "run 4, not fresh", "run 5"]
    assert told == [("vectors", done, N) for done in range(1, N + 1)]
    assert run.records.stack_high_water.tolist() == [2000 + vector for vector in range(N)]
    assert [run.records.status[vector] for vector in range(N)] == [record_of(vector).status for vector in range(N)]


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_the_first_valid_vector_warms_up(warmup: int) -> None:
    device = Scripted({0: with_changes(0, canaries=1)} if warmup else {})
    run = session_with(device, warmup=warmup)
    first_pass.STEP.collect(run)
    assert device.story() == ["run 0"] * warmup + [f"run {vector}" for vector in range(N)]
    assert [vector for vector, _ in run.opening] == [0] * warmup
    assert [record for _, record in run.opening][1:] == [record_of(0)] * (warmup - 1)
    assert run.other_canaries == (1 if warmup else 0)
    assert (run.records.canaries == 0).all()


def test_a_warm_up_that_breaks_the_firmware_is_no_opening_and_ends_with_the_session() -> None:
    device = Scripted({0: fault(), 3: fault(), 5: fault()})
    run = session_with(device, warmup=4)
    first_pass.STEP.collect(run)
    assert device.story() == ["run 0", "restart", "run 0", "run 0", "restart", "run 0", "restart"][: len(device.asked)]
    assert run.opening == [(0, record_of(0))]
    assert run.stopped == (len(run.faults) == 3)


def test_nothing_warms_up_where_the_gate_accepts_nothing() -> None:
    device = Scripted()
    run = session_with(device, warmup=3)
    run.stimuli = replace(run.stimuli, gate=np.full(N, GateReason.FLAT, np.uint8))
    first_pass.STEP.collect(run)
    assert device.story() == [f"run {vector}" for vector in range(N)]


@pytest.mark.parametrize("vector", [0, N - 1])
def test_a_tensor_that_is_not_the_reference_s_is_fetched_at_once(vector: int) -> None:
    tensor = np.arange(240).astype(np.int8)
    device = Scripted({vector: with_changes(vector, digest=7)}, tensor=tensor.tobytes())
    (found,) = first_pass.STEP.collect(session_with(device)).differences
    assert (found.vector, found.observed.tolist()) == (vector, tensor.tolist())
    assert device.story().index("prepared") == vector + 1
    assert len(device.asked) == N + 1


def test_a_tensor_that_cannot_be_fetched_is_left_out() -> None:
    run = session_with(Scripted({0: with_changes(0, digest=7), 1: fault()}))
    assert first_pass.STEP.collect(run).differences == ()
    assert [each.vector for each in run.faults] == [0]


def test_what_was_not_done_has_no_tensor_to_fetch() -> None:
    device = Scripted({0: with_changes(0, digest=7, status=Status.INVOKE_FAILED)})
    assert first_pass.STEP.collect(session_with(device)).differences == ()
    assert "prepared" not in device.story()


@pytest.mark.parametrize("had", [MAX_FINDINGS - 1, MAX_FINDINGS])
def test_no_more_tensors_are_fetched_than_findings_told(had: int) -> None:
    run = session_with(Scripted(tensor=bytes(240)))
    differences = [PreparedDifference(0, np.zeros(1, np.int8))] * had
    first_pass._fetch_difference(run, 1, with_changes(1, digest=7), differences)
    assert len(differences) == MAX_FINDINGS


def test_a_pass_ends_with_the_session() -> None:
    device = Scripted({0: fault(), 2: fault(), 4: fault()})
    run = session_with(device)
    assert first_pass.STEP.collect(run).differences == ()
    assert device.story() == ["run 0", "restart", "run 1", "restart", "run 2", "restart"]
    assert run.records.status.tolist() == [Status.FAULT] * 3 + [Status.NOT_RUN] * 3


# ---- the order -------------------------------------------------------------------------------------------------------


def test_vectors_afresh_are_those_with_nothing_done_before_them_in_their_group() -> None:
    run = after_first_pass(Scripted(), STREAMS)
    assert list(afresh(run)) == [0, 1, 4, 5]
    run.records.status[0] = Status.REJECTED
    assert list(afresh(run)) == [2, 1, 4, 5]
    run.records.status[0] = Status.INVOKE_FAILED  # it may have left a state
    assert list(afresh(run)) == [1, 4, 5]
    run.records.status[[0, 2]] = Status.REJECTED
    assert list(afresh(run)) == [1, 4, 5]


# ---- replays ---------------------------------------------------------------------------------------------------------


def test_one_vector_is_run_again_as_often_as_the_case_asks() -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted()
    run = after_first_pass(device, replays=4, told=lambda *what: told.append(what))
    assert repeats.STEP.collect(run) == Repeats(1, 3, 0, (), SEED)
    assert device.story() == ["run 0"] * 3
    assert told[N:] == [("replays", 1, 3), ("replays", 2, 3), ("replays", 3, 3)]


def test_only_one_share_replays() -> None:
    device = Scripted()
    assert repeats.STEP.collect(after_first_pass(device, replays=4, lead=False)) == Repeats(0, 0, 0, (), SEED)
    assert device.asked == []


def test_where_nothing_was_done_nothing_is_replayed() -> None:
    device = Scripted()
    assert repeats.STEP.collect(session_with(device, replays=4)) == Repeats(0, 0, 0, (), SEED)
    assert device.asked == []


def test_a_replay_that_differs_names_its_number_its_field_and_what_came_before() -> None:
    """Before the first replay came the last vector of the share, then the vector itself."""
    device = Scripted({0: with_changes(0, digest=7)})
    run = after_first_pass(device, replays=3)
    first = f"{record_of(0).digest:#010x}"
    found = repeats.STEP.collect(run)
    assert found.differences == (
        ReplayDifference(0, "replay", 1, "digest", first, "0x00000007", f"after {NAME(N - 1)}", Alone.BOTH),
    )
    assert found.replay_runs == 2
    assert device.story() == ["run 0", "restart", "run 0", f"run {N - 1}", "run 0", "run 0"]


def test_a_later_replay_comes_behind_the_vector_itself() -> None:
    run = after_first_pass(Scripted({1: with_changes(0, digest=7)}), replays=3)
    (found,) = repeats.STEP.collect(run).differences
    assert (found.attempt, found.before) == (2, f"after {NAME(0)}")


def test_a_replay_that_breaks_the_firmware_is_no_run() -> None:
    device = Scripted({0: fault()})
    assert repeats.STEP.collect(after_first_pass(device, replays=3)) == Repeats(1, 1, 0, (), SEED)
    device = Scripted({0: fault(), 2: fault(), 4: fault()})
    assert repeats.STEP.collect(after_first_pass(device, replays=9)) == Repeats(1, 0, 0, (), SEED)
    assert len(device.asked) == 6


# ---- further passes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [2, 3])
def test_each_further_pass_has_an_order_of_its_own(passes: int) -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted()
    run = after_first_pass(device, STREAMS, passes=passes, told=lambda *what: told.append(what))
    assert repeats.STEP.collect(run) == Repeats(1, 0, (passes - 1) * N, (), SEED)
    wanted = [step for turn in range(passes - 1) for step in steps(shuffled(run.groups, SEED + turn))]
    assert device.story() == [f"run {index}" + ("" if fresh else ", not fresh") for index, fresh in wanted]
    assert told[N:] == [(f"pass {turn + 2}", done, N) for turn in range(passes - 1) for done in range(1, N + 1)]


def order(run_groups: list[list[int]]) -> list[int]:
    return [index for index, _ in steps(shuffled(run_groups, SEED))]


@pytest.mark.parametrize("place", [0, 1, N - 1])
def test_a_window_of_a_pass_that_differs_is_named(place: int) -> None:
    """The first of a pass has none before it, and is not tried alone."""
    run = after_first_pass(Scripted(), passes=2)
    sent = order(run.groups)
    vector = sent[place]
    bad = with_changes(vector, decision=replace(record_of(vector).decision, answer=-1))
    device = Scripted({place: bad})
    run = after_first_pass(device, passes=2)
    found = repeats.STEP.collect(run)
    (difference,) = found.differences
    after = f"after {NAME(sent[place - 1])}" if place else ""
    assert (difference.vector, difference.kind, difference.attempt) == (vector, "pass", 1)
    assert (difference.field, difference.before) == ("decision", after)
    assert difference.alone is (Alone.BOTH if place else Alone.UNKNOWN)
    assert found.pass_runs == N
    alone = ["restart", f"run {vector}", f"run {sent[place - 1]}", f"run {vector}"] if place else []
    assert device.story()[place + 1 : place + 1 + len(alone)] == alone
    assert len(device.asked) == N + len(alone)


def test_a_window_that_continues_a_stream_is_not_tried_alone() -> None:
    """What it answers depends on the stream, so alone it would answer otherwise."""
    sent = order(after_first_pass(Scripted(), STREAMS).groups)
    device = Scripted({sent.index(2): with_changes(2, digest=7)})
    (found,) = repeats.STEP.collect(after_first_pass(device, STREAMS, passes=2)).differences
    assert (found.vector, found.alone) == (2, Alone.UNKNOWN)
    assert len(device.asked) == N


def test_a_pass_ends_with_the_session_and_faults_are_no_runs() -> None:
    device = Scripted({0: fault(), 3: fault(), 5: fault()})
    run = after_first_pass(device, passes=3)
    assert repeats.STEP.collect(run).pass_runs == 1
    assert len(device.asked) == 7


def test_a_vector_without_a_first_record_is_run_again_but_held_to_nothing() -> None:
    run = after_first_pass(Scripted(), passes=2)
    run.records.status[2] = Status.NOT_RUN
    assert repeats.STEP.collect(run) == Repeats(1, 0, N - 1, (), SEED)
    run = after_first_pass(Scripted({order(run.groups).index(2): with_changes(2, digest=7)}), passes=2)
    run.records.status[2] = Status.FAULT
    assert repeats.STEP.collect(run) == Repeats(1, 0, N, (), SEED)


# ---- whether the window before makes the difference ------------------------------------------------------------------

RIGHT, WRONG = record_of(0), with_changes(0, digest=7)
ALONE: tuple[tuple[Answer, Answer, Answer, Alone], ...] = (
    # alone after a start, the window before, behind it
    (RIGHT, record_of(5), RIGHT, Alone.BOTH),
    (RIGHT, record_of(5), WRONG, Alone.FIRST),
    (WRONG, record_of(5), WRONG, Alone.AGAIN),
    (WRONG, record_of(5), RIGHT, Alone.AGAIN),
    (DeviceSilent("hang"), record_of(5), RIGHT, Alone.UNKNOWN),
)


@pytest.fixture
def meanings() -> dict[Alone, str]:
    return {each: each.name for each in Alone}


@pytest.mark.parametrize(("alone", "before", "behind", "meaning"), ALONE, ids=lambda each: getattr(each, "name", None))
def test_what_a_vector_does_alone_tells_what_makes_the_difference(
    alone: Answer, before: Answer, behind: Answer, meaning: Alone
) -> None:
    """The first replay differs; then comes a restart."""
    restarts = isinstance(alone, Exception)
    later = {2: alone, **({} if restarts else {3: before, 4: behind})}
    run = after_first_pass(Scripted({0: WRONG, **later}), replays=2)
    (found,) = repeats.STEP.collect(run).differences
    assert found.alone is meaning


def test_another_field_than_the_one_that_differed_is_not_the_same_difference() -> None:
    """Time on a clock that repeats counts where time differed, and not where an answer did."""
    slow = with_changes(0, ticks=(100, 1000, 9999))
    run = after_first_pass(Scripted({0: WRONG, 2: slow, 4: slow}), replays=2)
    (found,) = repeats.STEP.collect(run).differences
    assert (found.field, found.alone) == ("digest", Alone.BOTH)
    run = after_first_pass(Scripted({0: slow, 2: record_of(0), 4: slow}), replays=2)
    (found,) = repeats.STEP.collect(run).differences
    assert (found.field, found.alone) == ("ticks", Alone.FIRST)


def test_a_firmware_that_does_not_come_back_is_not_tried_alone() -> None:
    device = Scripted({0: WRONG, 1: DeviceSilent("no hello")})
    run = after_first_pass(device, replays=2)
    (found,) = repeats.STEP.collect(run).differences
    assert found.alone is Alone.UNKNOWN
    assert device.story() == ["run 0", "restart"]
    assert [each.vector for each in run.faults] == [NO_VECTOR]


def test_the_first_three_differences_are_tried_alone() -> None:
    """Of five replays that all differ; each try takes a restart and three windows."""
    script: dict[int, Answer] = dict.fromkeys(range(40), WRONG)
    run = after_first_pass(Scripted(script), replays=6)
    found = repeats.STEP.collect(run).differences
    assert [each.alone is Alone.UNKNOWN for each in found] == [False] * 3 + [True] * 2


def test_canaries_and_marks_of_all_runs_count() -> None:
    """Of what is tried alone canaries only: its marks belong to another start."""
    script: dict[int, Answer] = {
        0: replace(WRONG, canaries=1, arena_high_water=9000, stack_high_water=8000),
        2: replace(RIGHT, canaries=2, arena_high_water=9999),
        3: replace(record_of(5), canaries=4),
        4: replace(RIGHT, canaries=8),
    }
    run = after_first_pass(Scripted(script), replays=2)
    repeats.STEP.collect(run)
    assert run.other_canaries == 15
    assert (run.records.arena_high_water[0], run.records.stack_high_water[0]) == (9000, 8000)
    assert (run.records.canaries == 0).all()


def test_a_mark_never_falls() -> None:
    low = with_changes(0, arena_high_water=1, stack_high_water=2)
    run = after_first_pass(Scripted({0: low}), replays=2)
    repeats.STEP.collect(run)
    assert (run.records.arena_high_water[0], run.records.stack_high_water[0]) == (6000, 2000)


def slower(vector: int) -> Record:
    return with_changes(vector, ticks=(100, 1000, 9999))


def test_time_is_compared_on_a_clock_that_repeats_only() -> None:
    assert repeats.STEP.collect(after_first_pass(Scripted({0: slower(0)}), replays=2)).differences != ()
    on_cycles = after_first_pass(Scripted({0: slower(0)}, clock=CYCLES), replays=2)
    assert repeats.STEP.collect(on_cycles).differences == ()


def test_stimuli_are_those_of_the_case() -> None:
    """What the table of this file rests on: five windows are valid, and each has a digest of its own."""
    found = stimuli_of(None)
    assert [vector for vector in range(N) if found.gate[vector]] == [REFUSED]
    assert len(set(found.digest.tolist())) == N
