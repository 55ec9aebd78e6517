"""Firmware that breaks before it says hello, on qemu: an error of the step `boot`, with the place in the source.

The same on a debug probe: tests/nucleo/test_fault_table.py.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from harness_process import PROJECT, Finished, run_harness
from native_session import CaseFolder
from spoilt_image import ENTRY, MASK_INTERRUPTS, SPIN, UNDEFINED, spoilt

from hil.image.build import build
from hil.image.elf import Image

pytestmark = pytest.mark.slow

TESTS_FAILED = 1  # pytest.ExitCode
LIMIT_S = 10.0


@cache
def image() -> Image:
    return Image(build("mps2-an386", PROJECT))


def run_spoilt(folder: Path, edits: dict[str, bytes]) -> Finished:
    """A run of a small case on qemu, with a boot time-out of two seconds; it ended as an error in time."""
    boards = folder / "boards"
    boards.mkdir()
    text = (PROJECT / "boards" / "qemu.toml").read_text(encoding="utf-8")
    (boards / "impatient.toml").write_text(text.replace("boot_s = 10.0", "boot_s = 2.0"), encoding="utf-8")
    elf = spoilt(image(), folder / "spoilt.elf", edits)
    finished = run_harness(folder, f"--hil-boards={boards}", f"--hil-image={elf}", "small", board="impatient")
    assert finished.code == TESTS_FAILED, finished.text
    (case,) = finished.run["cases"]
    assert case["verdict"] == "error"
    assert case["host_seconds"] < LIMIT_S
    return finished


@pytest.mark.parametrize(
    ("edits", "wanted"),
    [
        pytest.param(
            {ENTRY: SPIN},
            (r"boot: board impatient did not open its link within 2 s", r"pc 0x0000\w{4}  hil::AppMain"),
            id="never says hello",
        ),
        pytest.param(
            {ENTRY: MASK_INTERRUPTS + UNDEFINED},
            (r"boot: the firmware faulted before it said hello", "undefined instruction", "hil::AppMain"),
            id="hard fault",
        ),
        pytest.param(
            {ENTRY: UNDEFINED, "FaultHandler": UNDEFINED},
            (r"boot: board impatient: the core is in lockup", r"pc 0x0000\w{4}  FaultHandler", r"\n  next: "),
            id="lock-up",
        ),
    ],
)
def test_firmware_that_breaks_at_its_start_is_told(
    case: CaseFolder, tmp_path: Path, edits: dict[str, bytes], wanted: tuple[str, ...]
) -> None:
    finished = run_spoilt(tmp_path, edits)
    for pattern in wanted:
        assert re.search(pattern, finished.text), (pattern, finished.text)
