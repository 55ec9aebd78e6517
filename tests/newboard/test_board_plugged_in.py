"""`hil board new --probe`: what is plugged in becomes a board file that the harness takes. USB is simulated here."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion
from wire import wire

from hil.bench.probe import Bench
from hil.board import pyocd
from hil.board.config import BoardConfig, load_board, read_board
from hil.board.virtual_nucleo import VirtualBench
from hil.bundle import build_bundle
from hil.cli import main
from hil.device import Device
from hil.doctor import examine
from hil.errors import UsageError
from hil.image.build import build
from hil.image.elf import Image
from hil.need import State
from hil.newboard.plugged import Port, look
from hil.newboard.text import write_board
from hil.newboard.types import Wanted

NUMBER = "0669FF3031454D42531337C2"
PORT = Port("/dev/ttyACM7", "0483:374b", NUMBER, "STM32 STLink")
OTHER = Port("/dev/ttyUSB0", "10c4:ea60", "0001", "CP2102 USB to UART Bridge Controller")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with closing(VirtualBench((), None, NUMBER)) as made:
        yield made


@pytest.fixture
def empty() -> Iterator[Bench]:
    with closing(VirtualBench(["no-probe"], None)) as made:
        yield made


def nucleo() -> BoardConfig:
    return load_board("nucleo", [PROJECT / "boards"])


@pytest.mark.slow
def test_a_nucleo_becomes_a_board_that_runs(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that our own board file knows of such a board."""
    config = write_board(tmp_path, "mine", look(Wanted("mine"), bench, [PORT, OTHER], [nucleo()]))
    assert (config.kind, config.target) == ("pyocd", "stm32f429")
    assert config.settings["probe"] == NUMBER
    assert "serial" not in config.settings  # the board file finds the probe's own port
    copied = ("pyocd_target", "board_id", "device_id", "clock_hz", "clock_tree", "ram")
    assert {key: config.settings[key] for key in copied} == {key: nucleo().settings[key] for key in copied}
    monkeypatch.setattr(pyocd, "UsbBench", lambda _: bench)
    monkeypatch.setattr(pyocd.cycle_clock, "require", lambda *_: None)  # a simulation counts no cycles
    with pyocd.open_board(config, tmp_path / "log") as board:
        board.begin_log(tmp_path / "log")
        board.provision(Image(build("stm32f429", PROJECT)), build_bundle(imu_motion()))
        assert Device(board).hello.target == "stm32f429"


def test_a_probe_on_a_board_that_we_never_saw_needs_the_rate_of_its_core(tmp_path: Path, bench: Bench) -> None:
    with pytest.raises(UsageError, match="at what rate the core runs\n  fix: give it with --clock-hz"):
        look(Wanted("mine"), bench, [])
    config = write_board(tmp_path, "mine", look(Wanted("mine", clock_hz=180_000_000), bench, []))
    assert config.settings == {
        "pyocd_target": "stm32f429xi",
        "board_id": "0796",
        "clock_hz": 180_000_000,
        "probe": NUMBER,
        "serial": "none",
    }
    assert config.own_model
    assert "# NUCLEO-F429ZI" not in config.file.read_text()
    assert "pyOCD, for board id 0796" in config.file.read_text()


def test_a_probe_is_chosen_by_its_id(bench: Bench) -> None:
    assert look(Wanted("mine", probe="c2"), bench, [], [nucleo()]).settings["probe"] == NUMBER
    with pytest.raises(UsageError, match="no debug probe has 'BAD' in its id"):
        look(Wanted("mine", probe="BAD"), bench, [])


def test_two_probes_on_boards_of_one_kind_are_a_pool(tmp_path: Path) -> None:
    with closing(VirtualBench(["two-probes"], None, NUMBER)) as bench:
        config = write_board(tmp_path, "mine", look(Wanted("mine"), bench, [], [nucleo()]))
    assert len(config.pool) == 2
    assert config.pool[0] == {"probe": NUMBER, "serial": "none"} or config.pool[1]["probe"] == NUMBER


def test_without_a_probe_the_only_serial_port_is_the_board(empty: Bench) -> None:
    found = look(Wanted("mine"), empty, [OTHER])
    assert (found.kind, found.settings["port"]) == ("serial", "/dev/ttyUSB0")
    assert found.origins["port"] == f"/dev/ttyUSB0 ({OTHER.description}, USB 10c4:ea60, serial number 0001)"


def test_several_serial_ports_are_listed(empty: Bench) -> None:
    with pytest.raises(UsageError, match=r"2 serial ports:\n    /dev/ttyACM7 .*\n    /dev/ttyUSB0 .*\n  fix: .*--port"):
        look(Wanted("mine"), empty, [PORT, OTHER])


def test_nothing_plugged_in_is_told(empty: Bench) -> None:
    with pytest.raises(UsageError, match="neither a debug probe nor a USB serial port is plugged in\n  fix: "):
        look(Wanted("mine"), empty, [])


def test_a_port_is_called_as_it_stays_called(tmp_path: Path, empty: Bench) -> None:
    (tmp_path / "ttyACM3").touch()
    (tmp_path / "by-id").mkdir()
    link = tmp_path / "by-id" / "usb-STM32-if02"
    link.symlink_to(tmp_path / "ttyACM3")
    found = look(Wanted("mine", port=str(tmp_path / "ttyACM3")), empty, [], by_id=tmp_path / "by-id")
    assert found.settings["port"] == str(link)


def test_doctor_takes_what_was_written_for_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pty of this process, which no other has open."""
    (tmp_path / "boards").mkdir()
    monkeypatch.chdir(tmp_path)
    ours, theirs = pty.openpty()
    try:
        port = os.ttyname(theirs)
        assert main(["board", "new", "mine", "--probe", "--port", port, "--baud", "921600"]) == 0
        assert read_board(tmp_path / "boards" / "mine.toml").settings["baud"] == 921_600
        assert main(["doctor", "--board", "mine"]) == 0, capsys.readouterr().out
    finally:
        os.close(ours)
        os.close(theirs)
    said = capsys.readouterr().out
    assert "hil doctor --board mine" in said
    assert "all that this board needs is here" in said
    assert main(["board", "new", "mine", "--probe", "--port", port]) == 2
    assert "is there already" in capsys.readouterr().err


def test_ping_finds_the_firmware_by_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").mkdir()
    monkeypatch.chdir(tmp_path)
    with wire(tmp_path, imu_motion()) as made:
        assert main(["board", "new", "mine", "--probe", "--port", made.port]) == 0
        assert main(["ping", "--board", "mine"]) == 0
    assert "imu_motion" in capsys.readouterr().out


def test_a_firmware_of_others_needs_none_of_our_build_tools(tmp_path: Path, empty: Bench) -> None:
    config = write_board(tmp_path, "mine", look(Wanted("mine", port="socket://bench:1"), empty, []))
    rows = {row.name: row for row in examine(config, path=str(tmp_path))}  # with no program at all
    assert rows["cmake"].state is State.OPTIONAL
    assert rows["socket://bench:1"].state is State.OK
