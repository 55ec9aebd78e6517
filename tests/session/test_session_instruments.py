"""What each instrument of the firmware is shown, and what is made of its answer, by a firmware written here: a right
one, and the same with one flaw. `test_every_instrument.py` plants such flaws in the real one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import cbor2
import numpy as np
import pytest
from made_evidence import CYCLES, INSTRUCTIONS
from scripted_device import REPORT, Answer, Scripted, after_first_pass, record_of, session_with, with_changes

from hil.board.fault import Fault
from hil.board.outside import Spent
from hil.contract.instruments.clock import ClockTest, Timed
from hil.contract.instruments.core import CoreTest
from hil.contract.instruments.guards import DeadlineTrip, GuardTest, Trip
from hil.contract.instruments.link import LinkTest
from hil.contract.instruments.marks import Engine, Mark, MemoryTest, Plant, Sizes
from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.types import ReplayDifference
from hil.device import Profile
from hil.errors import BoardBroken, BoardError, DeviceEnded, DeviceFault, DeviceReset, DeviceSilent, LinkError
from hil.link import cobs, frame
from hil.link.messages import OperatorTime, SelfTest
from hil.records import CoreState, DecisionReason, GateReason, Record, Status
from hil.session import clock_test, core_test, guard_test, link_test, memory_test, profile
from hil.session.state import SessionState


def fault() -> DeviceFault:
    return DeviceFault("fault record")


# ---- one vector with a clock around each operator --------------------------------------------------------------------


class Profiling(Scripted):
    """Operators of 60, 30 and 810 ticks in an invoke of 900."""

    times = (OperatorTime("CONV_2D", 0, 60), OperatorTime("ADD", 60, 90), OperatorTime("SOFTMAX", 90, 900))

    def profile(self, window: bytes, *, deadline_ticks: int = 0) -> Profile | None:
        self.deadline = deadline_ticks
        record: Record | None = self._answer(self.asking("profile", window), record_of(self.vector_of(window)))
        return None if record is None else Profile(record, 3, self.times)


def test_the_operators_of_the_first_vector_afresh_are_told_in_the_clock_s_units() -> None:
    device = Profiling()
    run = after_first_pass(device)
    assert profile.STEP.collect(run) == OperatorProfile(
        (OperatorTicks(0, "CONV_2D", 38), OperatorTicks(1, "ADD", 19), OperatorTicks(2, "SOFTMAX", 506)), 0
    )  # 5 eighths of the ticks: 37.5, 56.25 and 562.5 rounded up, and then subtracted
    assert device.story() == ["profile 0"]
    assert device.deadline == 2 * 777
    run.deadline_ticks = 0x90000000
    profile.STEP.collect(run)
    assert device.deadline == 0xFFFFFFFF


UNLIKE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"status": Status.INVOKE_FAILED}, "status"),
    ({"digest": 7, "output": bytes(4)}, "digest"),
    ({"output": bytes(4)}, "output"),
    ({"decision": replace(record_of(0).decision, winner=3)}, "decision"),
    ({"decision": replace(record_of(0).decision, score=3)}, "decision"),
    ({"decision": replace(record_of(0).decision, answer=3)}, "decision"),
    ({"decision": replace(record_of(0).decision, reason=DecisionReason.COOLDOWN)}, "decision"),
    ({"decision": replace(record_of(0).decision, label="another")}, "decision"),
)


@pytest.mark.parametrize(("changes", "field"), UNLIKE, ids=[row[1] for row in UNLIKE])
@pytest.mark.parametrize(
    ("passes", "replays", "kind", "attempt"), [(1, 4, "replay", 4), (2, 4, "pass", 2), (3, 1, "pass", 3)]
)
def test_a_profiled_run_that_is_not_the_vector_s_record_tells_no_operators(
    passes: int, replays: int, kind: str, attempt: int, changes: dict[str, Any], field: str
) -> None:
    run = after_first_pass(Profiling({0: with_changes(0, canaries=2, **changes)}), passes=passes, replays=replays)
    found = profile.STEP.collect(run)
    (difference,) = found.differences
    assert (difference.vector, difference.kind, difference.attempt, difference.field) == (0, kind, attempt, field)
    assert (found.operators, found.vector, run.other_canaries) == ((), -1, 2)


def test_a_difference_of_a_profiled_run_shows_both_sides() -> None:
    right = record_of(0)
    shown: list[tuple[str, str]] = []
    for changes in ({"status": Status.REJECTED}, {"digest": 7}, {"output": b"\1\2\3\4"}):
        (found,) = profile.STEP.collect(after_first_pass(Profiling({0: replace(right, **changes)}))).differences
        assert isinstance(found, ReplayDifference)
        shown.append((found.first, found.again))
    assert shown == [
        ("DONE", "REJECTED"),
        (f"{right.digest:#010x}", "0x00000007"),
        (right.output.hex(" "), "01 02 03 04"),
    ]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([(0, 60), (50, 90)], "from 60 to 50 ticks in an invoke of 900"),
        ([(0, 60), (70, 901)], "from 901 to 900 ticks"),
        ([(20, 10)], "from 20 to 10 ticks"),
        ([(0, 1001)], "from 1,001 to 900 ticks in an invoke of 900 ticks with 3 operators"),
    ],
)
def test_readings_that_go_backwards_are_an_error_of_the_link(times: list[tuple[int, int]], words: str) -> None:
    device = Profiling()
    device.times = tuple(OperatorTime("ADD", begin, end) for begin, end in times)
    with pytest.raises(LinkError, match=f"profile: the clock went {words}"):
        profile.STEP.collect(after_first_pass(device))


def test_operators_may_follow_at_once_and_fill_the_invoke() -> None:
    device = Profiling()
    device.times = (OperatorTime("ADD", 0, 0), OperatorTime("ADD", 0, 900))
    assert [each.units for each in profile.STEP.collect(after_first_pass(device)).operators] == [0, 563]
    device.times = ()
    assert profile.STEP.collect(after_first_pass(device)) == OperatorProfile((), 0)


@pytest.mark.parametrize("answer", [None, fault()], ids=["cannot tell", "breaks"])
def test_without_an_answer_there_are_no_operators(answer: Answer) -> None:
    assert profile.STEP.collect(after_first_pass(Profiling({0: answer}))) == OperatorProfile()
    device = Profiling()
    assert profile.STEP.collect(session_with(device)) == OperatorProfile()
    run = after_first_pass(device)
    run.broken = True
    assert profile.STEP.collect(run) == OperatorProfile()
    assert device.asked == []


# ---- the core's state ------------------------------------------------------------------------------------------------


class SelfTesting(Scripted):
    """Each self-test brings this record, unless the script says otherwise."""

    shown = replace(record_of(0), core=CoreState(1, 2, 3, 4))

    def self_test(
        self,
        test: SelfTest,
        amount: int = 0,
        *,
        deadline_ticks: int = 0,
        padding: bytes = b"",
        sent: Callable[[], None] = lambda: None,
    ) -> Record | None:
        self.tests = [*getattr(self, "tests", []), (test, amount, deadline_ticks, padding)]
        sent()
        answer: Record | None = self._answer(self.asking("self-test", padding), self.shown)
        return answer


def test_the_core_s_state_is_read_back_with_a_mask_set() -> None:
    device = SelfTesting()
    assert core_test.STEP.collect(session_with(device)) == CoreTest(True, True, CoreState(1, 2, 3, 4))
    assert device.tests == [(SelfTest.MASKS, 0, 0, b"")]


def test_a_core_that_cannot_be_asked_is_told_from_one_that_breaks() -> None:
    assert core_test.STEP.collect(session_with(SelfTesting({0: None}))) == CoreTest(tried=True)
    assert core_test.STEP.collect(session_with(SelfTesting({0: fault()}))) == CoreTest()
    run = session_with(SelfTesting())
    run.broken = True
    assert core_test.STEP.collect(run) == CoreTest()


# ---- the guards ------------------------------------------------------------------------------------------------------

TRIAL = replace(record_of(0), ticks=(1, 2, 13750))  # a spin of 100,000 rounds, and of an eighth in three more stages
LEFT = 0x1234


def trip_of(kind: str, stage: str = "agent") -> DeviceFault:
    return DeviceFault(Fault(kind, stage, 0, {"pc": 0}))


@pytest.fixture(autouse=True)
def clock_of_the_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readings lie 2.5 s apart."""
    times = count(100.0, 2.5)
    monkeypatch.setattr(guard_test, "time", SimpleNamespace(monotonic=lambda: next(times)))


