"""Each instrument is shown what it must detect, on the host's firmware, and one that is deaf is found out.

The firmware is the real one. A deaf instrument is one whose answer is changed on its way back, or a test that the
firmware is asked for in another way than it should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from native_session import imu_motion, native_board, native_image, with_vectors

from hil.board.native import NativeBoard
from hil.bundle import build_bundle
from hil.contract import CHECKS, judge
from hil.contract.damaged import BundleProbes
from hil.contract.instruments.clock import ClockTest
from hil.contract.instruments.guards import GuardTest, Trip
from hil.contract.instruments.link import LinkTest
from hil.contract.instruments.marks import MemoryTest
from hil.contract.types import Evidence, Outcome
from hil.contract.witnessed import Witnessed
from hil.device import Device
from hil.link.messages import SelfTest
from hil.records import Record
from hil.session import (
    bundle_probes,
    clock_test,
    first_pass,
    guard_test,
    link_test,
    memory_test,
    run_case,
    steps,
    witness,
)
from hil.session import run as session_run
from hil.session.step import Step

BY_ID = {check.id: check for check in CHECKS}
VECTORS = (0, 150)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeBoard]:
    with native_board(tmp_path_factory.mktemp("instruments")) as board:
        yield board


def session(board: NativeBoard, kind: type[Device], *further: Step[Any]) -> Evidence:
    """The first pass of two vectors and these steps, by a device of this kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "STEPS", (first_pass.STEP, *further))
        patch.setattr(session_run, "Device", kind)
        case = with_vectors(imu_motion(), VECTORS)
        case = replace(case, contracts=replace(case.contracts, warmup=0))
        return run_case(case, board, native_image()).evidence


def outcome(check: str, evidence: Evidence) -> Outcome:
    return judge(BY_ID[check], evidence).outcome


# ---- what is shown ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(board: NativeBoard) -> Evidence:
    further = (link_test.STEP, clock_test.STEP, memory_test.STEP, guard_test.STEP, bundle_probes.STEP, witness.STEP)
    return session(board, Device, *further)


# Not those that hold one clock of the host against another: a busy machine is no defect.
SOUND = (
    *(f"instruments.{name}" for name in ("link", "stack_guard", "null_guard", "symbols")),
    *(f"instruments.{name}" for name in ("canaries", "arena_mark", "stack_mark")),
    *("input.received", "execution.model", "execution.damaged"),
)


@pytest.mark.parametrize("check", SOUND)
def test_the_host_s_instruments_work(sound: Evidence, check: str) -> None:
    assert outcome(check, sound) is Outcome.PASSED


def test_a_link_is_shown_damage_repeats_and_another_order(sound: Evidence) -> None:
    assert [(probe.name, probe.observed) for probe in sound.section(LinkTest).probes] == [
        ("one bit of a window changed", "a reply to the next"),
        ("one bit of a CRC changed", "a reply to the next"),
        ("a frame cut in half", "a reply to the next"),
        ("a frame that is too long", "a reply to the next"),
        ("a request sent twice", "the same reply twice"),
        ("another request under the id of the last", "a reply with rejected: length"),
        ("the last request under another id", "a reply with rejected: stale"),
        ("two requests, and the first again", "replies to first, second, first"),
        ("the first again", "the record of its own window"),
    ]


def test_a_canary_is_damaged_at_each_of_its_four_ends(sound: Evidence) -> None:
    found = sound.section(MemoryTest)
    assert [(plant.place, plant.observed) for plant in found.plants if "later" not in plant.place] == [
        ("at the start of the canary below the arena", 1),
        ("directly below the arena", 1),
        ("directly above the arena", 2),
        ("at the end of the canary above the arena", 2),
    ]
    later = [plant for plant in found.plants if plant.place.endswith(", one window later")]
    assert [plant.observed for plant in later] == [0] * 4
    assert found.canaries == (0, 0)


def test_memory_is_what_the_image_and_the_case_say(sound: Evidence) -> None:
    """Pointers of the host are twice as wide, and so is the share of the arena."""
    found, image, case = sound.section(MemoryTest), native_image(), sound.case
    assert found.sizes.arena == 2 * sound.hello.arena_bytes
    assert found.sizes.stack == image.symbol("__hil_stack_top") - image.symbol("__hil_stack_low")
    assert found.share == 2 * case.arena_bytes // 16 * 16
    assert found.arena_address == image.symbol("hil_arena") + 1024
    engine = found.engine
    assert engine is not None
    assert (engine.model_bytes, engine.model_sha256) == (len(case.model.data), case.model.sha256)
    assert (engine.arena_address, engine.arena_bytes) == (found.arena_address, found.share)


