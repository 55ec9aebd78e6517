"""The deadline of the emulated board: it ends what takes too long, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion

from hil.board.config import load_board
from hil.board.qemu import QemuBoard, open_board
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import DeviceFault
from hil.image.build import build
from hil.image.elf import Image
from hil.records import Status

ENOUGH_TICKS, TOO_FEW_TICKS = 1_000_000, 100_000  # a window of imu_motion takes about 850,000
ENOUGH_S = ENOUGH_TICKS / 25_000_000


@pytest.fixture
def board(tmp_path: Path) -> QemuBoard:
    with open_board(load_board("qemu", [PROJECT / "boards"]), tmp_path / "board.log") as board:
        board.provision(Image(build("mps2-an386", PROJECT)), build_bundle(imu_motion()))
        yield board


def test_a_window_that_takes_too_long_leaves_a_fault(board: QemuBoard) -> None:
    with pytest.raises(DeviceFault, match="deadline missed in stage invoke"):
        Device(board).run(imu_motion().vectors.payload(0), deadline_ticks=TOO_FEW_TICKS)


def test_time_between_windows_does_not_count(board: QemuBoard) -> None:
    """An idle emulator keeps the host's time, so this pause is several deadlines long."""
    device = Device(board)
    for _ in range(3):
        record = device.run(imu_motion().vectors.payload(0), deadline_ticks=ENOUGH_TICKS)
        assert record.status == Status.DONE
        time.sleep(5 * ENOUGH_S)
