"""Each test has a temporary folder of its own for what Renode leaves behind, and fails when something is left there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from harness_process import started_with

from hil.image.build import build
from hil.image.elf import Image
from hil.renode.private_folder import PrivateFolder

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What was started is gone at the end of the test, and so are its files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("HIL_RENODE", raising=False)
    made: list[Path] = []
    make = PrivateFolder.__init__

    def remember(self: PrivateFolder) -> None:
        make(self)
        made.append(self.temporary)

    monkeypatch.setattr(PrivateFolder, "__init__", remember)
    yield folder
    assert [line for place in made for line in started_with(place)] == []
    assert list(folder.iterdir()) == []


@cache
def stm32f429_image() -> Image:
    return Image(build("stm32f429", PROJECT))


@pytest.fixture(scope="session")
def image() -> Image:
    """The firmware of this checkout, as it would go onto the Nucleo."""
    return stm32f429_image()