def test_marks_are_read_before_and_behind_what_was_planted(sound: Evidence) -> None:
    arena, stack = sound.section(MemoryTest).arena, sound.section(MemoryTest).stack
    assert arena is not None
    assert stack is not None
    # The paint that is overwritten goes up to the end of the share, and of the stack to half of what was left of it.
    share = sound.section(MemoryTest).share
    assert (arena.planted, arena.reported) == (share, share)
    assert sound.records.arena_high_water.max() - 256 <= arena.read <= arena.after < share
    assert stack.read == stack.after == sound.records.stack_high_water.max()
    size = sound.hello.stack_bytes
    assert stack.planted == stack.reported == size - (size - stack.read) // 4 // 2 * 4


def test_guards_are_shown_each_way_to_go_wrong(sound: Evidence) -> None:
    found = sound.section(GuardTest)
    assert found.stack == Trip("written", "stack overflow", "agent")
    memory = "memory management fault"
    assert found.null == tuple(Trip(words, memory, "agent") for words in ("read", "written", "executed"))
    trip = found.deadline
    assert trip is not None
    assert trip.trip.test == "spun"
    assert trip.deadline == 10_000_000  # ns: the case has none for host time
    assert trip.rounds > trip.left


def test_a_trial_that_other_programs_slowed_down_is_no_defect_of_the_watchdog(board: NativeBoard) -> None:
    """The trial spin takes a tenth of a millisecond: the turn of one other program makes it look 100 times as long."""
    rounds: list[int] = []

    class Starved(Device):
        def self_test(self, test: SelfTest, amount: int = 0, **options: Any) -> Record | None:
            record = super().self_test(test, amount, **options)
            if test is not SelfTest.SPIN or record is None:
                return record
            rounds.append(amount)
            factor = 100 if len(rounds) == 1 else 1
            return replace(record, ticks=tuple(factor * tick for tick in record.ticks))

    evidence = session(board, Starved, guard_test.STEP)
    found = evidence.section(GuardTest).deadline
    assert found is not None
    assert found.trip.kind == "deadline missed"
    assert len(rounds) == 2  # the trial, and a spin that came back before its deadline
    assert found.rounds > rounds[-1]


def test_a_clock_is_shown_a_loop_and_naps(sound: Evidence) -> None:
    found = sound.section(ClockTest)
    assert (found.able, found.naps) == (True, 5)
    assert found.slept > 5 * 100_000  # ns
    assert len(found.spin.units) == 4
    assert found.spin.counted[-1].inside == found.spin.units[-1]
    assert list(found.spin.units) == sorted(found.spin.units)


def test_bundles_are_damaged_everywhere_and_the_whole_one_is_back(sound: Evidence, board: NativeBoard) -> None:
    assert [(probe.name, probe.observed) for probe in sound.section(BundleProbes).probes] == [
        ("no bundle at all", 1),
        ("one bit of the metadata", 7),
        ("one bit of the model", 7),
        ("the last byte of the hash", 7),
        ("a byte in the middle of the hash", 7),
        ("a byte of the padding before the model", 7),
        ("bytes behind the end", 0),
    ]
    hello = Device(board).hello
    assert (hello.bundle_status, hello.model_hash) == (0, sound.case.model.sha256)


# ---- what is deaf ----------------------------------------------------------------------------------------------------


def answering(**changes: Callable[[Record], Any]) -> type[Device]:
    """Records of windows with some fields changed."""

    class Answering(Device):
        def run(self, window: bytes, **options: Any) -> Record:
            record = super().run(window, **options)
            return replace(record, **{name: change(record) for name, change in changes.items()})

    return Answering


Asked = tuple[SelfTest, int, dict[str, Any]]  # a self-test, its amount and what else it is asked with


def asking(change: Callable[[SelfTest, int, dict[str, Any]], Asked]) -> type[Device]:
    """Self-tests that are asked for otherwise."""

    class Testing(Device):
        def self_test(self, test: SelfTest, amount: int = 0, **options: Any) -> Record | None:
            test, amount, options = change(test, amount, options)
            return super().self_test(test, amount, **options)

    return Testing


def harmless(*deaf: SelfTest) -> type[Device]:
    """These do nothing: as of a guard that is not there."""
    return asking(lambda test, amount, options: (SelfTest.SPIN, 0, {}) if test in deaf else (test, amount, options))


def unarmed() -> type[Device]:
    """No deadline is ever set."""
    return asking(lambda test, amount, options: (test, amount, {**options, "deadline_ticks": 0}))


