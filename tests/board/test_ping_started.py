"""`hil ping` of boards that run nothing before the harness starts them: the image says hello, without a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from native_session import PROJECT, native_image

from hil.cli import main


def told(said: str) -> dict[str, str]:
    return {name.strip(): words.strip() for name, words in (line.split("  ", 1) for line in said.splitlines())}


def test_the_image_that_is_named_says_hello(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "--board", "native", "--image", str(native_image().path)]) == 0
    said = told(capsys.readouterr().out)
    assert (said["target"], said["bundle_status"], said["can profile"]) == ("native", "1 (absent)", "yes")


@pytest.mark.slow
def test_without_one_the_image_of_the_board_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "--board", "qemu"]) == 0
    said = told(capsys.readouterr().out)
    assert (said["target"], said["clock"], said["clock_hz"]) == ("mps2-an386", "cmsdk-timer0", "25,000,000 Hz")


def test_a_board_file_that_names_no_elf_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.toml").write_text(
        'kind = "native"\ntarget = "native"\n[native]\nshared_base = 0x2000_0000\nshared_bytes = 0x100_0000\n'
        '[firmware]\nbuild = "make"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert main(["ping", "--board", "mine"]) == 2
    assert "[firmware] image: it is missing\n  fix: name the ELF" in capsys.readouterr().err


def test_an_image_of_another_machine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ping", "--board", "qemu", "--image", str(native_image().path)]) == 2
    assert "x86_64" in capsys.readouterr().err


def test_board_files_of_a_further_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text((PROJECT / "boards" / "native.toml").read_text(encoding="utf-8"))
    command = ["ping", "--board", "mine", "--image", str(native_image().path)]
    assert main(command) == 2
    assert "mine" in capsys.readouterr().err
    monkeypatch.setenv("HIL_BOARDS", str(tmp_path))
    assert main(command) == 0
    assert told(capsys.readouterr().out)["target"] == "native"
    monkeypatch.setenv("HIL_BOARDS", str(tmp_path / "bords"))
    assert main(command) == 2
    assert f"HIL_BOARDS: there is no folder {tmp_path / 'bords'}\n  fix: " in capsys.readouterr().err
