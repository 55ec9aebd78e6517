"""Which TFLM an image is built with: options over the board's file, and a folder of its own for each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tflm_libraries import make_headers

from hil.board.config import read_board
from hil.errors import UsageError
from hil.image.tflm import TFLM_2020, Tflm, tflm_of

BOARD = 'kind = "native"\ntarget = "native"\n'


def board(folder: Path, text: str = "") -> Path:
    file = folder / "mine.toml"
    file.write_text(BOARD + text)
    return file


def test_without_a_word_the_engine_is_that_of_2020(tmp_path: Path) -> None:
    assert read_board(board(tmp_path)).built_with() == TFLM_2020
    assert TFLM_2020.key == ""


def test_a_board_file_names_headers_and_library_from_where_it_lies(tmp_path: Path) -> None:
    text = '[tflm]\nengine = "upstream"\ninclude = ["tflm"]\nlibrary = ["/elsewhere/lib.a"]\n'
    assert read_board(board(tmp_path, text)).built_with() == Tflm(
        "upstream", (tmp_path / "tflm",), (Path("/elsewhere/lib.a"),)
    )


def test_options_win_over_the_board_file(tmp_path: Path) -> None:
    own = Tflm("upstream", (tmp_path / "a",), (tmp_path / "a.a",))
    options = {"hil-tflm-library": f"b.a{os.pathsep}/c.a"}
    assert tflm_of(options, own, tmp_path) == Tflm("upstream", own.include, (tmp_path / "b.a", Path("/c.a")))
    assert tflm_of({"hil-tflm": "2020"}, own, tmp_path) == TFLM_2020


def test_the_environment_stands_in_for_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIL_TFLM", "upstream")
    monkeypatch.setenv("HIL_TFLM_INCLUDE", "/one:/two")
    monkeypatch.setenv("HIL_TFLM_LIBRARY", "/lib.a")
    built = read_board(board(tmp_path)).built_with()
    assert built == Tflm("upstream", (Path("/one"), Path("/two")), (Path("/lib.a"),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[tflm]\nengine = "2021"\n', "tflm.engine"),
        ('[tflm]\nengine = "upstream"\nlibary = ["a.a"]\n', "libary"),
        ("[tflm]\n", "engine"),
    ],
)
def test_a_wrong_table_names_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read_board(board(tmp_path, text))
    assert "mine.toml" in str(caught.value)


def test_an_engine_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'newest' is none of 2020, upstream"):
        tflm_of({"hil-tflm": "newest"}, TFLM_2020, tmp_path)


# ---- what must be there


def complete(folder: Path) -> Tflm:
    (folder / "lib.a").touch()
    return Tflm("upstream", (make_headers(folder / "tflm"),), (folder / "lib.a",))


def refusal(tflm: Tflm) -> str:
    with pytest.raises(UsageError) as caught:
        tflm.check()
    return str(caught.value)


def test_all_that_is_named_and_there_is_in_order(tmp_path: Path) -> None:
    complete(tmp_path).check()
    TFLM_2020.check()


def test_each_missing_piece_is_told_with_its_option_and_variable(tmp_path: Path) -> None:
    whole = complete(tmp_path)
    text = refusal(Tflm("upstream", whole.include))
    assert "no library is named" in text
    assert "--hil-tflm-library=PATH, HIL_TFLM_LIBRARY" in text
    assert "no such file: /nowhere.a" in refusal(Tflm("upstream", whole.include, (Path("/nowhere.a"),)))
    assert "HIL_TFLM_INCLUDE" in refusal(Tflm("upstream", (), whole.library))
    assert "no such folder: /nowhere" in refusal(Tflm("upstream", (Path("/nowhere"),), whole.library))


def test_a_folder_without_the_headers_is_told_with_the_header(tmp_path: Path) -> None:
    whole = complete(tmp_path)
    (tmp_path / "tflm/flatbuffers/flatbuffers.h").unlink()
    assert "none of the folders has flatbuffers/flatbuffers.h" in refusal(whole)


def test_what_a_checkout_of_tflm_has_downloaded_is_found(tmp_path: Path) -> None:
    whole = complete(tmp_path)
    downloaded = tmp_path / "tflm/tensorflow/lite/micro/tools/make/downloads/flatbuffers/include"
    (downloaded / "flatbuffers").mkdir(parents=True)
    (tmp_path / "tflm/flatbuffers/flatbuffers.h").rename(downloaded / "flatbuffers/flatbuffers.h")
    whole.check()
    assert whole.headers == (tmp_path / "tflm", downloaded)


def test_a_library_for_the_engine_of_2020_is_a_mistake(tmp_path: Path) -> None:
    whole = complete(tmp_path)
    assert "--hil-tflm=upstream takes them" in refusal(Tflm("2020", whole.include, whole.library))


# ---- a folder each


def test_each_library_has_a_folder_of_its_own_and_always_the_same(tmp_path: Path) -> None:
    keys = {
        TFLM_2020.key,
        Tflm("upstream", (tmp_path,), (tmp_path / "a.a",)).key,
        Tflm("upstream", (tmp_path,), (tmp_path / "b.a",)).key,
        Tflm("upstream", (tmp_path / "x",), (tmp_path / "a.a",)).key,
    }
    assert len(keys) == 4
    assert Tflm("upstream", (tmp_path,), (tmp_path / "a.a",)).key in keys
