"""pyOCD's own exceptions and log lines never reach the person in front of the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from nucleo_session import board_file

from hil.bench.target import FlashError, Target
from hil.board.config import load_board
from hil.board.virtual_nucleo import open_board
from hil.image.flash import Piece


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("bench")
    with open_board(load_board("bench", [board_file(folder)]), folder / "board.log") as board:
        yield board.connection.target()


@pytest.mark.parametrize(
    ("pieces", "problem"),
    [
        ([Piece(0x7000_0000, bytes(16))], "programming: no memory region defined for address 0x70000000"),
        ([Piece(0x0810_0000, bytes(16)), Piece(0x0810_0008, bytes(16))], "programming: .*overlap"),
    ],
)
def test_data_that_has_no_place_is_told_as_trouble_of_the_flash(
    target: Target, pieces: list[Piece], problem: str
) -> None:
    with pytest.raises(FlashError, match=problem):
        target.program(pieces, lambda _: None)


class Complaining:
    """A session whose probe is gone, as pyOCD tells it: in its log."""

    def __init__(self, target: Target) -> None:
        self.target = target._session.target

    def close(self) -> None:
        logging.getLogger("pyocd.board.board").error("Error during board uninit:")
        raise OSError("no such device")


@pytest.mark.parametrize("level", [logging.NOTSET, logging.WARNING])
def test_closing_what_is_gone_is_silent(target: Target, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level, "pyocd")
    Target(Complaining(target)).close()
    assert caplog.records == []
    logging.getLogger("pyocd.board.board").error("later")
    assert [record.message for record in caplog.records] == ["later"]
    assert logging.getLogger("pyocd").level == level
