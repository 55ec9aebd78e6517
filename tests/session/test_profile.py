"""The operators of one profiled window: those of the model, their time within invoke, nothing told that is not so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from firmware_copy import Edits, FirmwareCopy
from native_session import PROJECT, imu_motion, native_board, native_device, native_image, only_steps, with_vectors

from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.latency import stage_units
from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.repeats import run_differences
from hil.contract.scores import ScoreProbes
from hil.contract.sent import GateProbes
from hil.contract.types import Evidence, Outcome
from hil.device import Device
from hil.errors import DeviceFault, LinkError
from hil.image.build import build
from hil.image.elf import Image
from hil.model.graph import read_graph
from hil.records import Status
from hil.session import profile, run_case

NONE = -1


def told(evidence: Evidence) -> tuple[tuple[OperatorTicks, ...], int]:
    profile = evidence.section(OperatorProfile)
    return profile.operators, profile.vector


def operators_of(case: Case) -> list[str]:
    return [operator.name for operator in read_graph(case.model.data, case.model.path).operators]


def run_on(board: str, case: Case, folder: Path) -> Evidence:
    config = load_board(board, [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT))
    with kind_module(config).open_board(config, folder / "board.log") as opened:
        return run_case(case, opened, image).evidence


def run_native(case: Case, folder: Path, image: Image | None = None) -> Evidence:
    with native_board(folder) as board:
        return run_case(case, board, image or native_image()).evidence


def failed(evidence: Evidence) -> set[str]:
    """Checks of execution and decision that fail: those that any board judges."""
    asked = [check for check in checks_for(evidence.case) if check.contract in ("execution", "decision")]
    return {check.id for check in asked if judge(check, evidence).outcome == Outcome.FAILED}


def few(count: int = 6) -> Case:
    return with_vectors(imu_motion(), range(count))


# ---- what is told


@pytest.mark.parametrize(
    "board", ["native", *(pytest.param(board, marks=pytest.mark.slow) for board in ("qemu", "nucleo-virtual"))]
)
def test_the_operators_are_those_of_the_model_in_its_order(board: str, tmp_path: Path) -> None:
    case = few()
    evidence = run_on(board, case, tmp_path)
    operators, vector = told(evidence)
    assert evidence.records.status[vector] == Status.DONE
    assert [operator.operator for operator in operators] == operators_of(case)
    assert [operator.index for operator in operators] == list(range(len(operators)))
    assert all(operator.units >= 0 for operator in operators)
    assert failed(evidence) <= {"decision.accuracy"}
    if evidence.clock.deterministic:  # the interpreter's own share is all that lies between the operators
        (invoke,) = stage_units(evidence, np.array([vector]))[:, 1]
        assert 0.999 * invoke < sum(operator.units for operator in operators) < invoke


def test_a_profile_leaves_the_next_windows_as_they_were(tmp_path: Path) -> None:
    """Told by instructions: a kernel that were still timed would take more."""
    case = imu_motion()
    config = load_board("qemu", [PROJECT / "boards"])
    with kind_module(config).open_board(config, tmp_path / "board.log") as board:
        board.provision(Image(build(config.target, PROJECT)), build_bundle(case))
        device = Device(board)
        window = case.vectors.payload(0)
        device.run(window)  # the gate remembers no window before the first, which takes another time
        before = device.run(window)
        seen = [device.profile(window), device.profile(window)]
        after = device.run(window)
    assert (before.ticks, before.output) == (after.ticks, after.output)
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[0].operators == seen[1].operators
    assert before.ticks[1] < seen[0].record.ticks[1] < 1.002 * before.ticks[1]
    assert device.inferences == 5


@pytest.mark.slow
def test_a_profile_is_not_held_to_a_deadline_that_only_a_window_without_one_keeps(tmp_path: Path) -> None:
    """The least deadline of this window, found by halving, is too short for its profile; the session gives it more."""
    case = with_vectors(imu_motion(), [0] * 4)
    window, config = case.vectors.payload(0), load_board("qemu", [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT))
    with kind_module(config).open_board(config, tmp_path / "board.log") as board:
        board.provision(image, build_bundle(case))
        device = Device(board)

        def keeps(request: Callable[..., object], deadline_ticks: int) -> bool:
            try:
                request(window, deadline_ticks=deadline_ticks)
            except DeviceFault:
                device.restart()
                return False
            return True

        misses, least = 800_000, 1_000_000
        while least - misses > 64:
            middle = (misses + least) // 2
            misses, least = (misses, middle) if keeps(device.run, middle) else (middle, least)
        least += 100  # the gate may remember a window before
        assert not keeps(device.profile, least)
        tight = replace(case, deadline={"instructions": int(board.clock.units(np.array(least)))})
        with only_steps(profile.STEP):
            evidence = run_case(tight, board, image).evidence
    assert [fault for fault in evidence.faults if fault.vector == 0] == []
    assert evidence.section(OperatorProfile).operators


# ---- which vector


def rejected() -> list[int]:
    reject = imu_motion().vectors.reject
    assert reject is not None
    return [index for index, reason in enumerate(reject) if reason in ("range", "flat")]


def test_the_first_vector_that_was_done_is_profiled(tmp_path: Path) -> None:
    with only_steps(profile.STEP):
        evidence = run_native(with_vectors(imu_motion(), [*rejected()[:2], 0, 1]), tmp_path)
    assert evidence.section(OperatorProfile).vector == 2


def test_in_streams_it_is_one_that_met_no_decision_state(tmp_path: Path) -> None:
    """Vector 2 is the first that was done in its stream."""
    bad = rejected()[0]
    evidence = run_native(with_vectors(imu_motion(), [bad, bad, 0, 1], [0, 1, 1, 0]), tmp_path)
    assert evidence.section(OperatorProfile).vector == 3
    assert not run_differences(evidence)


def test_without_a_vector_that_was_done_there_are_none(tmp_path: Path) -> None:
    with only_steps(profile.STEP):
        evidence = run_native(with_vectors(imu_motion(), rejected()), tmp_path)
    assert told(evidence) == ((), NONE)


def test_a_bundle_that_is_refused_has_none(tmp_path: Path) -> None:
    case = few()
    with native_board(tmp_path) as board:
        evidence = run_case(case, board, native_image(), bundle=bytes(4096)).evidence
    assert told(evidence) == ((), NONE)


# ---- other firmware


@pytest.fixture(scope="module")
def image_with(firmware_copy: FirmwareCopy) -> Callable[[str], Image]:
    return cache(lambda name: firmware_copy.image(name, FIRMWARE[name]))


PROFILED = "  Run(window, record);\n  EngineProfileStop();\n"
FIRMWARE: dict[str, Edits] = {
    # A schema without the request: what a firmware of before it answers.
    "older": {"link/link.cddl": ('{ "profile": run-arguments }', '{ "profile": run-arguments, "other": u32 }')},
    "without": {
        "testmode/test_mode.cpp": (
            "  return &interface_;\n",
            "  interface_.profile = nullptr;\n  return &interface_;\n",
        )
    },
    "few": {
        "tflm/operator_log.h": ("kCapacity = 128;", "kCapacity = 5;"),
        "agent/agent.c": ("OPERATORS_A_PAGE 32u", "OPERATORS_A_PAGE 2u"),
    },
    "trapping": {"tflm/engine_2020.cpp": ("  operator_log->Note(time);\n", "  __builtin_trap();\n")},
    "backwards": {
        "tflm/engine_2020.cpp": ("  time.end = port::ClockNow();\n", "  time.end = time.begin - 1;\n"),
    },
    "slow clock": {
        "tflm/engine_2020.cpp": ("  time.end = port::ClockNow();\n", "  time.end = 2000000000;\n"),
    },
    "other output": {
        "testmode/test_mode.cpp": (PROFILED, PROFILED + "  const_cast<uint8_t*>(record->output.data)[0] ^= 1;\n")
    },
    "canaries": {"testmode/test_mode.cpp": (PROFILED, PROFILED + "  record->canaries = 2;\n")},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["older", "without"])
def test_a_firmware_that_cannot_tell_is_no_error(name: str, image_with: Callable[[str], Image], tmp_path: Path) -> None:
    image = image_with(name)
    evidence = run_native(few(), tmp_path, image)
    assert told(evidence) == ((), NONE)
    assert not evidence.faults
    assert failed(evidence) == set()
    assert evidence.section(GateProbes).probes
    assert evidence.section(ScoreProbes).probes
    with native_device(tmp_path, image=image) as device:
        assert device.profile(imu_motion().vectors.payload(0)) is None


@pytest.mark.slow
def test_operators_beyond_the_room_are_counted_and_the_first_are_told(
    image_with: Callable[[str], Image], tmp_path: Path
) -> None:
    """In pages of two, of which the last is not full."""
    with native_device(tmp_path, image=image_with("few")) as device:
        profile = device.profile(imu_motion().vectors.payload(0))
    assert profile is not None
    assert profile.ran == 6
    assert [time.operator for time in profile.operators] == operators_of(imu_motion())[:5]


@pytest.mark.slow
def test_a_fault_in_the_profiled_run_is_told_like_any_other(image_with: Callable[[str], Image], tmp_path: Path) -> None:
    evidence = run_native(few(), tmp_path, image_with("trapping"))
    (fault,) = evidence.faults
    assert (fault.vector, fault.status, fault.report.stage) == (0, Status.FAULT, "invoke")
    assert "TimedInvoke" in fault.report.text
    assert (evidence.records.status == Status.DONE).all()  # its record came before
    assert failed(evidence) == {"execution.fault"}
    assert told(evidence) == ((), NONE)
    assert evidence.section(GateProbes).probes  # the run goes on


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), [("backwards", "the clock went from"), ("slow clock", "to [0-9,]+ ticks")])
def test_readings_that_contradict_each_other_are_an_error(
    name: str, text: str, image_with: Callable[[str], Image], tmp_path: Path
) -> None:
    with pytest.raises(LinkError, match=text):
        run_native(few(), tmp_path, image_with(name))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("replays", "passes", "kind", "attempt", "check"),
    [(3, 2, "pass", 2, "execution.replay"), (3, 1, "replay", 3, "execution.repeat")],
)
def test_a_profiled_run_with_another_output_is_a_finding_and_tells_no_operators(
    replays: int, passes: int, kind: str, attempt: int, check: str, image_with: Callable[[str], Image], tmp_path: Path
) -> None:
    case = replace(few(), contracts=replace(few().contracts, replays=replays, passes=passes))
    evidence = run_native(case, tmp_path, image_with("other output"))
    assert told(evidence) == ((), NONE)
    (difference,) = evidence.section(OperatorProfile).differences
    assert (difference.vector, difference.kind, difference.attempt, difference.field) == (0, kind, attempt, "output")
    assert failed(evidence) == {check}


@pytest.mark.slow
def test_canaries_of_the_profiled_run_count(image_with: Callable[[str], Image], tmp_path: Path) -> None:
    evidence = run_native(few(), tmp_path, image_with("canaries"))
    assert evidence.other_canaries == 2
    assert failed(evidence) == {"execution.canaries"}
