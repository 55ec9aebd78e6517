"""Knows how the tests reach the simulated bench: its image, board files that misbehave, images that were spoilt."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import spoilt_image
from harness_process import Finished, run_harness
from native_session import PROJECT, CaseFolder

from hil.image.build import build
from hil.image.elf import Image

TARGET = "stm32f429"
BOARD_FILE = PROJECT / "boards" / "nucleo-virtual.toml"
HELLO = """
import pytest

@pytest.mark.hil_case("small")
def test_hello(device):
    assert device.hello.target == "stm32f429"
    assert device.hello.bundle_status == 0
    assert device.run(bytes(480)).canaries == 0
"""


def short_case(path: Path, name: str = "small") -> CaseFolder:
    """Four vectors; too few samples for any statistic of a latency, so none is asked for."""
    case = CaseFolder(path, name=name, vectors=4)
    text = case.toml.read_text(encoding="utf-8")
    case.toml.write_text(text.partition("[budget.latency.instructions]")[0], encoding="utf-8")
    return case


@cache
def nucleo_image() -> Image:
    """The firmware of this checkout for the Nucleo, built when its sources changed."""
    return Image(build(TARGET, PROJECT))


def board_file(folder: Path, *misbehave: str, name: str = "bench", **change: object) -> Path:
    """`name`.toml in `folder`: nucleo-virtual.toml with these keys of its table changed. Returns the folder."""
    text = BOARD_FILE.read_text(encoding="utf-8")
    for key, value in {"misbehave": list(misbehave), **change}.items():
        section, _, lines = text.partition("[virtual_nucleo]")
        kept = [line for line in lines.splitlines() if not line.startswith(f"{key} ")]
        text = "\n".join([section + "[virtual_nucleo]", *kept, f"{key} = {json.dumps(value)}", ""])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def spoilt(file: Path, edits: dict[str, bytes]) -> Path:
    """A copy of the image in which functions begin with other instructions."""
    return spoilt_image.spoilt(nucleo_image(), file, edits)


def on_bench(folder: Path, *misbehave: str, image: Path | None = None, **change: object) -> tuple[str, str]:
    """Options that name the board file `bench`, which is written below `folder`, and an image."""
    boards = board_file(folder / "boards", *misbehave, **change)
    return f"--hil-boards={boards}", f"--hil-image={image or nucleo_image().path}"


def greet_on_nucleo(folder: Path, *misbehave: str, image: Path | None = None, **change: object) -> Finished:
    """As `run_on_nucleo`, with one test that provisions, says hello, and runs one window of zeros."""
    (folder / "test_hello.py").write_text(HELLO, encoding="utf-8")
    return run_on_nucleo(folder, *misbehave, image=image, what="test_hello.py", **change)


def run_on_nucleo(
    folder: Path, *misbehave: str, image: Path | None = None, what: str = "small", **change: object
) -> Finished:
    """`pytest --board=bench` on the case in `small`, or what is named, on a bench that misbehaves."""
    return run_harness(folder, *on_bench(folder, *misbehave, image=image, **change), what, board="bench")
