"""`hil ping` says hello to a firmware that runs already, and leaves it as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from native_session import imu_motion
from serial_board import board_file
from wire import wire

from hil.cli import main


@pytest.mark.parametrize("kind", ["pty", "socket"])
def test_it_prints_what_the_firmware_tells(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").mkdir()
    monkeypatch.chdir(tmp_path)
    with wire(tmp_path, imu_motion(), kind) as made:
        board_file(made).rename(tmp_path / "boards" / "wired.toml")
        assert main(["ping", "--board", "wired"]) == 0
        assert (made.flashes, made.resets) == (0, 0)
    said = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    said = {name.strip(): words.strip() for name, words in said.items()}
    assert said["case"] == "imu_motion"
    assert said["target"] == "native"
    assert said["clock_hz"] == "1,000,000,000 Hz"
    assert said["model_hash"] == imu_motion().model.sha256
    assert said["labels"] == ", ".join(imu_motion().decide.labels)
    assert said["input"].startswith("INT8 [1, ")
    assert said["can profile"] == "yes"


def test_a_board_that_does_not_answer_ends_with_the_code_of_a_broken_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").mkdir()
    monkeypatch.chdir(tmp_path)
    with wire(tmp_path, imu_motion()) as made:
        board_file(made).rename(tmp_path / "boards" / "wired.toml")
        made.deaf = True
        assert main(["ping", "--board", "wired"]) == 3
    assert "did not say hello within 3 s" in capsys.readouterr().err
