"""`hil board new --from`: what other tools' files say becomes a board file; what cannot be carried over is listed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hil.bench.settings import Settings as BenchSettings
from hil.board.config import check_settings, read_board
from hil.board.pool import devices
from hil.cli import main

# Keys as the CMSIS-Toolbox documents them ("Run and Debug Management").
CBUILD_RUN = """\
cbuild-run:
  generated-by: csolution version 2.14.1
  solution: ../Blinky.csolution.yml
  target-type: NUCLEO-F429ZI
  compiler: GCC
  device: STMicroelectronics::STM32F429ZITx
  device-pack: Keil::STM32F4xx_DFP@3.0.0
  output:
    - file: Blinky/Debug/Blinky.hex
      type: hex
      load: image
    - file: Blinky/Debug/Blinky.axf
      info: generate by Blinky.Debug+NUCLEO-F429ZI
      type: elf
      load: image+symbols
  system-resources:
    memory:
      - {name: IROM1, access: rx, start: 0x08000000, size: 0x00200000, default: true}
      - {name: IRAM1, access: rwx, start: 0x20000000, size: 0x00030000, default: true}
      - {name: IRAM2, access: rw, start: 0x10000000, size: 0x00010000}
  debugger:
    name: ST-Link@pyOCD
    protocol: swd
    clock: 10000000
    connect: under-reset
    gdbserver:
      - port: 3333
"""
MAP = """\
- {connected: true, id: "A1", platform: nucleo_f429zi/stm32f429xx, product: STLink, runner: x, serial: /dev/ttyACM0}
- {connected: true, id: "B2", platform: nucleo_f429zi, product: STLink, runner: x, serial: /dev/ttyACM1, baud: 9600}
- {connected: false, id: "C3", platform: frdm_k64f, serial: /dev/ttyACM2}
"""
PYOCD = """\
target_override: stm32f429xi
frequency: 8000000
auto_unlock: false
probes:
  066EFF555453774987133142:
    connect_mode: under-reset
    smart_flash: false
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "boards").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(project: Path, name: str, text: str, *options: str) -> dict[str, Any]:
    """The board file, which the harness takes."""
    (project / name).write_text(text)
    assert main(["board", "new", "mine", "--from", name, *options]) == 0
    config = read_board(project / "boards" / "mine.toml")
    for each in [device.config for device in devices(config)] or [config]:
        if config.kind == "pyocd":
            check_settings(each, BenchSettings)
    document: dict[str, Any] = tomllib.loads((project / "boards" / "mine.toml").read_text())
    return document


