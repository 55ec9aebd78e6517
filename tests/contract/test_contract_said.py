"""What the checks say, word for word: of each defect, and of runs in which there is little to judge.

An edit of a check that only changes a count, a name or a hint shows here and nowhere else.
"""

from __future__ import annotations

import pytest
import said

BLOCKS = said.blocks()


@pytest.mark.parametrize("title", BLOCKS)
def test_the_checks_say_what_they_said(title: str) -> None:
    assert BLOCKS[title]().split("\n") == said.read()[title].split("\n")


def test_everything_that_is_written_down_is_held_to() -> None:
    assert list(said.read()) == list(BLOCKS)
