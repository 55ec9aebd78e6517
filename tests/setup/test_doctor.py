"""`hil doctor`: what it finds is what is there, on this machine and on poorer ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hil.board.config import BoardConfig, load_board
from hil.board.qemu_settings import TOOLS
from hil.doctor import Row, State, examine, is_fine, table
from hil.image.toolchain import ARM_TOOLS, BUILD_TOOLS, HOST_GCC

PROJECT = Path(__file__).resolve().parents[2]
SYSTEM_NAMES = {tool.name for tool in (*BUILD_TOOLS, *ARM_TOOLS, HOST_GCC, TOOLS["arm"])}


def board(name: str) -> BoardConfig:
    return load_board(name, [PROJECT / "boards"])


def system_rows(rows: list[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows if row.name in SYSTEM_NAMES}


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_this_machine_can_run_both_boards() -> None:
    for name in ("qemu", "native"):
        rows = system_rows(examine(board(name)))
        assert all(row.is_fine for row in rows.values()), table(list(rows.values()))


def test_versions_are_those_the_tools_tell() -> None:
    rows = system_rows(examine(board("qemu")))
    for name in ("cmake", "ninja", "cargo", "qemu-system-arm"):
        told = subprocess.run([name, "--version"], check=True, capture_output=True, text=True).stdout
        assert rows[name].found in told.split("\n")[0]
    compiler = subprocess.run(["arm-none-eabi-g++", "-dumpfullversion"], check=True, capture_output=True, text=True)
    assert compiler.stdout.startswith(rows["arm-none-eabi-g++"].found)


def test_empty_machine_lacks_what_the_qemu_board_needs(tmp_path: Path) -> None:
    rows = examine(board("qemu"), str(tmp_path))
    states = {name: row.state for name, row in system_rows(rows).items()}
    assert states.pop("g++") is State.OPTIONAL
    assert set(states.values()) == {State.MISSING}
    assert not is_fine(rows)


def test_empty_machine_lacks_what_the_native_board_needs(tmp_path: Path) -> None:
    states = {name: row.state for name, row in system_rows(examine(board("native"), str(tmp_path))).items()}
    assert {name for name, state in states.items() if state is State.MISSING} == {"g++", "cmake", "ninja", "cargo"}


def test_the_advice_is_one_command_for_all_packages(tmp_path: Path) -> None:
    program(tmp_path, "apt-get", "exit 1")
    rows = list(system_rows(examine(board("native"), str(tmp_path))).values())
    advice = [line for line in table(rows, str(tmp_path)).splitlines() if "sudo" in line]
    assert advice == ["  sudo apt-get install -y --no-install-recommends cargo cmake g++ ninja-build"]


def test_old_tool_is_called_too_old(tmp_path: Path) -> None:
    program(tmp_path, "cmake", "echo cmake version 3.16.3")
    row = system_rows(examine(board("qemu"), str(tmp_path)))["cmake"]
    assert (row.found, row.state) == ("3.16.3", State.OLD)


def test_compiler_without_its_libraries_is_not_enough(tmp_path: Path) -> None:
    real = shutil.which("arm-none-eabi-g++")
    program(tmp_path, "arm-none-eabi-g++", f'exec {real} -nostdinc++ "$@"')
    rows = system_rows(examine(board("qemu"), str(tmp_path)))
    states = [rows[name].state for name in ("arm-none-eabi-g++", "newlib", "libstdc++ (arm)")]
    assert states == [State.OK, State.OK, State.MISSING]


def test_broken_tool_is_missing(tmp_path: Path) -> None:
    program(tmp_path, "ninja", "exit 127")
    assert system_rows(examine(board("qemu"), str(tmp_path)))["ninja"].state is State.MISSING


@pytest.mark.parametrize("package", ["numpy", "pytest", "tflite-micro", "zcbor", "cbor2"])
def test_python_packages_are_held_against_the_project_file(package: str) -> None:
    row = next(row for row in examine(board("qemu")) if row.name == package)
    assert row.state is State.OK
    assert row.found
    assert row.needed