def guarded(script: dict[int, Answer], deadline: int = 1000) -> tuple[GuardTest, SelfTesting, SessionState]:
    device = SelfTesting(script)
    device.shown = TRIAL
    words = {(0x100, 4): LEFT.to_bytes(4, "little")}
    symbols = {"hil_spin_left": 0x100}
    device.board.image = SimpleNamespace(has_symbol=symbols.__contains__, symbol=symbols.__getitem__)
    device.board.memory = SimpleNamespace(read=lambda at, size: words[at, size])
    run = session_with(device)
    run.deadline_ticks = deadline
    return guard_test.STEP.collect(run), device, run


# One self-test, then a restart each: the trial, the deadline, the stack, and three null pointers.
TRIPS: dict[int, Answer] = {
    1: trip_of("deadline missed", "invoke"),
    3: trip_of("stack overflow"),
    5: trip_of("memory management fault"),
    7: trip_of("bus fault"),
    9: trip_of("memory management fault"),
}


def test_each_guard_is_shown_what_must_end_in_its_fault() -> None:
    found, device, run = guarded(TRIPS)
    assert found.deadline is not None
    assert replace(found, deadline=replace(found.deadline, seconds=0.0)) == GuardTest(
        True,
        True,
        DeadlineTrip(625, 160_000, Trip("spun", "deadline missed", "invoke"), LEFT),
        Trip("written", "stack overflow", "agent"),
        (
            Trip("read", "memory management fault", "agent"),
            Trip("written", "bus fault", "agent"),
            Trip("executed", "memory management fault", "agent"),
        ),
    )
    assert found.deadline.seconds == 2.5
    assert isinstance(found.deadline.rounds, int)
    # Twice the deadline in the first stage, which spins an eighth: 2 * 8 * 1,000 ticks of 13,750 for 137,500 rounds.
    assert [(test, amount, deadline) for test, amount, deadline, _ in device.tests] == [
        (SelfTest.SPIN, 100_000, 0),
        (SelfTest.SPIN, 160_000, 1000),
        (SelfTest.STACK_GUARD, 0, 0),
        (SelfTest.NULL_READ, 0, 0),
        (SelfTest.NULL_WRITE, 0, 0),
        (SelfTest.NULL_EXECUTE, 0, 0),
    ]
    assert device.story().count("restart") == 5
    assert device.story()[-1] == "restart"
    assert run.faults == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (DeviceReset(1, 2), "a reset"),
        (DeviceEnded("exit"), "the firmware ended"),
        (DeviceSilent("hang"), "silence"),
        (fault(), ""),
        (TRIAL, ""),
    ],
)
def test_what_else_may_come_of_a_guard(answer: Answer, kind: str) -> None:
    found, *_ = guarded({**TRIPS, 3: answer, 1: answer})
    assert found.deadline is not None
    assert (found.stack, found.deadline.trip) == (Trip("written", kind), Trip("spun", kind))


def test_a_case_without_a_deadline_gets_one_of_ten_milliseconds() -> None:
    found, device, _ = guarded(TRIPS, deadline=0)
    assert device.tests[1][2] == 250_000  # of a clock of 25 MHz
    assert found.deadline is not None
    assert found.deadline.deadline == 156_250


