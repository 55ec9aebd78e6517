"""Which Renode is taken, and what is said when there is none or the wrong one. No emulation runs here."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness_process import USAGE_ERROR, run_harness
from native_session import CaseFolder
from stand_in_board import BOARDS, board_folder, launcher, stand_in_board, stand_in_config

from hil.board import renode
from hil.board.config import load_board
from hil.errors import UsageError
from hil.need import State
from hil.renode import process as renode_process

ASSET = "renode-1.16.1.linux-portable-dotnet.tar.gz"


def program(folder: Path) -> Path:
    folder.mkdir()
    file = folder / "renode"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_the_option_comes_before_the_board_file_and_that_before_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option, board, on_path = (program(tmp_path / name) for name in ("option", "board", "path"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert renode_process.find_renode(str(option), str(board)) == option
    assert renode_process.find_renode(str(option.parent), str(board)) == option  # its folder will do
    assert renode_process.find_renode("", str(board)) == board
    assert renode_process.find_renode() == on_path


def test_the_environment_names_the_renode_of_a_board_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards = board_folder(tmp_path, Path("/nowhere/renode"))
    monkeypatch.setenv("HIL_RENODE", str(launcher(tmp_path)))
    renode.open_board(load_board("renode-stand-in", [boards]), tmp_path / "log").close()


@pytest.mark.parametrize("given", ["", "/nowhere/renode"])
def test_no_renode_is_misuse_that_names_versions_and_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    config = load_board("renode", [BOARDS]).model_copy(update={"options": {"hil-renode": given}})
    with pytest.raises(UsageError, match=rf"{given or 'renode'}: no such program; .* 1\.16\.x\n  fix: get .*{ASSET}"):
        renode.open_board(config, tmp_path / "log")
    (row,) = renode.examine(config)
    assert (row.state, row.needed) == (State.MISSING, "1.16.x")
    assert ASSET in row.command


@pytest.mark.parametrize(
    ("misbehave", "message"),
    [
        ("old", r"is 'Renode v1\.15\.3\.12345'; this board supports Renode stand-in\n  fix: get "),
        ("version-fails", r"--version ended with exit code 1 and said:\nRenode stand-in.*\n  fix: get "),
    ],
)
def test_a_renode_of_another_version_is_refused(tmp_path: Path, misbehave: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stand_in_board(tmp_path, misbehave)


def test_a_renode_that_does_not_tell_its_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renode_process, "_VERSION_TIMEOUT_S", 0.5)
    with pytest.raises(
        UsageError, match=r"renode-stand-in --version gave no answer within 0\.5 s\n  fix: run it by hand"
    ):
        stand_in_board(tmp_path, "version-hangs")


def test_a_renode_that_lacks_icu_is_told_what_helps(tmp_path: Path) -> None:
    words = r"exit code 134 and said:\nProcess terminated\. Couldn't find a valid ICU package (.|\n)*"
    with pytest.raises(UsageError, match=words + r"\n  fix: set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 "):
        stand_in_board(tmp_path, "no-icu")


def test_a_renode_that_may_not_be_executed_is_told_so(tmp_path: Path) -> None:
    file = program(tmp_path / "portable")
    file.chmod(0o644)
    for given in (file, file.parent):
        with pytest.raises(UsageError, match=rf"^{file}: may not be executed by this user\n  fix: chmod \+x {file}, "):
            renode_process.find_renode(str(given))


def test_a_folder_without_a_renode_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=rf"^{tmp_path}: no program `renode` is in this folder; .*1\.16\.x\n  fix: get"
    ):
        renode_process.find_renode(str(tmp_path))


def test_a_renode_for_another_machine_is_told_so(tmp_path: Path) -> None:
    file = program(tmp_path / "foreign")
    file.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    with pytest.raises(
        UsageError, match=rf"^{file} does not run on a machine of kind \w+: Exec format error\n  fix: get"
    ):
        renode_process.version_of(file)


def test_the_projects_board_does_not_take_the_stand_in_for_renode(tmp_path: Path) -> None:
    config = load_board("renode", [BOARDS]).model_copy(update={"options": {"hil-renode": str(launcher(tmp_path))}})
    with pytest.raises(UsageError, match=r"is 'Renode stand-in for tests.*'; this board supports 1\.16\.x"):
        renode.open_board(config, tmp_path / "log")


def test_doctor_tells_the_version_that_was_found(tmp_path: Path) -> None:
    (row,) = renode.examine(stand_in_config(tmp_path))
    assert (row.state, row.found) == (State.OK, "Renode stand-in for tests, speaks like 1.16.1")


def test_doctor_tells_that_a_version_is_too_old(tmp_path: Path) -> None:
    (row,) = renode.examine(stand_in_config(tmp_path, "old"))
    assert (row.state, row.found) == (State.OLD, "1.15.3.12345")


def test_a_board_file_with_a_wrong_platform_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[renode\]: platform: no such file: .*nothing\.repl\n  fix: "):
        stand_in_board(tmp_path, platform="'nothing.repl'")


def test_the_harness_stops_before_anything_starts(tmp_path: Path) -> None:
    CaseFolder(tmp_path / "small", vectors=2)
    finished = run_harness(tmp_path, "--hil-renode=/nowhere/renode", "small", board="renode")
    assert finished.code == USAGE_ERROR
    assert "/nowhere/renode: no such program" in finished.text
    assert ASSET in finished.text
    assert not finished.out.exists()
