"""`hil ping` behind a debug probe: it attaches to the firmware that runs, and neither writes nor resets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness_process import observe
from native_session import imu_motion
from nucleo_session import board_file, nucleo_image

from hil.bench.target import CoreState
from hil.board.config import load_board
from hil.board.virtual_nucleo import open_board
from hil.bundle import build_bundle
from hil.cli import main
from hil.device import Device
from hil.errors import BoardError
from hil.image.elf import Image


def no_image() -> Image:
    raise AssertionError("a board that runs already needs no image")


@pytest.mark.slow
def test_the_firmware_is_left_as_it_was_found(tmp_path: Path) -> None:
    with open_board(load_board("bench", [board_file(tmp_path)]), tmp_path / "log") as board:
        board.begin_log(tmp_path / "log")
        board.provision(nucleo_image(), build_bundle(imu_motion()))
        before = Device(board).hello
        first, second = board.ping(no_image), board.ping(no_image)
        assert first.boot == second.boot == before.boot  # a restart would have counted
        assert (first.case, first.target) == ("imu_motion", "stm32f429")
        assert first.model_hash == imu_motion().model.sha256


@pytest.mark.slow
def test_a_firmware_that_broke_down_is_told_with_its_link(tmp_path: Path) -> None:
    """RAM holds the link still."""
    with open_board(load_board("bench", [board_file(tmp_path, "lockup:60000000")]), tmp_path / "log") as board:
        board.begin_log(tmp_path / "log")
        board.provision(nucleo_image(), build_bundle(imu_motion()))
        target, link = board.connection.target(), nucleo_image().symbol("_SEGGER_RTT")
        observe(lambda: target.state() is CoreState.LOCKUP)
        with pytest.raises(BoardError, match=rf"its core is in lockup, and its link lies at {link:#010x}\n  next: "):
            board.ping(no_image)


def test_an_empty_chip_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its vectors are 0xFFFFFFFF, so that the core locks up."""
    board_file(tmp_path / "boards")
    monkeypatch.chdir(tmp_path)
    assert main(["ping", "--board", "bench"]) == 3
    said = capsys.readouterr().err
    assert "hello: no agent answers on board bench: its core is in lockup, and no link is in its RAM" in said
    assert "`pytest --board=bench` does" in said