def test_a_spin_is_no_longer_than_a_request_can_ask_for() -> None:
    found, device, _ = guarded({**TRIPS, 0: replace(TRIAL, ticks=(0, 0, 0))}, deadline=1 << 30)
    assert device.tests[1][1] == 0xFFFFFFFF
    assert found.deadline is not None
    assert found.deadline.rounds == 0xFFFFFFFF


@pytest.mark.parametrize(("ticks", "rounds"), [(1, 220_000_000), (2, 110_000_000), (13_751, 15_998)])
def test_a_spin_is_as_long_as_the_trial_tells(ticks: int, rounds: int) -> None:
    found, *_ = guarded({**TRIPS, 0: replace(TRIAL, ticks=(0, 0, ticks))}, deadline=100)
    assert found.deadline is not None
    assert repr(found.deadline.rounds) == repr(rounds)


def test_guards_that_cannot_be_tried_are_told_from_a_firmware_that_breaks() -> None:
    assert guarded({0: None})[0] == GuardTest(tried=True)
    assert guarded({0: fault()})[0] == GuardTest()
    run = session_with(SelfTesting())
    run.broken = True
    assert guard_test.STEP.collect(run) == GuardTest()


def test_no_guard_is_tried_on_a_firmware_that_does_not_come_back() -> None:
    found, device, run = guarded({**TRIPS, 2: DeviceSilent("no hello")})
    assert (found.stack, found.null, run.broken) == (None, (), True)
    assert len(device.tests) == 2
    found, device, _ = guarded({**TRIPS, 6: DeviceSilent("no hello")})
    assert [each.test for each in found.null] == ["read"]


def test_an_image_that_does_not_count_its_spin_has_nothing_left() -> None:
    device = SelfTesting({1: trip_of("deadline missed", "invoke")})
    device.shown = TRIAL
    device.board.image = SimpleNamespace(has_symbol=lambda name: False)
    found = guard_test.STEP.collect(session_with(device))
    assert found.deadline is not None
    assert found.deadline.left == 0


def test_guards_that_held_are_kept_and_come_back() -> None:
    found, *_ = guarded(TRIPS)
    kept = guard_test._kept(found)
    assert kept is not None
    assert guard_test._again(kept, "2020-01-01") == replace(found, remembered="2020-01-01")
    for place in (1, 3, 5, 9):
        assert guard_test._kept(guarded({**TRIPS, place: TRIAL})[0]) is None
    assert guard_test._kept(replace(found, able=False)) is None
    assert guard_test._kept(replace(found, deadline=None)) is None
    assert guard_test._kept(replace(found, stack=None)) is None


# ---- the link --------------------------------------------------------------------------------------------------------


class Agent(Scripted):
    """The firmware's end of the link: frames, a gate of length and capture number, a cache of the last reply."""

    checks_crc = caches = compares = gates = True
    longest = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        self.number, self.seen = 100, -1
        self.commands: list[list[Any]] = []
        self.frames: list[list[bytes]] = []
        self.ended: list[bool] = []
        self.cached: tuple[bytes, bytes] | None = None
        self.waits: list[float] = []

    def message(self, command: dict[str, Any]) -> bytes:
        self.number += 1
        return cbor2.dumps([self.number, command])

    def converse(self, data: bytes, enough: Callable[[list[bytes]], bool], timeout_s: float) -> list[bytes]:
        self.waits.append(timeout_s)
        self.frames.append([one for one in data.split(frame.END) if one])
        found: list[bytes] = []
        for one in data.split(frame.END):
            for message in self.opened(one):
                found.append(self.answer(message))
            if enough(found):
                break
        self.ended.append(enough(found) is True)
        return found

    def opened(self, one: bytes) -> Iterator[bytes]:
        if len(one) > self.longest + 256:
            return
        yield from frame.FrameReader().feed(one + frame.END)

    def answer(self, message: bytes) -> bytes:
        if self.caches and self.cached is not None:
            known, reply = self.cached
            if known == message or (not self.compares and cbor2.loads(known)[0] == cbor2.loads(message)[0]):
                return reply
        number, command = cbor2.loads(message)
        self.commands.append(command["run"])
        sequence, _, _, window = command["run"]
        reply = cbor2.dumps([number, 1, {"run": self.record(sequence, window)}])
        self.cached = message, reply
        return reply

    def record(self, sequence: int, window: bytes) -> dict[str, Any]:
        gate = GateReason.VALID
        if self.gates and len(window) != 480:
            gate = GateReason.LENGTH
        elif self.gates and sequence == self.seen:
            gate = GateReason.STALE
        if not gate:
            self.seen = sequence
        decision = {"winner": 0, "score": 1, "answer": 0, "reason": 0, "label": "a"}
        return {
            **{"status": int(bool(gate)), "gate": int(gate), "ticks": [1, 2, 3], "digest": 4, "minimum": 5},
            **{"maximum": 6, "saturated": 7, "output": window[:4], "decision": decision, "canaries": 0},
            **{"arena_high_water": 8, "stack_high_water": 9},
        }


PROBES = (
    "one bit of a window changed",
    "one bit of a CRC changed",
    "a frame cut in half",
    "a frame that is too long",
    "a request sent twice",
    "another request under the id of the last",
    "the last request under another id",
    "two requests, and the first again",
    "the first again",
)


def linked(kind: type[Agent] = Agent, **flaws: Any) -> dict[str, tuple[str, str]]:
    device = kind()
    for name, value in flaws.items():
        setattr(device, name, value)
    found = link_test.STEP.collect(after_first_pass(device))
    assert found.tried
    assert set(device.waits) == {2.0}
    return {probe.name: (probe.expected, probe.observed) for probe in found.probes}


def wrong(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: observed for name, (expected, observed) in found.items() if expected != observed}


