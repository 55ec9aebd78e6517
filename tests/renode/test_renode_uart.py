"""Firmware that is not ours on a machine of Renode that is not ours: script or platform of its owner, link over a UART.
Everywhere on a stand-in that runs the firmware on QEMU, and on Renode where one is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.board.config import BoardConfig, read_board
from hil.board.renode import open_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Outcome
from hil.errors import BoardError, UsageError
from hil.image.elf import Image
from hil.session import run_case

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "examples" / "c_bare"
STAND_IN = Path(__file__).with_name("renode_uart_stand_in.py")
RENODE = os.environ.get("HIL_RENODE") or shutil.which("renode") or ""
WITH_RENODE = pytest.mark.skipif(not RENODE, reason="no Renode here: HIL_RENODE or PATH names none")
VECTORS = 60

# An STM32F405 as far as the firmware needs it. 200 MIPS are 5 ns an instruction, a whole number of Renode's time units.
PLATFORM = """
flash: Memory.MappedMemory @ { sysbus 0x08000000; sysbus 0x00000000 }
    size: 0x100000

ram: Memory.MappedMemory @ sysbus 0x20000000
    size: 0x20000

nvic: IRQControllers.NVIC @ sysbus 0xE000E000
    priorityMask: 0xF0
    systickFrequency: 200000000
    IRQ -> cpu@0

cpu: CPU.CortexM @ sysbus
    cpuType: "cortex-m4"
    nvic: nvic
    PerformanceInMips: 200

usart1: UART.STM32_UART @ sysbus <0x40011000, +0x400>
    frequency: 1
    -> nvic@37
"""
SCRIPT = '''# As a user of Renode writes it: it loads the ELF that $bin names, and starts the machine.
using sysbus
mach create "sensor"
machine LoadPlatformDescription $ORIGIN/mine.repl
macro reset
"""
    sysbus LoadELF $bin
"""
runMacro $reset
start
'''


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with a short case, and the firmware for an STM32F405."""
    copy = tmp_path_factory.mktemp("uart") / "c_bare"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("build", "hil-out", "__pycache__"))
    (copy / "case" / "case.lock").unlink()
    with np.load(copy / "case" / "vectors.npz") as whole:
        np.savez(copy / "case" / "vectors.npz", **{name: whole[name][:VECTORS] for name in whole.files})
    return copy


@pytest.fixture(scope="module")
def firmware(example: Path) -> Image:
    return built(example)


