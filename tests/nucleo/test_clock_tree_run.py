"""A firmware that sets up another PLL than its ticks are taken for is found out by the chip's registers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from firmware_workbench import Edit, Workbench
from native_session import PROJECT, imu_motion, only_steps, with_vectors
from nucleo_session import TARGET, nucleo_image

from hil.board.config import kind_module, load_board
from hil.contract import checks_for, judge
from hil.contract.types import Evidence, Outcome
from hil.image.elf import Image
from hil.session import clock_test, core_test, gate_probes, guard_test, link_test, memory_test, plain, run_case

SLOWER = (
    Edit("port/stm32f429/clock.cpp", "kPllN = 180;", "kPllN = 168;"),
    Edit("port/stm32f429/clock.cpp", "static_assert(kPllVcoHz / kPllP == kCoreHz);\n", ""),
)
# What shows or rests on an instrument. All steps on this board: tests/board/test_boards_agree.py.
STEPS = [each.STEP for each in (plain, gate_probes, link_test, clock_test, core_test, memory_test, guard_test)]


def run(image: Image, folder: Path) -> Evidence:
    config = load_board("nucleo-virtual", [PROJECT / "boards"])
    with closing(kind_module(config).open_board(config, folder / "board.log")) as board, only_steps(*STEPS):
        return run_case(with_vectors(imu_motion(), [0, 1, 2]), board, image).evidence


@pytest.mark.slow
def test_another_rate_is_an_invalid_clock(workbench_of: Callable[[str], Workbench], tmp_path: Path) -> None:
    evidence = run(Image(workbench_of(TARGET).image(SLOWER, (), tmp_path)), tmp_path)
    results = {check.id: judge(check, evidence) for check in checks_for(evidence.case)}
    clock = results["instruments.clock"]
    assert clock.outcome is Outcome.INVALID
    (finding,) = clock.findings
    assert "180,000,000 Hz" in finding.expected
    assert finding.observed == "the clock tree makes 168,000,000 Hz"
    broken = {name for name, result in results.items() if name.startswith("instruments.") and result.findings}
    assert broken == {"instruments.clock"}
    assert results["latency.refused"].outcome is Outcome.INVALID


@pytest.mark.slow
def test_the_firmware_of_this_checkout_passes_every_instrument(tmp_path: Path) -> None:
    evidence = run(nucleo_image(), tmp_path)
    results = {check.id: judge(check, evidence) for check in checks_for(evidence.case)}
    instruments = {name: result.outcome for name, result in results.items() if name.startswith("instruments.")}
    assert instruments == dict.fromkeys(instruments, Outcome.PASSED)
    assert len(instruments) == 11
