"""The steps behind the first pass: which windows and scores each sends, what it keeps of the answers, where it ends."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from made_evidence import CYCLES, INSTRUCTIONS
from scripted_device import (
    REFUSED,
    SCORES,
    Answer,
    N,
    Scripted,
    after_first_pass,
    case_of,
    record_of,
    session_with,
    with_changes,
)

from hil.case.types import Decide
from hil.contract.execution import InvokeRun, Invokes
from hil.contract.history import Again
from hil.contract.plain import PlainDifference
from hil.contract.scores import StreamProbes
from hil.contract.sent import GateProbes
from hil.contract.soak import Soak
from hil.contract.types import MAX_FINDINGS, ReplayDifference
from hil.contract.wire import Wire
from hil.contract.witnessed import Witnessed
from hil.device import FRAME_OVERHEAD_BYTES, InvokeCalls, Witness
from hil.errors import DeviceFault
from hil.link.client import LinkCounters
from hil.records import CoreState, DecisionReason, GateReason, Prepared, Record, Status
from hil.session import (
    gate_probes,
    groups,
    history,
    invokes,
    plain,
    remembered,
    score_probes,
    soak,
    stream_probes,
    wire,
    witness,
)
from hil.session.effort import effort
from hil.session.order import shuffled, steps
from hil.session.own_windows import usual_vector
from hil.session.refuser import Refuser
from hil.session.state import NO_VECTOR, SessionState
from hil.session.stimuli import GateStimulus, expected_decisions, refusals, score_stimuli

STREAMS = (0, -1, 0, 1, 1, -1)  # groups: 0 and 2, 1, 3 (refused) and 4, 5
NAME = case_of().vectors.name
WINDOW = case_of().vectors.payload


def fault() -> DeviceFault:
    return DeviceFault("fault record")


# ---- windows the product's own way -----------------------------------------------------------------------------------


def test_few_vectors_go_the_plain_way_all() -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted(clock=CYCLES)
    run = after_first_pass(device, told=lambda *what: told.append(what))
    found = plain.STEP.collect(run)
    assert device.story() == [f"plain {vector}" for vector in range(N)]
    assert (found.tried, found.able, found.differences) == (True, True, ())
    assert found.vectors.tolist() == list(range(N))
    assert found.units.tolist() == [5000 + vector for vector in range(N)]
    assert told[N:] == [("plain windows", done, N) for done in range(1, N + 1)]


def test_time_of_plain_windows_is_in_the_clock_s_units() -> None:
    found = plain.STEP.collect(after_first_pass(Scripted()))
    assert found.units.tolist() == INSTRUCTIONS.units(np.arange(5000, 5000 + N)).tolist()


def chosen(count: int, undone: tuple[int, ...] = ()) -> list[int]:
    status = np.full(count, Status.DONE, np.uint8)
    status[list(undone)] = Status.FAULT
    run = SimpleNamespace(
        case=SimpleNamespace(keeps_state=False),
        records=SimpleNamespace(status=status),
        groups=[[index] for index in range(count)],
    )
    found = plain._chosen(cast(SessionState, run))
    assert all(fresh for _, fresh in found)
    return [vector for vector, _ in found]


def test_without_a_plain_window_there_are_no_times() -> None:
    run = after_first_pass(Scripted())
    run.broken = True
    found = plain.STEP.collect(run)
    assert (found.tried, found.able, len(found.vectors), len(found.units)) == (False, True, 0, 0)
    assert (found.vectors.dtype, found.units.dtype) == (np.int64, np.int64)


@pytest.mark.parametrize(
    ("count", "taken"), [(0, 0), (1, 1), (16, 16), (17, 16), (164, 16), (170, 17), (1996, 200), (9000, 200)]
)
def test_a_tenth_of_the_vectors_goes_the_plain_way_within_bounds(count: int, taken: int) -> None:
    found = chosen(count)
    assert len(found) == taken
    assert found == sorted(set(found))
    assert set(found) <= set(range(count))


def test_plain_windows_are_spread_over_the_vectors_and_the_same_each_time() -> None:
    found = chosen(2000)
    assert found == chosen(2000)
    assert sum(vector < 1000 for vector in found) in range(70, 131)


def test_only_a_vector_with_a_verdict_goes_the_plain_way() -> None:
    assert set(chosen(18, undone=(0, 5))) == set(range(18)) - {0, 5}
    run = after_first_pass(Scripted())
    run.records.status[0] = Status.INVOKE_FAILED
    assert plain.STEP.collect(run).vectors.tolist() == [1, 2, 3, 4, 5]


FIRST = record_of(1)
UNLIKE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"status": Status.INVOKE_FAILED, "output": b""}, "status"),
    ({"gate": GateReason.FLAT}, "gate"),
    ({"output": bytes(SCORES)}, "output"),
    ({"decision": replace(FIRST.decision, winner=0)}, "decision"),
    ({"decision": replace(FIRST.decision, score=7)}, "decision"),
    ({"decision": replace(FIRST.decision, answer=-1)}, "decision"),
    ({"decision": replace(FIRST.decision, reason=DecisionReason.DEBOUNCE)}, "decision"),
    ({"decision": replace(FIRST.decision, label="another")}, "decision"),
    ({"digest": 7, "minimum": 7, "ticks": (1, 2, 3)}, ""),  # nobody observes those
)


@pytest.mark.parametrize(("changes", "field"), UNLIKE, ids=[row[1] or "unseen" for row in UNLIKE])
def test_a_plain_window_that_comes_out_otherwise_is_told_by_its_first_field(
    changes: dict[str, Any], field: str
) -> None:
    run = after_first_pass(Scripted({1: replace(FIRST, **changes)}))
    found = [(each.vector, each.field) for each in plain.STEP.collect(run).differences]
    assert found == ([(1, field)] if field else [])


def test_a_difference_of_a_plain_window_shows_both_sides() -> None:
    (found,) = plain.STEP.collect(after_first_pass(Scripted({1: replace(FIRST, output=b"\1\2\3\4")}))).differences
    assert found == PlainDifference(1, "output", FIRST.output.hex(" "), "01 02 03 04")
    run = after_first_pass(Scripted({1: replace(FIRST, status=Status.REJECTED, gate=GateReason.FLAT)}))
    assert plain.STEP.collect(run).differences == (PlainDifference(1, "status", "DONE", "REJECTED"),)
    run = after_first_pass(Scripted({1: replace(FIRST, gate=GateReason.FLAT)}))
    assert plain.STEP.collect(run).differences == (PlainDifference(1, "gate", "0", "5"),)


@pytest.mark.parametrize(("vector", "counts"), [(2, False), (4, True)])
def test_behind_a_decision_state_only_winner_and_score_are_compared(vector: int, counts: bool) -> None:
    """Vector 2 stands behind vector 0 in a stream; before vector 4 only a refused one does."""
    other = replace(record_of(vector).decision, answer=-1, reason=DecisionReason.DEBOUNCE, label="")
    run = after_first_pass(Scripted({vector: with_changes(vector, decision=other)}), STREAMS)
    assert len(plain.STEP.collect(run).differences) == counts
    other = replace(other, score=1)
    run = after_first_pass(Scripted({vector: with_changes(vector, decision=other)}), STREAMS)
    assert len(plain.STEP.collect(run).differences) == 1


def test_a_firmware_without_a_plain_way_is_told_apart_from_one_that_breaks() -> None:
    found = plain.STEP.collect(after_first_pass(Scripted({0: None})))
    assert (found.tried, found.able, found.vectors.tolist()) == (True, False, [])
    device = Scripted({1: fault()})
    found = plain.STEP.collect(after_first_pass(device))
    assert (found.tried, found.able, found.vectors.tolist()) == (True, True, [0, 2, 3, 4, 5])
    found = plain.STEP.collect(after_first_pass(Scripted({0: fault(), 2: fault(), 4: fault()})))
    assert (found.tried, found.able, found.vectors.tolist()) == (False, True, [])


def test_canaries_of_plain_windows_count() -> None:
    run = after_first_pass(Scripted({5: with_changes(5, canaries=2)}))
    plain.STEP.collect(run)
    assert run.other_canaries == 2


# ---- windows of the harness's own ------------------------------------------------------------------------------------


def stimulus(vector: int, name: str = "", **changes: Any) -> GateStimulus:
    digest = None if vector == REFUSED else record_of(vector).digest
    made = GateStimulus(name or f"window {vector}", record_of(vector).gate, WINDOW(vector), digest)
    return replace(made, **changes)


class Oracle:
    """Answers each tensor with its first bytes."""

    def __init__(self) -> None:
        self.oracle, self.asked = self, 0

    def answers(self, tensors: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self.asked += len(tensors[0])
        return (tensors[0][:, :SCORES],)


def sent(
    device: Scripted, *stimuli: GateStimulus, told: Callable[[str, int, int], None] = lambda *_: None
) -> tuple[GateProbes, SessionState, Oracle]:
    run = session_with(device, told=told)
    oracle = Oracle()
    run.models = cast(Any, oracle)
    return gate_probes.send(run, stimuli, "windows"), run, oracle


def test_each_window_is_sent_with_its_capture_number_behind_its_restart() -> None:
    device = Scripted()
    found, *_ = sent(device, stimulus(0, capture=9), stimulus(REFUSED, restart=True), stimulus(1))
    assert device.story() == ["run 0", "restart", f"run {REFUSED}", "run 1"]
    assert [asked.sequence for asked in device.asked] == [9, None, None, None]
    assert {asked.deadline_ticks for asked in device.asked if asked.what == "run"} == {777}
    assert [(probe.name, probe.expected, probe.digest) for probe in found.probes] == [
        ("window 0", GateReason.VALID, record_of(0).digest),
        (f"window {REFUSED}", GateReason.RANGE, None),
        ("window 1", GateReason.VALID, record_of(1).digest),
    ]
    assert [probe.record for probe in found.probes] == [record_of(0), record_of(REFUSED), record_of(1)]


def test_outputs_of_right_tensors_are_held_to_the_oracle_s_which_is_asked_once_a_window() -> None:
    found, run, oracle = sent(
        Scripted(), stimulus(0, "one"), stimulus(1, "two"), stimulus(REFUSED), stimulus(0, "last")
    )
    prepared = run.stimuli.prepared
    assert [(each.name, each.expected, each.observed) for each in found.outputs] == [
        (name, prepared[vector, :SCORES].tobytes(), record_of(vector).output)
        for name, vector in (("one", 0), ("two", 1), ("last", 0))
    ]
    assert oracle.asked == 2


def test_without_a_valid_window_the_oracle_is_not_asked() -> None:
    found, _, oracle = sent(Scripted(), stimulus(REFUSED))
    assert (found.outputs, oracle.asked) == ((), 0)


def test_a_wrong_tensor_is_fetched_and_its_output_held_to_nothing() -> None:
    device = Scripted({0: with_changes(0, digest=7)}, tensor=b"tensor")
    found, *_ = sent(device, stimulus(0), stimulus(1))
    assert device.story() == ["run 0", "prepared", "run 1"]
    assert (found.probes[0].window, found.probes[0].observed) == (WINDOW(0), b"tensor")
    assert (found.probes[1].window, found.probes[1].observed) == (b"", None)
    assert [each.name for each in found.outputs] == ["window 1"]


def facts_of(vector: int) -> Prepared:
    """What a record must say of this vector's tensor."""
    tensor = session_with(Scripted()).stimuli.prepared[vector]
    ends = np.iinfo(np.int8)
    clipped = int(((tensor == ends.min) | (tensor == ends.max)).sum())
    return Prepared(record_of(vector).digest, int(tensor.min()), int(tensor.max()), clipped)