def test_a_right_agent_passes_each_probe() -> None:
    found = linked()
    assert tuple(found) == PROBES
    assert wrong(found) == {}
    assert {expected for expected, _ in found.values()} == {
        "a reply to the next",
        "the same reply twice",
        "a reply with rejected: length",
        "a reply with rejected: stale",
        "replies to first, second, first",
        "the record of its own window",
    }


def test_requests_are_fresh_ones_of_the_window_with_the_deadline_of_the_case() -> None:
    """But for two that must be refused for their length; each has a capture number of its own but where it is meant."""
    device = Agent()
    link_test.STEP.collect(after_first_pass(device))
    assert device.story() == ["run 0"]
    assert set(device.ended) == {True}
    assert {tuple(each[1:3]) for each in device.commands if each[3]} <= {(True, 777), (True, 0)}
    assert all(each[1] is True for each in device.commands)
    assert {each[3] for each in device.commands} == {device.asked[0].window, b""}
    assert [tuple(each[1:]) for each in device.commands if not each[3]] == [
        (True, 0, b""),
        (True, 777, b""),
    ]


def test_a_damaged_frame_is_damaged_in_one_way() -> None:
    device = Agent()
    link_test.STEP.collect(after_first_pass(device))
    (flipped, _), (crc, _), (half, _), (long, good) = device.frames[:4]
    for damaged, place in ((flipped, 0), (crc, 1)):
        body = cobs.decode(damaged)
        message, told = body[:-4], int.from_bytes(body[-4:], "little")
        if place == 0:  # the CRC is that of the message with one bit back
            near = [message[:at] + bytes([message[at] ^ 0x10]) + message[at + 1 :] for at in range(len(message))]
            assert sum(zlib.crc32(each) == told for each in near) == 1
        else:
            assert (zlib.crc32(message) ^ told).bit_count() == 1
    assert 200 < len(half) < len(good) * 2 // 3
    assert len(cobs.decode(long)) == len(cobs.decode(good)) + 4096 + 512


