"""A firmware whose clock ticks at another rate than its board is no board to measure on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from native_session import imu_motion, native_board, native_image

from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import LinkError


def test_a_rate_that_the_firmware_does_not_confirm_ends_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with native_board(tmp_path) as board:
        board.provision(native_image(), build_bundle(imu_motion()))
        right = board.clock
        assert Device(board).hello.clock_hz == right.tick_hz
        board.reset()
        monkeypatch.setattr(board, "clock", replace(right, tick_hz=right.tick_hz // 2))
        with pytest.raises(LinkError, match="ticks at 1,000,000,000 Hz, board native expects 500,000,000 Hz"):
            Device(board)
