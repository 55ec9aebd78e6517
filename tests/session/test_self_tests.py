"""Each self-test of the firmware does what docs/link.md says, on the host and on an emulated core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from firmware_copy import FirmwareCopy
from native_session import PROJECT, imu_motion, native_board, native_device, with_vectors

from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.device import Device
from hil.errors import DeviceFault
from hil.image.build import build
from hil.image.elf import Image
from hil.link.messages import SelfTest, selftest_command
from hil.session import run_case

GUARDED = {
    SelfTest.STACK_GUARD: "stack overflow",
    SelfTest.NULL_READ: "memory management fault",
    SelfTest.NULL_WRITE: "memory management fault",
    SelfTest.NULL_EXECUTE: "memory management fault",
}


@pytest.fixture(scope="module", params=["native", "qemu"])
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "native":
        with native_device(folder) as device:
            yield device
        return
    config = load_board(request.param, [PROJECT / "boards"])
    with kind_module(config).open_board(config, folder / "board.log") as board:
        board.provision(Image(build(config.target, PROJECT)), build_bundle(imu_motion()))
        yield Device(board)


@pytest.mark.parametrize("test", GUARDED, ids=lambda test: test.name.lower())
def test_what_is_guarded_ends_in_its_fault(test: SelfTest, device: Device) -> None:
    with pytest.raises(DeviceFault) as fault:
        device.self_test(test)
    assert fault.value.fault.kind == GUARDED[test]  # type: ignore[attr-defined]
    device.restart()


def test_a_spin_past_its_deadline_is_stopped_and_tells_how_far_it_came(device: Device) -> None:
    rounds, deadline_ticks = 40_000_000, device.board.clock.tick_hz // 100
    with pytest.raises(DeviceFault) as fault:
        device.self_test(SelfTest.SPIN, rounds, deadline_ticks=deadline_ticks)
    assert fault.value.fault.kind == "deadline missed"  # type: ignore[attr-defined]
    left = int.from_bytes(device.board.memory.read(device.board.image.symbol("hil_spin_left"), 4), "little")
    assert 0 < left < rounds
    device.restart()


def test_the_clock_goes_on_while_the_firmware_sleeps(device: Device) -> None:
    naps = 5
    record = device.self_test(SelfTest.SLEEP, naps)
    assert record is not None
    assert record.ticks[2] > naps * device.board.clock.tick_hz // 10_000


def test_the_masks_are_read_back_where_there_are_any(device: Device) -> None:
    record = device.self_test(SelfTest.MASKS)
    assert record is not None
    assert (record.core is not None and record.core.masked) == (device.board.config.kind == "qemu")


def test_memory_is_read_and_written_past_the_firmware(device: Device) -> None:
    base = device.board.image.symbol("hil_arena")
    with device.board.outside() as outside:
        assert outside.memory.read(base, 8) == bytes.fromhex("69e2b4d7" * 2)
        outside.memory.write(base + 5, b"\x00")
    assert device.run(imu_motion().vectors.payload(0)).canaries == 1
    assert device.run(imu_motion().vectors.payload(0)).canaries == 0


def test_what_a_request_takes_is_counted_from_outside(device: Device) -> None:
    def beside() -> tuple[int, bool]:
        with device.board.outside() as outside:
            spent, record = outside.spent(lambda sent: device.self_test(SelfTest.SPIN, 800_000, sent=sent))
        assert record is not None
        inside = -(-record.ticks[2] * device.board.clock.numerator // device.board.clock.denominator)
        return spent.units - inside, spent.exact

    rest, exact = min(beside() for _ in range(5))
    assert rest >= 0
    if exact:  # the rest is the link's, and what a busy host lets the firmware wait for its bytes
        assert rest < 100_000
    assert device.run(imu_motion().vectors.payload(0)).output


def test_a_request_that_a_busy_host_sent_twice_is_not_taken_for_the_counted_one(device: Device) -> None:
    """The firmware answers one request at a time, and where it is counted from outside it stands still behind that."""
    spin = selftest_command(SelfTest.SPIN, 400_000, 0, b"")
    for _ in range(20):
        device._link.request(spin, 60.0, repeat_s=1e-5)
    assert device.counters.repeats > 0
    device.settle()
    with device.board.outside() as outside:
        _, record = outside.spent(lambda sent: device.self_test(SelfTest.SPIN, 1000, sent=sent))
    assert record is not None


# A schema without the requests, and without what a record tells besides: what a firmware of before them answers.
TELLS_NOTHING = "enum { HIL_TELLS_RECEIVED = 0, HIL_TELLS_GATE = 0, HIL_TELLS_CORE = 0, HIL_TELLS_HEAP = 0 };"
OLDER = {
    "link/link.cddl": (
        'plain-command     = { "plain": plain-arguments }',
        'plain-command     = { "plain": plain-arguments, "other": u32 }',
    ),
    "agent/hil_agent.h": (
        "enum { HIL_TELLS_RECEIVED = 1, HIL_TELLS_GATE = 2, HIL_TELLS_CORE = 4, HIL_TELLS_HEAP = 8 };",
        TELLS_NOTHING,
    ),
    "agent/agent.c": ("if (product->test == NULL ||", "if (product->test != NULL ||"),
}


@pytest.mark.slow
def test_a_firmware_that_cannot_be_tested_is_not_judged_and_nothing_else_changes(
    firmware_copy: FirmwareCopy, tmp_path: Path
) -> None:
    image = firmware_copy.image("older", OLDER)
    with native_board(tmp_path) as board:
        evidence = run_case(with_vectors(imu_motion(), list(range(0, 500, 50))), board, image).evidence
    silent = {
        *(f"instruments.{name}" for name in ("clock", "stages", "deadline", "stack_guard", "null_guard", "core")),
        *("input.received", "execution.plain", "execution.core", "execution.arena", "latency.refused"),
    }
    results = {check.id: judge(check, evidence) for check in checks_for(evidence.case)}
    judged = {name for name, result in results.items() if result.outcome is not Outcome.NOT_JUDGED}
    assert not judged & silent
    assert judged >= {"instruments.link", "instruments.canaries", "instruments.arena_mark", "instruments.symbols"}
    assert not {results[name].outcome for name in judged} & {Outcome.FAILED, Outcome.INVALID}