@pytest.mark.parametrize(("took_s", "wait_s"), [(0.01, 2.0), (0.1, 2.0), (1.0, 20.0)])
def test_replies_are_waited_for_as_long_as_twenty_windows_take(
    took_s: float, wait_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((5.0, 5.0 + took_s))
    monkeypatch.setattr(link_test, "time", SimpleNamespace(monotonic=lambda: next(times)))
    device = Agent()
    link_test.STEP.collect(after_first_pass(device))
    assert device.waits == pytest.approx([wait_s] * len(device.waits))


class NoCrc(Agent):
    def opened(self, one: bytes) -> Iterator[bytes]:
        try:
            body = cobs.decode(one)
        except ValueError:
            return
        if len(body) > 4 and len(one) < self.longest:
            yield body[:-4]


def test_an_agent_that_checks_no_crc_answers_damaged_requests() -> None:
    both = "a reply to the damaged request and the next"
    assert wrong(linked(NoCrc)) == {name: both for name in PROBES[:2]}


class Long(Agent):
    def opened(self, one: bytes) -> Iterator[bytes]:
        for message in frame.FrameReader().feed(one + frame.END):
            yield message.rstrip(b"\x55") if len(message) > self.longest else message


def test_an_agent_that_takes_any_length_answers_what_is_too_long() -> None:
    assert wrong(linked(Long)) == {"a frame that is too long": "a reply to the damaged request and the next"}


def test_an_agent_without_a_cache_runs_a_request_again() -> None:
    found = wrong(linked(caches=False))
    assert found == {"a request sent twice": "a reply with done, then one with rejected: stale"}


def test_an_agent_that_knows_requests_by_their_id_alone_gives_another_one_s_answer() -> None:
    assert wrong(linked(compares=False)) == {"another request under the id of the last": "a reply with done"}


def test_an_agent_whose_gate_takes_everything_gives_records_that_are_not_refusals() -> None:
    found = wrong(linked(gates=False))
    assert found == {
        "another request under the id of the last": "a reply with done",
        "the last request under another id": "a reply with done",
    }


class Mixed(Agent):
    """Answers a request that came before with the record of the last."""

    def answer(self, message: bytes) -> bytes:
        known = getattr(self, "before", [])
        self.before = [*known, message]
        if message in known[:-1]:
            number, boot, _ = cbor2.loads(super().answer(message))
            last = cbor2.loads(super().answer(cbor2.dumps([number, {"run": [9, True, 0, b""]}])))[2]
            return cbor2.dumps([number, boot, last])
        return super().answer(message)


def test_an_agent_that_mixes_its_replies_up_gives_another_record() -> None:
    assert wrong(linked(Mixed)) == {"the first again": "another record"}


class Confused(Agent):
    """Answers a request that came before as done, with the output of another window."""

    def record(self, sequence: int, window: bytes) -> dict[str, Any]:
        known = getattr(self, "known", set())
        self.known = known | {sequence}
        if sequence in known and len(window) == 480:
            return {**super().record(sequence, window), "status": 0, "gate": 0, "output": b"else"}
        return super().record(sequence, window)


def test_an_agent_that_runs_another_window_gives_another_record() -> None:
    assert wrong(linked(Confused))["the first again"] == "another record"


class Renumbering(Agent):
    def answer(self, message: bytes) -> bytes:
        number, *rest = cbor2.loads(super().answer(message))
        return cbor2.dumps([number ^ 0x1000, *rest])


def test_an_agent_that_answers_under_another_id_answers_nobody() -> None:
    found = wrong(linked(Renumbering))
    assert {found[name] for name in PROBES[:4]} == {"a reply to another id"}
    assert {found[name] for name in PROBES[4:7]} == {"no reply"}
    assert found[PROBES[7]] == "replies to "


class Deaf(Agent):
    def converse(self, data: bytes, enough: Callable[[list[bytes]], bool], timeout_s: float) -> list[bytes]:
        self.waits.append(timeout_s)
        return []


def test_an_agent_that_answers_nothing_is_asked_whether_it_is_still_there() -> None:
    device = Deaf()
    found = link_test.STEP.collect(after_first_pass(device))
    assert {probe.observed for probe in found.probes[:4]} == {"a reply to nothing"}
    assert device.story() == ["run 0"] * (1 + len(device.waits))
    assert {asked.deadline_ticks for asked in device.asked} == {777}
    device = Deaf({1: fault()})
    assert link_test.STEP.collect(after_first_pass(device)) == LinkTest()


class Garbled(Agent):
    def record(self, sequence: int, window: bytes) -> dict[str, Any]:
        return {"status": 0}


def test_a_reply_without_a_record_says_so() -> None:
    found = wrong(linked(Garbled))
    assert found["another request under the id of the last"] == "a reply with no record"
    assert "the first again" not in linked(Garbled)


@pytest.mark.parametrize("number", ["x", None])
def test_a_reply_whose_id_is_no_number_is_another_one_s(number: object) -> None:
    assert link_test._id(cbor2.dumps([number, 1, {}])) == -1


def test_a_session_without_a_window_shows_the_link_nothing() -> None:
    run = session_with(Agent())
    run.groups = []
    assert link_test.STEP.collect(run) == LinkTest()
    run = session_with(Agent())
    run.broken = True
    assert link_test.STEP.collect(run) == LinkTest()


# ---- memory ----------------------------------------------------------------------------------------------------------

ARENA, SHARE, STACK, STACK_BYTES, MODEL, ENGINE = 0x1000, 0x800, 0x4000, 0x400, 0x6000, 0x7000
SYMBOLS = {
    "hil_arena": ARENA,
    "hil_engine": ENGINE,
    "__hil_stack_low": STACK,
    "__hil_stack_top": STACK + STACK_BYTES,
}
USED_WORDS, STACK_USED = 100, 61
CANARY, ARENA_PAINT, STACK_PAINT = 0xD7B4E269, 0xA5C35A3C, 0x5AC3B19D
BASE = ARENA + 1024


class Target(Scripted):
    """A firmware whose marks and canaries are what lies in its memory; docs/link.md.

    share: of the arena, below its static size. blind: addresses that the board does not give.
    """

    share = SHARE
    blind: tuple[range, ...] = ()
    reports_canaries = True
    understates = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ram = bytearray(0x8000)
        self.writes: list[tuple[int, int]] = []
        self.reads: list[tuple[int, int]] = []
        self.fill(ARENA, 1024, CANARY)
        self.fill(BASE, self.share, ARENA_PAINT)
        self.fill(BASE, 4 * USED_WORDS, 0x01010101)
        self.fill(BASE + self.share, 1024, CANARY)
        self.fill(STACK, STACK_BYTES, STACK_PAINT)
        self.fill(STACK + STACK_BYTES - 4 * STACK_USED, 4 * STACK_USED, 0x02020202)
        self.ram[MODEL : MODEL + 5] = b"model"
        for place, word in enumerate((MODEL, 5, BASE, self.share)):
            self.ram[ENGINE + 4 * place : ENGINE + 4 * place + 4] = word.to_bytes(4, "little")
        self.hello = replace(self.hello, stack_bytes=STACK_BYTES)
        self.board.outside = self.outside

    def fill(self, at: int, size: int, word: int) -> None:
        self.ram[at : at + size] = word.to_bytes(4, "little") * (size // 4)

    def word(self, at: int) -> int:
        return int.from_bytes(self.ram[at : at + 4], "little")

    def run(self, window: bytes, **options: Any) -> Record:
        return replace(
            super().run(window, **options),
            canaries=self.canaries(),
            arena_high_water=self.arena_mark() - self.understates,
            stack_high_water=self.stack_mark() - self.understates,
        )

    def canaries(self) -> int:
        """Damage is reported once, and mended."""
        found = 0
        for bit, at in ((1, ARENA), (2, BASE + self.share)):
            if self.ram[at : at + 1024] != CANARY.to_bytes(4, "little") * 256:
                found |= bit * self.reports_canaries
                self.fill(at, 1024, CANARY)
        return found

    def arena_mark(self) -> int:
        longest = run = 0
        for at in range(BASE, BASE + self.share, 4):
            run = run + 1 if self.word(at) == ARENA_PAINT else 0
            longest = max(longest, run)
        return self.share - 4 * longest

    def stack_mark(self) -> int:
        words = (place for place in range(STACK_BYTES // 4) if self.word(STACK + 4 * place) != STACK_PAINT)
        return STACK_BYTES - 4 * next(words, STACK_BYTES // 4)

    @contextmanager
    def outside(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(memory=SimpleNamespace(read=self.read, write=self.write))

    def read(self, at: int, size: int) -> bytes:
        self.reads.append((at, size))
        if any(at in place for place in self.blind):
            raise BoardError(f"no memory at {at:#x}\nmore")
        return bytes(self.ram[at : at + size])

    def write(self, at: int, data: bytes) -> None:
        self.writes.append((at, len(data)))
        self.ram[at : at + len(data)] = data


def looked(
    device: Target, without: tuple[str, ...] = (), arena_bytes: int | None = SHARE, ratio: int = 1
) -> MemoryTest:
    return _looked(device, without, arena_bytes, ratio)[0]


def _looked(
    device: Target, without: tuple[str, ...] = (), arena_bytes: int | None = SHARE, ratio: int = 1
) -> tuple[MemoryTest, SessionState]:
    run = after_first_pass(device)
    there = {name: at for name, at in SYMBOLS.items() if name not in without}
    run.image = cast(
        Any,
        SimpleNamespace(
            has_symbol=there.__contains__,
            symbol=there.__getitem__,
            symbol_bytes=lambda name: 2 * 1024 + 0x1000,
            is_32_bit=ratio == 1,
            path="firmware.elf",
        ),
    )
    run.case = replace(run.case, arena_bytes=arena_bytes)
    return memory_test.STEP.collect(run), run


PLANTS = tuple(
    plant
    for place, bit in (
        ("at the start of the canary below the arena", 1),
        ("directly below the arena", 1),
        ("directly above the arena", 2),
        ("at the end of the canary above the arena", 2),
    )
    for plant in (Plant(place, bit, bit), Plant(f"{place}, one window later", 0, 0))
)


def test_what_a_right_firmware_says_of_its_memory_is_what_lies_there() -> None:
    device = Target()
    stack_planted = STACK_BYTES - 4 * ((STACK_BYTES // 4 - STACK_USED) // 2)
    assert looked(device) == MemoryTest(
        True,
        "",
        Sizes(0x1000, STACK_BYTES),
        SHARE,
        BASE,
        (0, 0),
        PLANTS,
        Mark(4 * USED_WORDS, 4 * USED_WORDS, SHARE, SHARE),
        Mark(4 * STACK_USED, 4 * STACK_USED, stack_planted, stack_planted),
        Engine(MODEL, 5, BASE, SHARE, hashlib.sha256(b"model").hexdigest()),
    )
    assert set(device.story()) == {"run 0"}
    assert {asked.deadline_ticks for asked in device.asked} == {777}


def test_each_plant_lies_where_its_name_says_and_touches_nothing_else() -> None:
    device = Target()
    device.fill(BASE, 4 * 10, ARENA_PAINT)
    looked(device)
    painted = STACK_BYTES // 4 - STACK_USED
    assert {(at, size) for at, size in device.reads if size < 5} == set(device.writes[:4])
    assert device.writes == [
        *[(ARENA, 1), (BASE - 1, 1), (BASE + SHARE, 1), (BASE + SHARE + 1023, 1)],
        *[(BASE, 4 * 10), (BASE + 4 * USED_WORDS, SHARE - 4 * USED_WORDS)],
        (STACK + 4 * (painted // 2), 4),
    ]


def test_a_firmware_that_reports_no_damage_and_too_low_marks_shows() -> None:
    device = Target()
    device.reports_canaries, device.understates = False, 12
    found = looked(device)
    assert {plant.observed for plant in found.plants} == {0}
    assert found.arena == Mark(400, 388, SHARE, SHARE - 12)
    assert found.stack is not None
    assert found.stack.planted - found.stack.reported == found.stack.read - found.stack.after == 12


@pytest.mark.parametrize(("at", "canaries"), [(ARENA, (1, 0)), (BASE - 1, (1, 0)), (BASE + SHARE, (0, 1))])
def test_canaries_are_counted_by_their_bytes(at: int, canaries: tuple[int, int]) -> None:
    device = Target()
    device.ram[at] ^= 1
    assert looked(device).canaries == canaries
    device = Target()
    device.fill(ARENA, 8, CANARY ^ 0xFFFFFFFF)
    assert looked(device).canaries == (8, 0)


@pytest.mark.parametrize("left", [0, 1, 7, 8])
def test_little_paint_is_left_as_it_is(left: int) -> None:
    """A word is planted where there are eight at least."""
    device = Target()
    device.fill(BASE, SHARE - 4 * left, 0x01010101)
    device.fill(STACK + 4 * left, STACK_BYTES - 4 * left, 0x02020202)
    found = looked(device)
    whole = SHARE - 4 * left, STACK_BYTES - 4 * left
    assert found.arena is not None
    assert found.stack is not None
    assert (found.arena.read, found.stack.read) == (found.arena.after, found.stack.after) == whole
    planted = (found.arena.planted, found.stack.planted)
    assert planted == ((SHARE, STACK_BYTES - 16) if left == 8 else (0, 0))


def test_the_longest_stretch_of_paint_is_what_is_free() -> None:
    """Buffers that were never written leave paint too; every stretch is planted."""
    device = Target()
    device.fill(BASE, 4 * 20, ARENA_PAINT)
    device.fill(BASE + SHARE - 4 * 3, 4 * 3, 0x01010101)
    found = looked(device)
    free = SHARE // 4 - USED_WORDS - 3
    assert found.arena == Mark(SHARE - 4 * free, SHARE - 4 * free, SHARE, SHARE)


def test_a_stack_that_is_nothing_but_paint_was_not_used() -> None:
    device = Target()
    device.fill(STACK, STACK_BYTES, STACK_PAINT)
    found = looked(device).stack
    assert found == Mark(0, 0, STACK_BYTES // 2, STACK_BYTES // 2)


def test_a_stack_is_as_long_as_both_say() -> None:
    """What the firmware reports may be less than what the image has, and is cut to whole words."""
    device = Target()
    device.hello = replace(device.hello, stack_bytes=STACK_BYTES - 4 * STACK_USED + 7)
    found = looked(device).stack
    assert found is not None
    assert found.read == 4
    device = Target()
    device.hello = replace(device.hello, stack_bytes=2 * STACK_BYTES)
    assert looked(device).stack == looked(Target()).stack


@pytest.mark.parametrize(
    ("arena_bytes", "ratio", "share"), [(SHARE, 1, SHARE), (SHARE + 15, 1, SHARE), (SHARE // 2, 2, SHARE)]
)
def test_the_share_is_what_the_case_gives_in_whole_sixteens(arena_bytes: int, ratio: int, share: int) -> None:
    assert looked(Target(), arena_bytes=arena_bytes, ratio=ratio).share == share


def test_a_case_that_leaves_it_open_gets_the_whole_arena() -> None:
    device = type("Whole", (Target,), {"share": 0x1000})()
    found = looked(device, arena_bytes=None)
    assert (found.share, found.canaries) == (0x1000, (0, 0))


def test_what_an_image_does_not_tell_is_left_out() -> None:
    found = looked(Target(), ("hil_arena",))
    assert (found.canaries, found.arena, found.plants, found.arena_address, found.sizes.arena) == (
        None,
        None,
        (),
        0,
        None,
    )
    assert found.stack is not None
    for name in ("__hil_stack_low", "__hil_stack_top"):
        found = looked(Target(), (name,))
        assert (found.stack, found.sizes) == (None, Sizes(0x1000, None))
        assert found.arena is not None
    assert looked(Target(), ("hil_engine",)).engine is None


def test_memory_that_the_board_does_not_give_is_left_out() -> None:
    device = Target()
    device.blind = (range(MODEL, MODEL + 5), range(STACK, STACK + STACK_BYTES))
    found = looked(device)
    assert found.engine == Engine(MODEL, 5, BASE, SHARE, "")
    assert found.stack is None
    assert found.arena is not None
    device.blind = (range(ENGINE, ENGINE + 16),)
    assert looked(device) == MemoryTest(
        tried=True,
        blind=f"the board gives no memory to read: no memory at {ENGINE:#x}",
        sizes=Sizes(0x1000, STACK_BYTES),
    )


@pytest.mark.parametrize("place", [MODEL, STACK, ARENA])
def test_a_board_that_breaks_while_it_is_read_breaks_the_run(place: int) -> None:
    device = Target()
    read = device.read

    def broken(at: int, size: int) -> bytes:
        if at == place:
            raise BoardBroken("no probe")
        return read(at, size)

    device.read = broken
    with pytest.raises(BoardBroken, match="no probe"):
        looked(device)


@pytest.mark.parametrize("place", [MODEL, STACK, ARENA])
def test_a_firmware_that_ends_while_it_is_read_is_a_fault(place: int) -> None:
    device = Target()
    read = device.read

    def ended(at: int, size: int) -> bytes:
        if at == place:
            raise DeviceEnded("exit code 3")
        return read(at, size)

    device.read = ended
    found, run = _looked(device)
    assert found == MemoryTest()
    assert [each.status for each in run.faults] == [Status.RESET]
    assert run.faults[0].report != REPORT


def test_memory_is_not_looked_at_without_a_window() -> None:
    run = session_with(Target())
    run.groups = []
    assert memory_test.STEP.collect(run) == MemoryTest()
    run = session_with(Target())
    run.broken = True
    assert memory_test.STEP.collect(run) == MemoryTest()


# ---- the clock -------------------------------------------------------------------------------------------------------

ROUNDS = INSTRUCTIONS.units(np.array((1 << 24) + (1 << 20))).item() // 3


class Counted(SelfTesting):
    """Self-tests take their instructions, in ticks of 8 fifths; outside, some go by beside them.

    idle: units beside each request, one after the other, the last one for ever. exact: no idle time is counted.
    """

    counter, core_hz, exact, travels = "a count", 180_000_000, True, False
    idle: tuple[int, ...] = (1000,)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.requests = 0
        self.board.outside = self.outside

    @contextmanager
    def outside(self) -> Iterator[Any]:
        yield self

    def self_test(self, test: SelfTest, amount: int = 0, **options: Any) -> Record | None:
        answer = super().self_test(test, amount, **options)
        if answer is not self.shown:
            return answer
        units = 5000 * amount if test is SelfTest.SLEEP else 3 * amount + 50
        return replace(answer, ticks=(units // 8 * 2, units, units * 8 // 5), gate_ticks=units // 8)

    def plain(self, window: bytes, *, fresh: bool = True, sent: Callable[[], None] = lambda: None) -> Any:
        sent()
        return super().plain(window, fresh=fresh)

    def run(self, window: bytes, *, sent: Callable[[], None] = lambda: None, **options: Any) -> Record:
        sent()
        return super().run(window, **options)

    def spent(self, request: Callable[[Callable[[], None]], Any]) -> tuple[Any, Any]:
        calls: list[int] = []
        answer = request(lambda: calls.append(1))
        assert calls == [1]  # told when the request lay in the ring
        ticks = 0 if answer is None else answer.ticks
        inside = ticks if isinstance(ticks, int) else ticks[-1]
        beside = self.idle[min(self.requests, len(self.idle) - 1)]
        self.requests += 1
        return Spent(int(self.clock.units(np.array(inside))) + beside, self.exact, self.travels), answer


def clocked(device: Counted) -> ClockTest:
    return clock_test.STEP.collect(after_first_pass(device))


def test_what_a_wire_takes_is_that_of_the_quickest_request_without_work() -> None:
    """Beside the first spin, and for all attempts: it is no time that the firmware's clock should show."""
    device = Counted()
    device.exact, device.travels = False, True
    device.idle = (9_000_000, 8_000_000, 7_000_000, 7_500_000, 9_000_000)
    found = clocked(device).spin.counted
    assert {each.wire for each in found} == {7_000_050}
    assert found[0].outside == found[0].inside + 9_000_000


def test_the_clock_is_shown_a_long_spin_whole_requests_and_naps() -> None:
    device = Counted()
    found = clocked(device)
    spin = 3 * ROUNDS + 50
    window = len(device.tests[0][3])
    assert (found.tried, found.able, found.counter, found.core_hz) == (True, True, "a count", 180_000_000)
    assert (found.naps, found.slept) == (5, 25_000)
    assert found.spin.rounds == ROUNDS
    assert found.spin.units == tuple(
        INSTRUCTIONS.units(np.array([spin // 8, spin // 8 * 2, spin, spin * 8 // 5])).tolist()
    )
    assert found.spin.counted == (Timed(found.spin.units[-1], found.spin.units[-1] + 1000, True),)
    assert found.empty == Timed(50, 1050, True)
    assert found.plain == Timed(3125, 4125, True)  # 5,000 ticks
    assert found.run == Timed(1250, 2250, True)  # 2,000 ticks
    label = record_of(0).decision.label
    assert (found.window_bytes, found.prepared_bytes, found.reply_bytes) == (window, 240, 4 + len(label))
    assert [(test, amount) for test, amount, _, _ in device.tests] == [
        (SelfTest.SPIN, 0),
        (SelfTest.SPIN, ROUNDS),
        *[(SelfTest.SPIN, 0)] * 3,
        (SelfTest.SLEEP, 5),
    ]
    assert {padding for test, _, _, padding in device.tests if test is SelfTest.SPIN} == {device.asked[0].window}
    assert window == 480
    assert [asked.deadline_ticks for asked in device.asked if asked.what == "run"] == [777]


def test_without_an_outer_count_the_spin_is_the_firmware_s_own() -> None:
    device = Counted()
    device.counter = ""
    found = clocked(device)
    assert (found.counter, found.empty, found.plain, found.run) == ("", None, None, None)
    assert (found.spin.rounds, found.spin.counted, len(found.spin.units)) == (ROUNDS, (), 4)
    window = device.tests[0][3]
    assert device.tests == [
        *[(SelfTest.SPIN, rounds, 0, window) for rounds in (0, ROUNDS)],
        (SelfTest.SLEEP, 5, 0, b""),
    ]
    assert found.slept == 25_000
    assert device.requests == 0


def test_the_least_of_three_shortest_requests_counts() -> None:
    for idle in ((9, 900, 500, 700, 10), (9, 500, 900, 700, 10), (9, 900, 700, 500, 10)):
        device = Counted()
        device.idle = idle
        assert clocked(device).empty == Timed(50, 550, True)


def test_requests_that_seem_to_take_more_are_tried_again_a_few_times() -> None:
    """What no clock shows is there in every attempt; what a busy host brought in is not."""
    device = Counted()
    device.idle = (0, 0, 0, 0, 900_000, 900_000, 900_000, 12, 11)
    found = clocked(device)
    assert found.plain == Timed(3125, 3125 + 12, True)
    assert found.run == Timed(1250, 1250 + 11, True)
    device = Counted()
    device.idle = (0, 0, 0, 0, 900_000)
    clocked(device)
    assert [asked.what for asked in device.asked].count("run") == 8
    assert [asked.what for asked in device.asked].count("plain") == 8


def timed(beside: int, inside: int = 100) -> Timed:
    return Timed(inside, inside + beside, True)


def test_the_attempt_with_the_least_beside_it_counts() -> None:
    """Of as many as it takes to come within the room, and none after that."""
    left = iter((timed(40, 900), None, timed(60), timed(30), timed(10)))
    assert clock_test._least(timed(50), lambda: next(left), 30) == timed(30)
    assert next(left) == timed(10)
    assert clock_test._least(timed(50), lambda: pytest.fail("enough"), 50) == timed(50)
    assert clock_test._least(None, lambda: pytest.fail("there is none"), 50) is None


def test_a_count_with_idle_time_in_it_gets_longer_spins_until_it_shows_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_test, "_ENOUGH_S", -1.0)
    device = Counted(clock=CYCLES)
    device.exact = False
    base = ((1 << 24) + (1 << 20)) // 3
    device.idle = (10**9,)
    found = clocked(device)
    assert [amount for _, amount, _, _ in device.tests[1:-1]] == [base, 2 * base, 4 * base, 0]
    assert (found.spin.rounds, len(found.spin.counted)) == (4 * base, 3)
    assert (found.empty, found.plain, found.run) == (None, None, None)
    device = Counted(clock=CYCLES)
    device.exact, device.idle = False, (10**9, 100)
    found = clocked(device)
    assert (found.spin.rounds, len(found.spin.counted)) == (2 * base, 2)


def test_a_count_without_idle_time_is_taken_as_it_is() -> None:
    device = Counted()
    device.idle = (10**9,)
    assert len(clocked(device).spin.counted) == 1


def test_a_firmware_without_a_plain_way_has_no_plain_time() -> None:
    device = Counted()
    device.plain = lambda window, *, fresh=True, sent=lambda: None: sent()
    found = clocked(device)
    assert found.plain is None
    assert found.run is not None


def test_a_gate_whose_time_is_not_told_is_done_at_once() -> None:
    assert clock_test._readings(INSTRUCTIONS, replace(record_of(0), ticks=(8, 16, 24), gate_ticks=None)) == (
        0,
        5,
        10,
        15,
    )


def test_spins_are_no_more_than_sixteen_times_as_long() -> None:
    device = Counted(clock=CYCLES)
    device.exact, device.idle = False, (*[10**10] * 6, 0)
    found = clocked(device)
    base = ((1 << 24) + (1 << 20)) // 3
    assert [amount // base for _, amount, _, _ in device.tests[1:-2]] == [1, 2, 4, 8, 16, 16, 16]
    assert found.spin.rounds == 16 * base


def test_a_window_that_is_refused_takes_the_time_of_its_gate() -> None:
    device = Counted()
    run = after_first_pass(device)
    run.records.status[:] = Status.REJECTED
    run.groups = [[3]]
    found = clock_test.STEP.collect(run)
    assert found.run is not None
    assert found.run.inside == 0
    device = Counted()
    run = after_first_pass(device)
    run.groups = [[0]]
    refused = with_changes(0, status=Status.REJECTED, gate_ticks=800)
    device.script = {number: refused for number in range(100) if number not in (0, 1, 2, 3, 4)}
    found = clock_test.STEP.collect(run)
    assert found.run is not None
    assert found.run.inside == 500


@pytest.mark.parametrize("number", [1, 2])
def test_a_firmware_with_half_its_self_tests_is_an_error_of_the_link(number: int) -> None:
    with pytest.raises(LinkError, match="some self-tests and refuses others"):
        clocked(Counted({number: None}))


def test_a_clock_that_cannot_be_tried_is_told_from_a_firmware_that_breaks() -> None:
    assert clocked(Counted({0: None})) == ClockTest(tried=True)
    assert clocked(Counted({0: fault()})) == ClockTest()
    run = session_with(Counted())
    run.groups = []
    assert clock_test.STEP.collect(run) == ClockTest()
    run = session_with(Counted())
    run.broken = True
    assert clock_test.STEP.collect(run) == ClockTest()