@pytest.mark.parametrize("field", ["", "minimum", "maximum", "saturated"])
def test_what_a_record_says_of_a_right_tensor_is_held_to_that_tensor(field: str) -> None:
    right = facts_of(0)
    told = replace(right, **({field: getattr(right, field) + 1} if field else {}))
    answer = with_changes(0, minimum=told.minimum, maximum=told.maximum, saturated=told.saturated)
    found, *_ = sent(Scripted({0: answer}), stimulus(0))
    assert found.probes[0].facts == (right if field else None)
    assert len(found.outputs) == 1


@pytest.mark.parametrize("answer", [record_of(REFUSED), with_changes(0, status=Status.INVOKE_FAILED), fault()])
def test_what_was_not_done_has_neither_tensor_nor_output(answer: Answer) -> None:
    device = Scripted({0: answer})
    found, *_ = sent(device, stimulus(0))
    assert "prepared" not in device.story()
    assert found.outputs == ()
    assert found.probes[0].record == (None if isinstance(answer, Exception) else answer)


def test_no_more_wrong_tensors_are_fetched_than_findings_told() -> None:
    device = Scripted(other=lambda _: with_changes(0, digest=7), tensor=b"tensor")
    windows = [GateStimulus(str(number), GateReason.VALID, bytes([number]), 5) for number in range(MAX_FINDINGS + 5)]
    found, *_ = sent(device, *windows)
    assert [probe.observed for probe in found.probes] == [b"tensor"] * MAX_FINDINGS + [None] * 5


