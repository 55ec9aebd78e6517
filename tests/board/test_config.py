"""Board files: found, read, and refused with the key and the fix."""

from pathlib import Path

import pytest

from hil.board.config import board_files, check_settings, kind_names, load_board, read_board
from hil.board.qemu import Settings
from hil.errors import UsageError

BOARDS = Path(__file__).resolve().parents[2] / "boards"


def test_every_committed_board_file_is_valid() -> None:
    files = board_files([BOARDS])
    assert {"qemu", "native", "nucleo", "nucleo-virtual"} <= set(files)
    for file in files.values():
        assert read_board(file).kind in kind_names()


def test_an_unknown_board_names_the_known_ones_and_the_closest() -> None:
    with pytest.raises(UsageError, match=r"unknown board 'qmeu'; known boards: .*native.*qemu.*\n.*--board=qemu"):
        load_board("qmeu", [BOARDS])


def test_a_folder_named_first_wins(tmp_path: Path) -> None:
    (tmp_path / "qemu.toml").write_text('kind = "native"\ntarget = "mine"\n')
    assert load_board("qemu", [tmp_path, BOARDS]).target == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "qemu"\ntraget = "x"\n', r"traget: unknown key\n  fix: write 'target'"),
        ('kind = "teapot"\ntarget = "x"\n', r"kind: there is no 'teapot'\n  fix: use one of native, .*pyocd, qemu"),
        ('kind = "qemu"\ntarget = "x"\n[timeout]\nboot_s = -1\n', r"timeout.boot_s: Input should be greater than 0"),
        ("kind = ", r"at line 1|Invalid value"),
        ('target = "x"\n', r"kind: is missing\n  fix: use one of native, "),
        ('traget = "x"\nkind = 3\n', r"kind: there is no 3\n  fix: use one of native, "),
        (
            'kind = "Virtual"\ntarget = "x"\n[virtual_nucleo]\n',
            r"b.toml: kind: there is no 'Virtual'\n  fix: use one of native, .*virtual_nucleo",
        ),
        ('kind = "target"\n[target]\n', r"kind: there is no 'target'"),
        ('kind = "qemu"\ntarget = "x"\n[quemu]\n', r"quemu: unknown key"),
    ],
)
def test_a_wrong_board_file_names_file_key_and_fix(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "b.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_board(file)
    assert str(file) in str(caught.value)


def test_a_wrong_key_in_the_kinds_own_table_is_named(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text('kind = "qemu"\ntarget = "x"\n[qemu]\nmachne = "m"\n')
    with pytest.raises(UsageError, match=r"b.toml: \[qemu\]: .*machne: unknown key\n  fix: write 'machine'"):
        check_settings(read_board(file), Settings)
