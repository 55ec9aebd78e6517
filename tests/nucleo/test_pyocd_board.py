"""The board behind pyOCD, on the simulated bench: memory, log, registers, reset, clock, progress."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pyocd.probe.stlink.usb
import pytest
from native_session import imu_motion
from nucleo_session import board_file, nucleo_image

from hil.bench import cycle_clock
from hil.board.config import check_settings, load_board
from hil.board.pyocd import PyocdBoard
from hil.board.virtual_nucleo import Settings, VirtualBench, open_board
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import BoardBroken, BoardError
from hil.records import ClockSpec, Status

pytestmark = pytest.mark.slow

FREE_RAM = 0x2002_F000  # behind everything that the firmware uses


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PyocdBoard]:
    """One board for the tests that leave it running."""
    folder = tmp_path_factory.mktemp("bench")
    with open_board(load_board("bench", [board_file(folder)]), folder / "board.log") as board:
        board.begin_log(folder / "board.log")
        board.provision(nucleo_image(), build_bundle(imu_motion()))
        yield board


def test_memory_of_any_place_and_size(running: PyocdBoard) -> None:
    data = bytes(range(1, 200))
    for offset in range(4):
        for size in (1, 2, 3, 4, 5, 8, 63, 64, 65, 199):
            running.memory.write(FREE_RAM - 8, bytes(16 + len(data) + 8))
            running.memory.write(FREE_RAM + offset, data[:size])
            around = running.memory.read(FREE_RAM - 8, size + 16)
            assert around == bytes(8 + offset) + data[:size] + bytes(8 - offset)
            assert running.memory.read(FREE_RAM + offset, size) == data[:size]


def test_a_place_without_memory_is_named_and_does_no_harm(running: PyocdBoard) -> None:
    with pytest.raises(BoardError, match=r"read of 4 bytes at 0x60000000: .*there is no memory"):
        running.memory.read(0x6000_0000, 4)
    running.check()
    assert Device(running).hello.bundle_status == 0


def test_looking_at_the_registers_lets_the_firmware_go_on(running: PyocdBoard) -> None:
    device = Device(running)
    device.restart()
    found = running.core_registers()
    assert nucleo_image().locate(found["pc"]) != "?"
    assert 0x1000_0000 < found["sp"] <= 0x1001_0000
    assert found["cfsr"] == 0
    assert "the core was found here" in running.postmortem().text
    assert device.run(imu_motion().vectors.payload(0)).status == Status.DONE  # DeviceReset, had it restarted


def test_a_reset_is_a_new_start_of_the_same(running: PyocdBoard) -> None:
    device = Device(running)
    before = device.hello
    after = device.restart()
    assert after.boot == before.boot + 1
    assert after.bundle_hash == before.bundle_hash


def test_the_firmware_says_which_bundle_it_has(running: PyocdBoard) -> None:
    hello = Device(running).hello
    assert (hello.target, hello.clock_hz, hello.bundle_status) == ("stm32f429", 180_000_000, 0)


def test_the_log_of_each_case_is_its_own(running: PyocdBoard, tmp_path: Path) -> None:
    before = running.log
    running.begin_log(tmp_path / "case.log")
    assert before.read_text().startswith("hil firmware ")
    size = before.stat().st_size
    running.provision(nucleo_image(), build_bundle(imu_motion()))
    running.begin_log(before.with_name("next.log"))
    assert (tmp_path / "case.log").read_text().startswith("hil firmware ")
    assert before.stat().st_size == size
    running.reset()


def test_what_is_held_is_not_written_again(running: PyocdBoard) -> None:
    told: list[str] = []
    running.progress = lambda what, done, total: told.append(what)
    bundle = build_bundle(imu_motion())
    running.provision(nucleo_image(), bundle)
    assert told == []
    running.provision(nucleo_image(), bundle[:-1] + bytes([bundle[-1] ^ 1]))
    assert set(told) == {"flash bundle"}
    running.provision(nucleo_image(), bundle)
    assert Device(running).hello.bundle_status == 0


def test_programming_tells_its_progress(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with open_board(load_board("bench", [board_file(tmp_path)]), tmp_path / "log") as board:
        board.progress = lambda what, done, total: told.append((what, done, total))
        board.provision(nucleo_image(), build_bundle(imu_motion()))
    assert {what for what, _, _ in told} == {"flash image", "flash bundle"}
    assert all(0 <= done <= total == 100 for _, done, total in told)
    assert len(told) > 20


def test_a_clock_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    """The simulation as if it were silicon: it does not run at 10 kHz, whatever the host."""
    config = load_board("bench", [board_file(tmp_path)])
    settings = check_settings(config, Settings)
    clock = ClockSpec("cycles", "cycles", 1, 1, 10_000, False, 10_000)
    with (
        PyocdBoard(config, [settings], clock, VirtualBench((), None), tmp_path / "log") as board,
        pytest.raises(BoardError, match=r"clock: the cycle counter of board bench runs at .* MHz .*\n  next: mend"),
    ):
        board.provision(nucleo_image(), build_bundle(imu_motion()))


def test_a_clock_that_cannot_be_measured_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of the clock then, so nobody is sent to mend it."""
    config = load_board("bench", [board_file(tmp_path)])
    settings = check_settings(config, Settings)
    clock = ClockSpec("cycles", "cycles", 1, 1, 180_000_000, False, 180_000_000)
    monkeypatch.setattr(cycle_clock, "measure", lambda *_: cycle_clock.Frequency(180.1e6, 0.0125, 0.025))
    wanted = r"clock: could not be measured to 1 % \(reads took 25 ms\).*\n  next: run again"
    with PyocdBoard(config, [settings], clock, VirtualBench((), None), tmp_path / "log") as board:
        with pytest.raises(BoardError, match=wanted):
            board.provision(nucleo_image(), build_bundle(imu_motion()))
        monkeypatch.setattr(cycle_clock, "measure", lambda *_: cycle_clock.Frequency(180.1e6, 0.001, 0.001))
        board.provision(nucleo_image(), build_bundle(imu_motion()))


def test_a_simulation_that_dies_is_a_broken_board(tmp_path: Path) -> None:
    with open_board(load_board("bench", [board_file(tmp_path)]), tmp_path / "log") as board:
        board.provision(nucleo_image(), build_bundle(imu_motion()))
        os.kill(next(iter(board.connection.bench.friends())), signal.SIGKILL)
        with pytest.raises(BoardBroken, match=r"(?s)run: board bench was lost: .*gone: .* was killed by SIGKILL"):
            board.memory.read(FREE_RAM, 4)
        with pytest.raises(BoardBroken, match="run: board bench was lost"):  # told at once, every time
            board.provision(nucleo_image(), build_bundle(imu_motion()))


def test_no_real_usb_bus_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def real_bus(*_: object, **__: object) -> None:
        raise AssertionError("the real bus was looked at")

    monkeypatch.setattr(pyocd.probe.stlink.usb, "usb_find", real_bus)
    bench = VirtualBench((), None)
    try:
        assert len(bench.probes()) == 1
        assert pyocd.probe.stlink.usb.usb_find is real_bus  # and it was given back
    finally:
        bench.close()
