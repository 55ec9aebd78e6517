"""`hil ping` of kind `renode`: the image is started without a bundle. The stand-in for Renode runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_in_board import stand_in_board

from hil.image.build import build
from hil.image.elf import Image
from hil.project.places import kit


@pytest.mark.slow
def test_the_image_says_hello_without_a_bundle(tmp_path: Path) -> None:
    image = Image(build("stm32f429", kit()))
    with stand_in_board(tmp_path) as board:
        hello = board.ping(lambda: image)
    assert (hello.target, hello.bundle_status, hello.case) == ("stm32f429", 1, "")