def built(example: Path) -> Image:
    environment = {**os.environ, "PYTHON": sys.executable, "HIL": str(PROJECT), "PYTHONPATH": str(PROJECT)}
    command = ["make", "-C", str(example / "machines"), "MACHINE=netduinoplus2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Image(example / "build" / "netduinoplus2.elf")


@pytest.fixture(params=["stand-in", pytest.param("renode", marks=WITH_RENODE)])
def renode(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The `program`, `supported` and `timer_hz` of a board file."""
    if request.param == "renode":
        yield f"program = '{RENODE}'\nstart_s = 90.0\ntimer_hz = 200_000_000\n"
        return
    program = tmp_path / "renode-stand-in"
    call = f'exec {shlex.join([sys.executable, str(STAND_IN)])} "$@"'
    program.write_text(f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(PROJECT))}\n{call}\n")
    program.chmod(0o755)
    yield f"program = '{program}'\nsupported = 'Renode stand-in'\n"


def board_config(
    folder: Path, image: Image, renode: str, machine: str, firmware: str = 'bundle = "none"'
) -> BoardConfig:
    """machine: lines of [renode] that name it."""
    (folder / "mine.repl").write_text(PLATFORM, encoding="utf-8")
    (folder / "mine.resc").write_text(SCRIPT, encoding="utf-8")
    file = folder / "mine.toml"
    file.write_text(
        f'kind = "renode"\ntarget = "ours"\n[firmware]\nimage = "{image.path}"\n{firmware}\n'
        f"[timeout]\nboot_s = 10.0\nreply_s = 20.0\n[renode]\n{machine}\n{renode}",
        encoding="utf-8",
    )
    return read_board(file)


def verdicts(config: BoardConfig, image: Image, example: Path, folder: Path) -> dict[str, CheckResult]:
    case = load_case(example / "case")
    log = folder / "board.log"
    log.touch()
    with open_board(config, log) as board:
        evidence = run_case(case, board, image).evidence
    return {check.id: judge(check, evidence) for check in checks_for(case)}


def test_it_is_judged_on_the_machine_of_a_script(renode: str, firmware: Image, example: Path, tmp_path: Path) -> None:
    config = board_config(tmp_path, firmware, renode, 'script = "mine.resc"\nuart = "sysbus.usart1"')
    found = verdicts(config, firmware, example, tmp_path)
    assert [check for check, result in found.items() if result.outcome is Outcome.FAILED] == []
    for check in ("input.prepared", "execution.output", "execution.plain", "decision.answer", "instruments.clock"):
        assert found[check].outcome is Outcome.PASSED, f"{check}: {found[check]}"
    assert found["instruments.clock"].numbers["outer_counter"] == "Renode's count of executed instructions"


def test_a_platform_alone_is_enough_and_a_reset_starts_anew(renode: str, firmware: Image, tmp_path: Path) -> None:
    config = board_config(tmp_path, firmware, renode, 'platform = "mine.repl"\nuart = "sysbus.usart1"')
    log = tmp_path / "board.log"
    log.touch()
    with open_board(config, log) as board:
        board.provision(firmware, b"")
        pid = board.pid
        board.reset()
        assert board.pid == pid
        assert board.clock.kind == "instructions"


def test_a_hang_is_found_where_the_core_is(renode: str, example: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(example, copy)
    text = (copy / "src" / "main.c").read_text(encoding="utf-8")
    assert text.count("if (!hil_agent_poll(&agent))") == 1
    (copy / "src" / "main.c").write_text(text.replace("if (!hil_agent_poll(&agent))", "if (agent.answered)"))
    image = built(copy)
    config = board_config(tmp_path, image, renode, 'script = "mine.resc"\nuart = "sysbus.usart1"')
    log = tmp_path / "board.log"
    log.touch()
    with open_board(config, log) as board, pytest.raises(BoardError) as caught:
        board.provision(image, b"")
    assert "not one byte came from sysbus.usart1" in str(caught.value)
    assert "main.c" in str(caught.value)


def test_a_uart_that_the_machine_does_not_have_is_named(renode: str, firmware: Image, tmp_path: Path) -> None:
    config = board_config(tmp_path, firmware, renode, 'script = "mine.resc"\nuart = "sysbus.usart7"')
    log = tmp_path / "board.log"
    log.touch()
    with open_board(config, log) as board, pytest.raises(BoardError, match=r"there is no UART 'sysbus\.usart7'"):
        board.provision(firmware, b"")


@pytest.mark.parametrize(
    ("machine", "firmware_lines", "said"),
    [
        ('uart = "sysbus.usart1"', 'bundle = "none"', "script and platform are missing: give one of them"),
        ('script = "mine.resc"', 'bundle = "none"', "platform and clock_hz and flash and ram: missing"),
        ('script = "my.resc"\nuart = "sysbus.usart1"', 'bundle = "none"', "script: no such file"),
        ('script = "mine.resc"\nuart = "sysbus.usart1"', "", 'say bundle = "none" in'),
    ],
)
def test_what_a_board_file_lacks_is_named(
    machine: str, firmware_lines: str, said: str, firmware: Image, tmp_path: Path
) -> None:
    config = board_config(tmp_path, firmware, "", machine, firmware_lines)
    with pytest.raises(UsageError, match=said):
        open_board(config, tmp_path / "board.log")
