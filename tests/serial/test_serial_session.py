"""A whole session over a wire: the verdicts of the native board, but for what needs memory; a clock that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from firmware_copy import FirmwareCopy
from native_session import imu_motion, native_board, native_image, only_steps, with_vectors
from serial_board import board_file, wired_board, wired_device
from wire import wire

from hil.board.config import read_board
from hil.board.serial import SerialBoard, examine, open_board
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.errors import BoardError, UsageError
from hil.image.elf import Image
from hil.need import State
from hil.records import Status
from hil.session import clock_test, run_case

pytestmark = pytest.mark.slow

# What is seen in memory, or in a fault record.
BLIND = {
    *("instruments.deadline", "instruments.stack_guard", "instruments.null_guard"),
    *("instruments.canaries", "instruments.arena_mark", "instruments.stack_mark"),
}


def case() -> Case:
    return with_vectors(imu_motion(), range(0, 300, 30))


def verdicts(evidence: Evidence) -> Mapping[str, CheckResult]:
    return {check.id: judge(check, evidence) for check in checks_for(case())}


@pytest.mark.parametrize("kind", ["pty", "socket"])
def test_the_verdicts_are_those_of_the_same_firmware_with_its_memory(kind: str, tmp_path: Path) -> None:
    with native_board(tmp_path) as native:
        wanted = verdicts(run_case(case(), native, native_image()).evidence)
    with wired_board(tmp_path, kind, case(), bundle_probes=True) as (wire, board):
        result = run_case(case(), board, native_image())
    seen = verdicts(result.evidence)
    for check, verdict in seen.items():
        if check in BLIND:
            assert verdict.outcome is Outcome.NOT_JUDGED
            assert verdict.reason.startswith("this board gives no memory")
        else:
            assert verdict.outcome == wanted[check].outcome, (check, verdict.reason, verdict.findings)
    assert (
        seen["execution.model"].reason == "the firmware's own word: this board gives no memory to read the model from"
    )
    assert seen["execution.damaged"].outcome is Outcome.PASSED
    assert seen["instruments.clock"].numbers["outer_counter"] == "host time"
    assert result.link.damaged == 0  # a repeat only says that the machine was busy
    assert wire.flashes > 2  # damaged bundles, and the whole one again


def clock_of(board: SerialBoard, image: Image) -> CheckResult:
    with only_steps(clock_test.STEP):
        return verdicts(run_case(case(), board, image).evidence)["instruments.clock"]


@pytest.mark.parametrize(("edit", "says"), [("/ 2", "(-"), ("* 2", "(+")])
def test_a_clock_at_another_rate_than_it_says_is_a_broken_instrument(
    firmware_copy: FirmwareCopy, tmp_path: Path, edit: str, says: str
) -> None:
    """Nothing but host time bounds it on such a board."""
    edits = {"port/native/port.cpp": ("<uint32_t>(nanoseconds)", f"<uint32_t>(nanoseconds {edit})")}
    image = firmware_copy.image("clock", edits)
    with wired_board(tmp_path, "socket", case(), image=image) as (_, board):
        result = clock_of(board, image)
    assert result.outcome is Outcome.INVALID
    assert any(says in finding.observed for finding in result.findings), result.findings


def test_the_rate_of_the_clock_is_the_hellos_or_confirmed_by_it(tmp_path: Path) -> None:
    with wired_board(tmp_path, "socket", case()) as (_, board):
        board.provision(native_image(), b"")
        assert (board.clock.hz, board.clock.tick_hz) == (1_000_000_000, 1_000_000_000)


def test_a_board_that_nothing_resets_runs_all_that_needs_no_start(tmp_path: Path) -> None:
    with wired_board(tmp_path, "socket", case(), reset=None) as (wire, board):
        evidence = run_case(case(), board, native_image()).evidence
    assert (wire.flashes, wire.resets) == (1, 0)
    assert [
        each for each in verdicts(evidence).values() if each.outcome is not Outcome.NOT_JUDGED and each.findings
    ] == []


def test_a_port_of_another_machine_has_the_lines_of_its_own(tmp_path: Path) -> None:
    """RFC 2217 carries baud rate and DTR, by which this board is reset."""
    with wired_device(tmp_path, "rfc2217", reset="dtr") as (wire, device):
        assert (wire.resets, device.hello.case) == (1, "imu_motion")
        boot = device.hello.boot
        vectors = imu_motion().vectors
        assert device.run(vectors.payload(0)).status is Status.DONE
        assert device.restart().boot > boot
        assert device.run(vectors.payload(10)).status is Status.DONE
        assert device.counters.damaged == 0
    assert wire.resets == 2


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"port": "loop://"}, "port: loop:// gives back what is sent"),
        ({"port": "nonsense://x"}, "port: pyserial does not know nonsense://"),
        ({"port": ""}, "port: "),
        ({"reset": "dtr", "port": "socket://127.0.0.1:1"}, "reset: a socket has no line DTR"),
        ({"reset": " "}, 'reset: is empty: write a command, or "none"'),
        ({"flash": "echo '"}, "flash: is no command line"),
        ({"boud": 9600}, "boud: unknown key\n  fix: write 'baud'"),
        ({"clock": "instructions"}, "clock: "),
    ],
)
def test_a_wrong_table_is_refused_before_anything_starts(tmp_path: Path, keys: dict[str, object], says: str) -> None:
    with wire(tmp_path, imu_motion(), "socket") as made:
        config = read_board(board_file(made, **keys))
    with pytest.raises(UsageError) as caught:
        open_board(config, tmp_path / "log")
    assert says in str(caught.value)
    assert str(config.file) in str(caught.value)


def test_a_terminal_has_no_line_to_reset_by(tmp_path: Path) -> None:
    with (
        wired_board(tmp_path, "pty", reset="rts", flash=None) as (_, board),
        pytest.raises(BoardError, match=r"reset: port .* does not set RTS: .*\n  next: name a command in p"),
    ):
        board.provision(native_image(), b"")


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    for keys, says in (
        ({"flash": "false {elf}"}, r"flash: false /.*: ended with code 1"),
        ({"reset": "false"}, "reset: "),
    ):
        folder = tmp_path / says[:4]
        folder.mkdir()
        with wired_board(folder, "socket", **keys) as (_, board), pytest.raises(BoardError, match=says):
            board.provision(native_image(), b"x")


def test_the_doctor_says_whether_the_port_is_there_and_free(tmp_path: Path) -> None:
    with wire(tmp_path, imu_motion()) as made:
        config = read_board(board_file(made))
        assert [row.state for row in examine(config)] == [State.OK]
        made.unplug()
        assert [row.state for row in examine(config)] == [State.MISSING]
