"""Board files of the bench: read, refused with their fix, and joined with a hardware map and the environment."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from native_session import PROJECT
from nucleo_session import board_file

from hil.board import pyocd, virtual_nucleo
from hil.board.config import BoardConfig, load_board, read_board
from hil.errors import MissingTool, UsageError

NUCLEO = PROJECT / "boards" / "nucleo.toml"
MAP = """\
- {connected: true, id: "A1", platform: nucleo_f429zi, product: STM32 STLink, runner: pyocd, serial: /dev/ttyACM0}
- {connected: true, id: "B2", platform: nucleo_f429zi, product: STM32 STLink, runner: pyocd, baud: 9600}
"""


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIL_PROBE", raising=False)
    monkeypatch.delenv("HIL_HARDWARE_MAP", raising=False)


def nucleo(folder: Path, **change: str) -> BoardConfig:
    """nucleo.toml with some lines changed."""
    lines = NUCLEO.read_text().splitlines()
    for key, value in change.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} ") else line for line in lines]
    (folder / "nucleo.toml").write_text("\n".join(lines))
    return read_board(folder / "nucleo.toml")


def choices(config: BoardConfig, folder: Path) -> list[tuple[str, str, int]]:
    with pyocd.open_board(config, folder / "log") as board:
        return [(choice.probe, choice.serial, choice.baud) for choice in board.connection.choices]


def test_the_committed_board_measures_cycles_and_spares_its_flash(tmp_path: Path) -> None:
    with pyocd.open_board(load_board("nucleo", [PROJECT / "boards"]), tmp_path / "log") as board:
        assert board.clock.kind == "cycles"
        assert (board.clock.hz, board.clock.tick_hz, board.clock.deterministic) == (180_000_000, 180_000_000, False)
        assert not board.probe_bundles


def test_the_simulated_board_counts_instructions_and_is_probed_whole(tmp_path: Path) -> None:
    config = load_board("nucleo-virtual", [PROJECT / "boards"])
    with virtual_nucleo.open_board(config, tmp_path / "log") as board:
        assert board.clock.kind == "instructions"
        assert (board.clock.numerator, board.clock.denominator) == (1, 1)
        assert board.probe_bundles


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"connect_mode": '"sideways"'}, r"nucleo.toml: \[pyocd\]: connect_mode: "),
        ({"baud": "0"}, r"\[pyocd\]: baud: "),
        ({"swd_hz": '"fast"'}, r"\[pyocd\]: swd_hz: "),
        ({"pyocd_target": '"stm32f429zit6"'}, r"\[pyocd\]: pyocd_target: pyOCD does not know the target"),
        ({"pyocd_target": '"cortex_m"'}, r"\[pyocd\]: pyocd_target: pyOCD has no flash for the target 'cortex_m'"),
        ({"pyocd_target": '"mps2_an521"'}, r"\[pyocd\]: pyocd_target: pyOCD has no flash for the target 'mps2_an521'"),
        ({"device_id": "0x1000"}, r"\[pyocd\]: device_id: "),
        ({"device_id": "-1"}, r"\[pyocd\]: device_id: "),
        ({"ram": "[[-4, 16]]"}, r"\[pyocd\]: ram\.0\.0: "),
        ({"ram": "[[0, 16], [32, 0]]"}, r"\[pyocd\]: ram\.1\.1: "),
        ({"power_cycle": '"uhubctl \'a"'}, r"\[pyocd\]: power_cycle: is no command line: No closing quotation"),
        ({"serial": '"scoket://host:1"'}, r"\[pyocd\]: serial: pyserial does not know scoket://.*socket://"),
        ({"hardware_map": '"gone.yaml"'}, r"gone.yaml: .*No such file"),
    ],
)
def test_a_wrong_board_file_is_refused(tmp_path: Path, change: dict[str, str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        pyocd.open_board(nucleo(tmp_path, **change), tmp_path / "log")


def test_a_hardware_map_gives_ids_and_ports(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAP)
    assert choices(nucleo(tmp_path, hardware_map='"map.yaml"', baud="57600"), tmp_path) == [
        ("A1", "/dev/ttyACM0", 57600),
        ("B2", "", 9600),
    ]


def test_a_map_of_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(MAP.replace("A1", "C3"))
    monkeypatch.setenv("HIL_HARDWARE_MAP", str(tmp_path / "mine.yaml"))
    assert choices(nucleo(tmp_path, hardware_map='"gone.yaml"'), tmp_path)[0][0] == "C3"


def test_a_probe_of_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_PROBE", "b2")
    assert choices(nucleo(tmp_path, probe='"A1"'), tmp_path) == [("b2", "", 115200)]
    (tmp_path / "map.yaml").write_text(MAP)
    assert choices(nucleo(tmp_path, hardware_map='"map.yaml"'), tmp_path) == [("B2", "", 9600)]


def test_a_probe_that_is_named_is_looked_up_in_the_map(tmp_path: Path) -> None:
    """So each device of a pool keeps its own, whatever the map has beside it."""
    (tmp_path / "map.yaml").write_text(MAP)
    named = nucleo(tmp_path, hardware_map='"map.yaml"', probe='"b2"')
    assert choices(named, tmp_path) == [("B2", "", 9600)]
    assert choices(nucleo(tmp_path, hardware_map='"map.yaml"', probe='"C3"'), tmp_path) == [("C3", "", 115200)]


@pytest.mark.parametrize("port", ["socket://host:1", "RFC2217://host:1", "/dev/ttyACM0", "none"])
def test_ports_that_pyserial_knows_are_taken(tmp_path: Path, port: str) -> None:
    assert choices(nucleo(tmp_path, serial=f'"{port}"'), tmp_path)[0][1] == port


def test_doctor_looks_for_the_probe_that_a_run_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[list[str]] = []
    monkeypatch.setattr(pyocd, "examine_bench", wanted.append)
    pyocd.examine(nucleo(tmp_path))
    pyocd.examine(nucleo(tmp_path, probe='"A1"'))
    (tmp_path / "map.yaml").write_text(MAP)
    pyocd.examine(nucleo(tmp_path, hardware_map='"map.yaml"'))
    monkeypatch.setenv("HIL_PROBE", "b2")
    pyocd.examine(nucleo(tmp_path, probe='"A1"'))
    pyocd.examine(nucleo(tmp_path, hardware_map='"map.yaml"'))
    assert wanted == [[], ["A1"], ["A1", "B2"], ["b2"], ["B2"]]


def test_a_map_needs_a_platform(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[pyocd\]: platform: needed beside a hardware map\n  fix: "):
        pyocd.open_board(nucleo(tmp_path, hardware_map='"map.yaml"', platform='""'), tmp_path / "log")


@pytest.mark.parametrize(
    ("package", "module", "name", "extra"),
    [
        ("pyocd", pyocd, "nucleo", "bench"),
        ("serial", pyocd, "nucleo", "bench"),
        ("pyocd", virtual_nucleo, "nucleo-virtual", "virtual"),
        ("unicorn", virtual_nucleo, "nucleo-virtual", "virtual"),
    ],
)
def test_a_missing_package_is_told_with_what_installs_it(
    package: str, module: Any, name: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == package else find(wanted))
    with pytest.raises(
        MissingTool, match=rf"{package} is needed by board '{name}'.*\n  fix: pip install -e '\.\[{extra}\]'"
    ):
        module.open_board(load_board(name, [PROJECT / "boards"]), tmp_path / "log")


def test_the_environment_of_the_bench_does_not_reach_the_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIL_PROBE names real hardware."""
    monkeypatch.setenv("HIL_PROBE", "066CFF505750827567154312")
    config = load_board("bench", [board_file(tmp_path)])
    with virtual_nucleo.open_board(config, tmp_path / "log") as board:
        assert board.connection.choices[0].probe == ""