def test_a_window_that_no_frame_carries_is_left_out() -> None:
    device = Scripted()
    longest = device.hello.frame_bytes - FRAME_OVERHEAD_BYTES
    found, *_ = sent(
        device, *(GateStimulus(str(size), GateReason.LENGTH, bytes(size)) for size in (longest + 1, longest))
    )
    assert [probe.name for probe in found.probes] == [str(longest)]


def test_windows_of_the_harness_end_with_the_session_and_their_canaries_count() -> None:
    device = Scripted({0: fault(), 2: with_changes(1, canaries=1), 3: fault(), 5: fault()})
    found, run, _ = sent(device, *(stimulus(vector) for vector in (0, 1, 2, 4, 5)))
    assert [probe.record is None for probe in found.probes] == [True, False, True, True]
    assert [each.vector for each in run.faults] == [NO_VECTOR] * 3
    assert run.other_canaries == 1


def test_every_thirty_second_window_of_the_harness_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    sent(Scripted(), *(stimulus(REFUSED, str(number)) for number in range(70)), told=lambda *what: told.append(what))
    assert told == [("windows", 32, 0), ("windows", 64, 0)]


def test_the_gate_is_probed_with_a_window_that_was_done() -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted({0: fault()})
    assert gate_probes.STEP.collect(session_with(device)) == GateProbes()
    assert device.asked == []
    run = after_first_pass(device, told=lambda *what: told.append(what))
    run.models = cast(Any, Oracle())
    run.records.status[0] = Status.FAULT
    found = gate_probes.STEP.collect(run)
    assert len(found.probes) > 100
    assert told[-1] == ("gate probes", len(found.probes) // 32 * 32, 0)
    assert {each.vector for each in device.asked} >= {1}  # the first that was done, as it is


# ---- windows that are refused between two others ---------------------------------------------------------------------


def test_a_refused_window_leaves_the_state_and_has_the_number_that_its_rule_needs() -> None:
    device = Scripted(other=lambda _: with_changes(REFUSED, canaries=1))
    run = session_with(device)
    refuser = Refuser(run, WINDOW(0))
    assert set(refuser.kinds) >= {GateReason.LENGTH, GateReason.RANGE, GateReason.STALE}
    for reason in (GateReason.STALE, GateReason.RANGE, GateReason.LENGTH, GateReason.STALE):
        assert refuser.refuse(reason)
    assert [asked.sequence for asked in device.asked] == [1, 1, 2, 2, 2]
    assert [asked.window for asked in device.asked][::4] == [WINDOW(0)] * 2
    assert [asked.window for asked in device.asked[2:4]] == [
        refusals(run.case, WINDOW(0))[reason] for reason in (GateReason.RANGE, GateReason.LENGTH)
    ]
    assert {(asked.fresh, asked.deadline_ticks) for asked in device.asked} == {(False, 777)}
    assert run.other_canaries == 1


def test_a_session_that_has_ended_refuses_nothing() -> None:
    device = Scripted()
    run = session_with(device)
    run.broken = True
    assert not Refuser(run, WINDOW(0)).refuse(GateReason.RANGE)
    assert device.asked == []


def test_of_a_case_in_which_nothing_is_accepted_only_a_length_is_refused() -> None:
    device = Scripted({0: fault()})
    refuser = Refuser(session_with(device), None)
    assert refuser.kinds == (GateReason.LENGTH,)
    assert not refuser.refuse(GateReason.LENGTH)
    assert refuser.refuse(GateReason.LENGTH)
    assert (device.asked[0].window, device.asked[0].sequence) == (b"", 0)


# ---- one vector in other places --------------------------------------------------------------------------------------


def classes(*labels: int) -> Any:
    return np.array(labels)


def test_one_vector_is_run_behind_each_class_each_refusal_and_everything() -> None:
    device = Scripted()
    run = after_first_pass(device, warmup=1)
    run.case = replace(run.case, vectors=replace(run.case.vectors, label=classes(2, 0, 2, 1, 0, 1)))
    found = history.STEP.collect(run).runs
    assert [each.after for each in found[:4]] == [
        "as the first window after a start",
        f"after {NAME(1)}",  # of the refused vector's class the next one that was done
        f"after {NAME(5)}",
        f"after {NAME(0)}",
    ]
    assert device.story()[:6] == ["run 1", "run 0", "run 5", "run 0", "run 0", "run 0"]
    assert [each.after for each in found[4:-1]] == [
        f"after a window refused as {reason.name.lower()}" for reason in Refuser(run, WINDOW(0)).kinds
    ]
    assert found[-1] == Again(0, "behind all probes of the harness", record_of(0))
    assert {each.vector for each in found} == {0}
    assert [each.start for each in found] == [True] + [False] * (len(found) - 1)


@pytest.mark.parametrize(("afforded", "classes_run"), [(4, 2), (16, 2), (24, 3), (31, 3), (32, 4), (200, 5)])
def test_no_more_classes_are_tried_than_a_case_affords(
    afforded: int, classes_run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An eighth of its inferences, and two at least; five vectors of a class each were done."""
    monkeypatch.setattr(history, "effort", lambda *_: SimpleNamespace(inferences=afforded))
    run = after_first_pass(Scripted())
    run.case = replace(run.case, vectors=replace(run.case.vectors, label=classes(0, 1, 2, 3, 4, 5)))
    found = history.STEP.collect(run).runs
    assert sum("refused" not in each.after and "behind" not in each.after for each in found) == classes_run


def test_without_labels_the_highest_output_is_the_class() -> None:
    """Vectors 0, 1, 2 and 4 have their highest score at 0, 1, 2 and 0."""
    run = after_first_pass(Scripted())
    run.case = replace(run.case, vectors=replace(run.case.vectors, label=None))
    assert history._one_of_each(run) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_windows_after_a_start_are_called_by_their_place(count: int) -> None:
    words = ["first", "second", "third", "4th", "5th"][:count]
    run = after_first_pass(Scripted(), lead=False, warmup=count)
    assert history.STEP.collect(run).runs == tuple(
        Again(0, f"as the {word} window after a start", record_of(0), start=True) for word in words
    )


def test_other_places_need_a_vector_that_was_done() -> None:
    device = Scripted()
    assert history.STEP.collect(session_with(device)).runs == ()
    assert device.asked == []


def test_other_places_end_with_the_session_and_their_canaries_count() -> None:
    device = Scripted(
        {1: with_changes(0, canaries=1), 2: with_changes(5, canaries=2), 3: fault(), 5: fault(), 7: fault()}
    )
    run = after_first_pass(device)
    run.case = replace(run.case, vectors=replace(run.case.vectors, label=classes(0, 1, 2, 3, 4, 5)))
    found = history.STEP.collect(run).runs
    assert len(found) == 1
    assert run.other_canaries == 3
    assert len(device.asked) == 9


# ---- a long run ------------------------------------------------------------------------------------------------------


def soaked(device: Scripted, windows: int, **options: Any) -> tuple[Soak, SessionState]:
    run = after_first_pass(device, **options)
    contracts = replace(run.case.contracts, soak=replace(run.case.contracts.soak, windows=windows))
    run.case = replace(run.case, contracts=contracts)
    return soak.STEP.collect(run), run


def test_a_long_run_sends_all_vectors_in_ever_new_orders() -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted(clock=CYCLES)
    found, run = soaked(device, 33, sequence=STREAMS, told=lambda *what: told.append(what))
    order = [step for turn in range(6) for step in steps(shuffled(groups(run.case), found.seed + turn))][:33]
    assert device.story() == [f"run {index}" + ("" if fresh else ", not fresh") for index, fresh in order]
    assert found.vector.tolist() == [index for index, _ in order]
    assert found.total.tolist() == [0 if index == REFUSED else 2000 + index for index, _ in order]
    assert (found.windows, found.wrong, found.slow, found.differences) == (33, 0, 0, ())
    assert told[N:] == [("soak", 16, 33), ("soak", 32, 33)]
    assert (
        soaked(Scripted(), 4)[0].total.tolist()
        == INSTRUCTIONS.units(
            np.array([0 if index == REFUSED else 2000 + index for index in soaked(Scripted(), 4)[0].vector])
        ).tolist()
    )


@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_window_of_a_long_run_that_differs_is_told_with_the_one_before(place: int) -> None:
    order = soaked(Scripted(), 6)[0].vector.tolist()
    vector = order[place]
    device = Scripted({place: with_changes(vector, gate=GateReason.STALE, canaries=1)})
    found, run = soaked(device, 6)
    before = f"after {NAME(order[place - 1])}" if place else ""
    first = str(int(record_of(vector).gate))
    assert found.differences == (ReplayDifference(vector, "soak", place + 1, "gate", first, "2", before),)
    assert (found.wrong, found.slow, run.other_canaries) == (1, 0, 1)


def test_a_window_of_a_long_run_that_was_not_done_has_no_time() -> None:
    order = soaked(Scripted(), N)[0].vector.tolist()
    late = with_changes(REFUSED, ticks=(1, 2, 3))
    found, _ = soaked(Scripted({order.index(REFUSED): late}), N)
    assert found.total[order.index(REFUSED)] == 0


def test_a_long_run_of_a_session_that_has_ended_is_empty() -> None:
    run = after_first_pass(Scripted())
    run.broken = True
    contracts = replace(run.case.contracts, soak=replace(run.case.contracts.soak, windows=5))
    run.case = replace(run.case, contracts=contracts)
    found = soak.STEP.collect(run)
    assert (found.windows, len(found.vector), len(found.total)) == (0, 0, 0)
    assert (found.vector.dtype, found.total.dtype) == (np.int64, np.int64)


def test_slow_windows_of_a_long_run_are_counted_apart_where_time_repeats() -> None:
    def slow(number: int, order: list[int]) -> Record:
        return with_changes(order[number], ticks=(1, 2, 9999))

    order = soaked(Scripted(), N)[0].vector.tolist()
    late = [number for number in range(N) if order[number] != REFUSED]
    script: dict[int, Answer] = {number: slow(number, order) for number in late[1:]}
    script[late[0]] = with_changes(order[late[0]], digest=7)
    found, _ = soaked(Scripted(script), N)
    assert (found.wrong, found.slow) == (1, len(late) - 1)
    assert [each.field for each in found.differences] == ["digest"] + ["ticks"] * (len(late) - 1)
    found, _ = soaked(Scripted(script, clock=CYCLES), N)
    assert (found.wrong, found.slow) == (1, 0)


@pytest.mark.parametrize("count", [MAX_FINDINGS, MAX_FINDINGS + 10])
def test_a_long_run_keeps_the_first_differences_and_counts_all(count: int) -> None:
    script: dict[int, Answer] = dict.fromkeys(range(count), with_changes(REFUSED, gate=GateReason.STALE))
    found, _ = soaked(Scripted(script), count)
    assert (found.wrong, len(found.differences)) == (count, MAX_FINDINGS)


def test_a_long_run_ends_with_the_first_window_without_a_record() -> None:
    device = Scripted({2: fault()})
    found, _ = soaked(device, 20)
    assert (found.windows, len(found.vector), len(found.total)) == (2, 2, 2)
    assert device.story()[3:] == ["restart"]


# ---- scores ----------------------------------------------------------------------------------------------------------


def test_scores_are_sent_as_they_are_made_until_the_firmware_breaks() -> None:
    told: list[tuple[str, int, int]] = []
    device = Scripted()
    run = after_first_pass(device, told=lambda *what: told.append(what))
    found = score_probes.STEP.collect(run).probes
    kinds = Refuser(session_with(Scripted()), WINDOW(0)).kinds
    element, decide = run.case.model.output.element, run.case.decide
    made = list(
        expected_decisions(decide, element, score_stimuli(decide, element, kinds, effort(run.case, run.device.board)))
    )
    assert [(each.name, each.scores, each.expected) for each in found] == [
        (stimulus.name, stimulus.scores, expected) for stimulus, expected in made
    ]
    assert {each.observed for each in found} == {record_of(0).decision}
    asked = [each for each in device.asked if each.what == "decide"]
    assert [each.fresh for each in asked] == [stimulus.fresh for stimulus, _ in made]
    assert [each.window for each in asked] == [np.array(each.scores, np.int8).tobytes() for each in found]
    refused = sum(stimulus.refused is not None for stimulus, _ in made)
    assert refused > 0
    assert len(device.asked) == 1 + len(asked) + refused
    assert told[N:] == [("score probes", done, 0) for done in range(64, len(found) + 1, 64)]


def test_scores_of_a_case_in_which_nothing_was_done_meet_refusals_of_length_only() -> None:
    device = Scripted()
    found = score_probes.STEP.collect(session_with(device)).probes
    assert len(found) > 10
    assert {asked.window for asked in device.asked if asked.what == "run"} == {b""}


def test_scores_are_refused_between_with_the_first_window_that_was_done() -> None:
    device = Scripted()
    run = after_first_pass(device)
    run.records.status[0] = Status.INVOKE_FAILED
    score_probes.STEP.collect(run)
    assert device.asked[0].vector == 1


def test_scores_of_a_session_that_has_ended_are_none() -> None:
    run = after_first_pass(Scripted())
    run.broken = True
    assert score_probes.STEP.collect(run).probes == ()


@pytest.mark.parametrize("number", [1, 5])
def test_scores_end_with_the_first_that_brings_no_answer(number: int) -> None:
    run = after_first_pass(Scripted({number: fault()}))
    assert len(score_probes.STEP.collect(run).probes) == number - 1


# ---- a stream through the whole pipeline -----------------------------------------------------------------------------


def streamed(device: Scripted, **decide: Any) -> tuple[StreamProbes, SessionState]:
    run = after_first_pass(device)
    wanted = {"threshold": 0, "release": 0, "debounce": 2, "cooldown": 1, **decide}
    run.case = replace(run.case, decide=replace(run.case.decide, **wanted))
    return stream_probes.STEP.collect(run), run


def test_a_stream_alternates_two_answers_for_as_long_as_the_rules_need() -> None:
    device = Scripted({4: with_changes(0, canaries=1)})
    found, run = streamed(device)
    assert device.story() == ["run 0", *["run 0, not fresh"] * 4, *["run 1, not fresh"] * 5, *["run 0, not fresh"] * 5]
    assert [each.expected.reason for each in found.probes[:5]] == [
        DecisionReason.DEBOUNCE,
        DecisionReason.ACCEPTED,
        DecisionReason.COOLDOWN,
        DecisionReason.ACCEPTED,
        DecisionReason.COOLDOWN,
    ]
    assert [each.name for each in found.probes[::14]] == [
        f"stream through the pipeline, window {number}" for number in (0, 14)
    ]
    assert found.probes[0].scores == tuple(np.frombuffer(record_of(0).output, np.int8).tolist())
    assert {each.observed for each in found.probes[:5]} == {record_of(0).decision}
    assert run.other_canaries == 1


def test_a_stream_is_no_longer_than_forty_windows_of_one_answer() -> None:
    assert len(streamed(Scripted(), debounce=37, cooldown=1)[0].probes) == 3 * 40
    assert len(streamed(Scripted(), debounce=500)[0].probes) == 3 * 40


@pytest.mark.parametrize(
    ("threshold", "vectors"), [(50, [1, 2, 1]), (51, [2, 4, 2]), (53, [4, 5, 4]), (54, [5]), (55, [])]
)
def test_a_stream_is_made_of_windows_whose_score_passes(threshold: int, vectors: list[int]) -> None:
    """Scores are 50, 51, 52, 54 and 55, of the labels 0, 1, 2, 0 and 1; five windows in a row have one answer."""
    device = Scripted()
    streamed(device, threshold=threshold, release=threshold)
    assert [asked.vector for asked in device.asked] == np.repeat(vectors, 5).tolist()


def test_a_stream_ends_with_a_window_that_is_not_done_and_is_none_of_a_stopped_session() -> None:
    assert len(streamed(Scripted({3: record_of(REFUSED)}))[0].probes) == 3
    assert len(streamed(Scripted({3: fault()}))[0].probes) == 3
    device = Scripted()
    run = after_first_pass(device)
    run.broken = True
    assert stream_probes.STEP.collect(run) == StreamProbes()
    assert device.asked == []


@pytest.mark.parametrize(
    ("decide", "remembers"),
    [
        (Decide("argmax", 1, 5, 5), False),
        (Decide("argmax", 1, 5, 4), True),
        (Decide("argmax", 1, 5, 5, debounce=2), True),
        (Decide("argmax", 1, 5, 5, cooldown=1), True),
        (Decide("none", 1, 5, 4), False),
    ],
)
def test_a_stream_is_for_a_decide_stage_with_a_memory(decide: Decide, remembers: bool) -> None:
    assert stream_probes.STEP.applies(replace(case_of(), decide=decide)) == remembers


# ---- what the session itself went through ----------------------------------------------------------------------------


def test_what_the_link_mended_is_told_with_the_vectors_it_was_on() -> None:
    device = Scripted()
    device.counters = LinkCounters(1, 2, 3)
    run = session_with(device)
    run.repeated = [5, 0, 5]
    assert wire.STEP.collect(run) == Wire(1, 2, 3, (0, 5))


def test_what_the_records_told_beside_answers_is_kept() -> None:
    device = Scripted()
    device.witness = Witness(4, 3, 2, CoreState(1, 0, 0, 0))
    assert witness.STEP.collect(session_with(device)) == Witnessed(True, 4, 3, 2, CoreState(1, 0, 0, 0))


def test_invokes_are_told_by_the_start_they_belong_to() -> None:
    device = Scripted()
    device.invokes = [InvokeCalls(3, [1]), InvokeCalls(5, [])]
    assert invokes.STEP.collect(session_with(device)) == Invokes((InvokeRun(3, (1,)), InvokeRun(5, ())))


def test_a_step_that_one_board_takes_has_one_section() -> None:
    assert gate_probes.STEP.merge([GateProbes()]) == GateProbes()
    with pytest.raises(ValueError, match="too many values"):
        gate_probes.STEP.merge([GateProbes(), GateProbes()])


# ---- the window that is taken where any will do ----------------------------------------------------------------------


def test_the_usual_vector_was_done_and_met_no_decision_state() -> None:
    run = after_first_pass(Scripted(), STREAMS)
    assert usual_vector(run) == 0
    run.records.status[0] = Status.INVOKE_FAILED
    assert usual_vector(run) == 1
    run.records.status[:] = Status.REJECTED
    assert usual_vector(run) == 0
    run.groups = [[4, 5]]
    assert usual_vector(run) == 4
    run.groups = []
    assert usual_vector(run) == NO_VECTOR


# ---- what an image was shown once ------------------------------------------------------------------------------------


class Shown:
    """A test that an image is shown, with a count of how often; what it finds is a number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        self.count, self.device = 0, Scripted()
        self.device.board.once_per_image = True
        self.run = session_with(self.device)

    def __call__(self, what: str = "guards", finds: int = 7) -> str:
        def collect(run: SessionState) -> str:
            assert run is self.run
            self.count += 1
            return f"found {finds}"

        return remembered.once_per_image(
            self.run,
            what,
            collect=collect,
            to_json=lambda text: {"n": int(text[6:])} if finds else None,
            from_json=_told,
        )


def _told(found: Mapping[str, Any], day: str) -> str:
    return f"found {int(found['n'])} on {day}"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shown:
    return Shown(monkeypatch, tmp_path / "cache")


def test_an_image_is_shown_a_test_once_and_then_told_with_the_day(shown: Shown) -> None:
    assert (shown(), shown.count) == ("found 7", 1)
    assert (shown(finds=9), shown.count) == (f"found 7 on {datetime.now(UTC).date().isoformat()}", 1)


def test_the_day_is_that_of_utc(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    late = datetime(2020, 1, 2, 1, tzinfo=timezone(timedelta(hours=3)))
    monkeypatch.setattr(remembered, "datetime", SimpleNamespace(now=lambda zone: late.astimezone(zone or late.tzinfo)))
    shown()
    assert shown() == "found 7 on 2020-01-01"


def test_a_memory_is_written_beside_itself(shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of another file system cannot take its place at once."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    shown()
    shown()
    assert shown.count == 1
    assert list(remembered.memory_file().parent.iterdir()) == [remembered.memory_file()]


def test_another_test_image_kind_or_deadline_is_shown_again(shown: Shown) -> None:
    shown()
    shown("bundles")
    shown.run.deadline_ticks += 1
    shown()
    shown.run.image = cast(Any, SimpleNamespace(sha256="cd" * 32))
    shown()
    shown.device.board.config.kind = "another"
    shown()
    assert shown.count == 5
    shown()
    assert shown.count == 5


def test_a_board_that_wears_nothing_is_shown_each_time_and_nothing_is_kept(shown: Shown) -> None:
    shown.device.board.once_per_image = False
    assert [shown(), shown()] == ["found 7"] * 2
    assert not remembered.memory_file().exists()


def test_what_must_be_tried_again_is_not_kept(shown: Shown) -> None:
    assert [shown(finds=0), shown(finds=0)] == ["found 0"] * 2
    assert shown.count == 2


@pytest.mark.parametrize("text", ["", "[]", "no json", "\udce9"])
def test_a_memory_that_cannot_be_read_is_made_anew(text: str, shown: Shown) -> None:
    shown()
    remembered.memory_file().write_text(text, encoding="utf-8", errors="surrogateescape")
    assert (shown(), shown.count) == ("found 7", 2)
    shown()
    assert shown.count == 2


@pytest.mark.parametrize(
    "entry",
    [
        {"on": "2020-01-01", "found": {}},
        {"found": {"n": 1}},
        7,
        {"on": "", "found": {"n": []}},
        {"on": "", "found": {"n": "x"}},
    ],
)
def test_an_entry_that_another_version_wrote_is_tried_again_and_replaced(entry: object, shown: Shown) -> None:
    shown()
    (key,) = json.loads(remembered.memory_file().read_text())
    remembered.memory_file().write_text(json.dumps({key: entry}))
    assert (shown(), shown.count) == ("found 7", 2)
    assert list(json.loads(remembered.memory_file().read_text())) == [key]


@pytest.mark.parametrize(("before", "kept"), [(198, 199), (199, 200), (200, 200), (250, 200)])
def test_the_oldest_entries_go_first(before: int, kept: int, shown: Shown) -> None:
    file = remembered.memory_file()
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({f"old {number}": {} for number in range(before)}))
    shown()
    entries = list(json.loads(file.read_text()))
    assert len(entries) == kept
    assert entries[:-1] == [f"old {number}" for number in range(before)][-(kept - 1) :]
    assert entries[-1].startswith("guards ")


def test_a_memory_that_cannot_be_written_is_none(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert [shown(), shown()] == ["found 7"] * 2
    assert shown.count == 2


def test_the_memory_lies_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert remembered.memory_file() == tmp_path / "hil" / "self-tests.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert remembered.memory_file() == tmp_path / "home" / ".cache" / "hil" / "self-tests.json"
