"""The `hil` command as a user calls it: exit codes, messages, never a traceback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import hil

ROOT = Path(hil.__file__).parents[1]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hil.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_version_is_the_packages() -> None:
    assert run("--version").stdout == f"hil {hil.__version__}\n"


def test_boards_are_the_files_of_the_folder() -> None:
    result = run("boards")
    assert result.returncode == 0, result.stderr
    assert {line.split()[0] for line in result.stdout.splitlines()} == {
        file.stem for file in ROOT.glob("boards/*.toml")
    }


def test_unknown_board_is_misuse_with_a_suggestion() -> None:
    result = run("doctor", "--board", "qmeu")
    assert result.returncode == 2
    assert "did you mean --board=qemu?" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_case_is_misuse_that_names_the_file(tmp_path: Path) -> None:
    for action in ("check", "lock"):
        result = run("case", action, tmp_path / "nothing")
        assert result.returncode == 2
        assert str(tmp_path / "nothing") in result.stderr
        assert "Traceback" not in result.stderr


def test_broken_case_file_is_misuse_that_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text("[case\n")
    result = run("case", "check", tmp_path)
    assert result.returncode == 2
    assert "case.toml" in result.stderr


def test_unknown_command_is_misuse() -> None:
    assert run("docter").returncode == 2


def test_doctor_ends_with_what_its_table_says() -> None:
    assert shutil.which("qemu-system-arm")
    result = run("doctor")
    assert result.returncode == (0 if "all that this board needs is here" in result.stdout else 1)
    assert "qemu-system-arm" in result.stdout
