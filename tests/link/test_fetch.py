"""Tensors come in pieces that fit into the firmware's replies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from native_session import imu_motion, native_device

from hil.device import Device
from hil.errors import AgentError


def refusing(device: Device, longest: int, detail: int) -> tuple[Callable[..., dict[str, Any]], list[int]]:
    """The link of a firmware that says no to pieces of more than `longest` bytes, and what it was asked for."""
    whole, asked = device._link.request, list[int]()

    def request(command: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        if "fetch" in command:
            asked.append(command["fetch"][2])
            if asked[-1] > longest:
                raise AgentError(4, detail, "the reply does not fit into the ring")
        return whole(command, *args, **kwargs)

    return request, asked


def test_a_small_buffer_for_replies_is_asked_for_smaller_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with native_device(tmp_path) as device:
        device.run(imu_motion().vectors.payload(3))
        tensor = device.prepared()
        assert len(tensor) == 240
        request, asked = refusing(device, 100, 100)
        monkeypatch.setattr(device._link, "request", request)
        assert device.prepared() == tensor
        assert asked == [240, 100, 100, 40]


@pytest.mark.parametrize("detail", [0, 240, 5000])
def test_a_refusal_that_helps_nobody_is_told(detail: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with native_device(tmp_path) as device:
        device.run(imu_motion().vectors.payload(3))
        request, asked = refusing(device, 100, detail)
        monkeypatch.setattr(device._link, "request", request)
        with pytest.raises(AgentError, match=rf"code 4, detail {detail}\)"):
            device.prepared()
        assert asked == [240]