def test_a_cbuild_run_file_gives_chip_wiring_memory_and_elf(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = made(project, "Blinky.cbuild-run.yml", CBUILD_RUN, "--clock-hz", "180000000")
    assert (board["kind"], board["target"]) == ("pyocd", "NUCLEO-F429ZI")
    assert board["pyocd"] == {
        "pyocd_target": "stm32f429zitx",
        "connect_mode": "under-reset",
        "swd_hz": 10_000_000,
        "ram": [[0x2000_0000, 0x3_0000], [0x1000_0000, 0x1_0000]],
        "clock_hz": 180_000_000,
    }
    assert board["firmware"] == {"image": "../Blinky/Debug/Blinky.axf", "bundle": "none"}
    left = [line for line in capsys.readouterr().out.splitlines() if "not carried over" in line]
    assert [line.split(": ", 1)[1] for line in left] == [
        "device-pack: Keil::STM32F4xx_DFP@3.0.0",
        "debugger.name: ST-Link@pyOCD",
        "debugger.gdbserver",
        "system-resources.memory entry 1 (IROM1): pyOCD's own map of the chip has the flash",
        "output entry 1: Blinky/Debug/Blinky.hex",
    ]


def test_each_key_says_what_it_means_and_where_it_comes_from(project: Path) -> None:
    made(project, "Blinky.cbuild-run.yml", CBUILD_RUN, "--clock-hz", "180000000")
    text = (project / "boards" / "mine.toml").read_text()
    assert "swd_hz = 10_000_000                       # rate of the debug port; from debugger.clock\n" in text
    assert "[[0x20000000, 0x00030000], [0x10000000, 0x00010000]]" in text


def test_a_wire_that_is_not_swd_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = CBUILD_RUN.replace("protocol: swd", "protocol: jtag")
    made(project, "Blinky.cbuild-run.yml", text, "--clock-hz", "180000000")
    assert "not carried over: debugger.protocol: jtag" in capsys.readouterr().out


def test_a_hardware_map_gives_a_pool_of_serial_ports(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = made(project, "map.yml", MAP)
    assert (board["kind"], board["target"]) == ("serial", "nucleo_f429zi")
    assert board["pool"] == [{"port": "/dev/ttyACM0"}, {"port": "/dev/ttyACM1", "baud": 9600}]
    said = capsys.readouterr().out
    assert "not carried over: product of each entry" in said
    assert "not carried over: runner of each entry" in said


def test_with_a_chip_a_hardware_map_gives_a_pool_of_probes(project: Path) -> None:
    board = made(project, "map.yml", MAP, "--target", "stm32f429xi", "--clock-hz", "180000000")
    assert board["pyocd"] == {"pyocd_target": "stm32f429xi", "clock_hz": 180_000_000}
    assert board["pool"] == [
        {"probe": "A1", "serial": "/dev/ttyACM0"},
        {"probe": "B2", "serial": "/dev/ttyACM1", "baud": 9600},
    ]


def test_a_pyocd_file_gives_chip_wiring_and_probe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = made(project, "pyocd.yaml", PYOCD, "--clock-hz", "180000000")
    assert board["pyocd"] == {
        "pyocd_target": "stm32f429xi",
        "swd_hz": 8_000_000,
        "clock_hz": 180_000_000,
        "probe": "066EFF555453774987133142",
        "connect_mode": "under-reset",
    }
    said = capsys.readouterr().out
    assert "not carried over: auto_unlock: False" in said
    assert "not carried over: probes.066EFF555453774987133142.smart_flash: False" in said


def test_several_probes_of_a_pyocd_file_are_a_pool(project: Path) -> None:
    board = made(project, "pyocd.yaml", PYOCD + "  B2:\n", "--clock-hz", "180000000")
    assert [row["probe"] for row in board["pool"]] == ["066EFF555453774987133142", "B2"]
    assert "connect_mode" not in board["pool"][1]


@pytest.mark.parametrize(
    ("name", "text", "options", "problem"),
    [
        ("a.cbuild-run.yml", CBUILD_RUN, (), "does not say at what rate the core runs\n  fix: give it with --clock-hz"),
        ("a.cbuild-run.yml", CBUILD_RUN.replace("clock: 10000000", "clock: fast"), (), "debugger.clock: 'fast' cannot"),
        (
            "a.cbuild-run.yml",
            CBUILD_RUN.replace("under-reset", "sideways"),
            (),
            "debugger.connect: there is no 'sideways'",
        ),
        ("a.cbuild-run.yml", "cbuild-run:\n  target-type: X\n", (), "device: is missing\n  fix: give the chip"),
        ("a.cbuild-run.yml", "cbuild-run: 1\n", (), "cbuild-run: is no map"),
        (
            "map.yml",
            MAP.replace("false", "true"),
            (),
            "connected boards of 2 platforms: frdm_k64f, nucleo_f429zi\n  fix",
        ),
        ("map.yml", MAP.replace(", serial: /dev/ttyACM0", ""), (), "serial: is missing\n  fix: name its port"),
        ("pyocd.yaml", "frequency: 1\n", (), "target_override: is missing\n  fix: write it; or give the chip"),
        ("pyocd.yaml", PYOCD, ("--id", "B2"), "probes: none has 'B2' in its id"),
        ("other.yml", "a: 1\n", (), "is none of the files that can be read\n  fix: name a *.cbuild-run.yml"),
        ("other.yml", "a: [", (), "fix: name a readable YAML file"),
    ],
)
def test_what_makes_no_board_is_refused_and_leaves_no_file(
    name: str, text: str, options: tuple[str, ...], problem: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / name).write_text(text)
    assert main(["board", "new", "mine", "--from", name, *options]) == 2
    assert problem in capsys.readouterr().err
    assert not (project / "boards" / "mine.toml").exists()


def test_a_file_that_is_there_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(project, "map.yml", MAP)
    before = (project / "boards" / "mine.toml").read_bytes()
    (project / "pyocd.yaml").write_text(PYOCD)
    assert main(["board", "new", "mine", "--from", "pyocd.yaml", "--clock-hz", "1"]) == 2
    assert "is there already, and is left alone" in capsys.readouterr().err
    assert (project / "boards" / "mine.toml").read_bytes() == before


def test_a_name_that_is_a_path_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "map.yml").write_text(MAP)
    assert main(["board", "new", "../mine", "--from", "map.yml"]) == 2
    assert "is no name of a board" in capsys.readouterr().err