def conversing(change: Callable[[list[bytes]], list[bytes]]) -> type[Device]:
    class Conversing(Device):
        def converse(self, data: bytes, enough: Callable[[list[bytes]], bool], timeout_s: float) -> list[bytes]:
            return change(super().converse(data, enough, timeout_s))

    return Conversing


def under_another_id(reply: bytes) -> bytes:
    number, *rest = cbor2.loads(reply)
    return cbor2.dumps([number ^ 1 << 20, *rest])


DEAF: dict[str, tuple[type[Device], Step[Any], str]] = {
    "canaries that are never reported": (
        answering(canaries=lambda _: 0),
        memory_test.STEP,
        "instruments.canaries",
    ),
    "the canary below alone": (
        answering(canaries=lambda record: record.canaries & 1),
        memory_test.STEP,
        "instruments.canaries",
    ),
    "a mark of the arena that never grows": (
        answering(arena_high_water=lambda record: min(record.arena_high_water, 5_200)),
        memory_test.STEP,
        "instruments.arena_mark",
    ),
    "a mark of the stack that is halved": (
        answering(stack_high_water=lambda record: record.stack_high_water // 2),
        memory_test.STEP,
        "instruments.stack_mark",
    ),
    "a mark of the stack that never grows": (
        answering(stack_high_water=lambda record: min(record.stack_high_water, 10_000)),
        memory_test.STEP,
        "instruments.stack_mark",
    ),
    "no guard of the stack": (harmless(SelfTest.STACK_GUARD), guard_test.STEP, "instruments.stack_guard"),
    "address 0 can be read": (harmless(SelfTest.NULL_READ), guard_test.STEP, "instruments.null_guard"),
    "address 0 can be written": (harmless(SelfTest.NULL_WRITE), guard_test.STEP, "instruments.null_guard"),
    "address 0 can be executed": (harmless(SelfTest.NULL_EXECUTE), guard_test.STEP, "instruments.null_guard"),
    "no deadline": (unarmed(), guard_test.STEP, "instruments.deadline"),
    "a clock that stops in sleep": (harmless(SelfTest.SLEEP), clock_test.STEP, "instruments.clock"),
    "a reply too many": (
        conversing(lambda replies: [under_another_id(replies[0]), *replies]),
        link_test.STEP,
        "instruments.link",
    ),
}


@pytest.mark.parametrize("name", DEAF)
def test_an_instrument_that_is_deaf_is_found_out(name: str, board: NativeBoard) -> None:
    kind, step, check = DEAF[name]
    evidence = session(board, kind, step)
    assert outcome(check, evidence) is Outcome.INVALID
    others = {sound for sound in SOUND if sound.startswith("instruments.")} - {check, "instruments.symbols"}
    assert Outcome.INVALID not in {outcome(other, evidence) for other in others}


@pytest.mark.parametrize("dropped", [0, -1])
def test_a_reply_that_is_missing_is_found_out(board: NativeBoard, dropped: int) -> None:
    """Of a request sent twice one reply is lost."""

    def change(replies: list[bytes]) -> list[bytes]:
        twice = [reply for reply in replies if replies.count(reply) > 1]
        kept = list(replies)
        if twice:
            kept.remove(twice[dropped])
        return kept

    evidence = session(board, conversing(change), link_test.STEP)
    assert outcome("instruments.link", evidence) is Outcome.INVALID


def test_a_window_that_came_otherwise_is_witnessed_whoever_sent_it(board: NativeBoard) -> None:
    """The last of the harness's own windows reaches the product with another CRC than it was sent with."""
    shared: dict[str, int] = {"windows": 0}

    class Told(Device):
        def _noted(self, record: Record, window: bytes) -> Record:
            shared["windows"] += 1
            last = shared["windows"] == len(VECTORS) + 1
            return super()._noted(replace(record, received=7) if last else record, window)

    evidence = session(board, Told, memory_test.STEP, witness.STEP)
    found = evidence.section(Witnessed)
    assert (found.damaged, found.received) == (1, shared["windows"])
    assert outcome("input.received", evidence) is Outcome.FAILED


def test_the_bundle_is_the_case_s(board: NativeBoard, tmp_path: Path) -> None:
    case = with_vectors(imu_motion(), VECTORS)
    other = replace(case, decide=replace(case.decide, threshold=case.decide.threshold + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "STEPS", (first_pass.STEP,))
        evidence = run_case(case, board, native_image(), bundle=build_bundle(other)).evidence
    assert [(each.contract, each.field) for each in evidence.bundle_differences] == [("decision", "decide.threshold")]
    assert outcome("decision.parameters", evidence) is Outcome.FAILED
