"""A case without `arena_bytes` beside one that has it: what a user sees, and what the line that is given comes to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness_process import PASSED, run_harness
from native_session import PROJECT, CaseFolder

from hil.image.build import build

pytestmark = pytest.mark.slow
UNLIMITED = ["execution.arena", "memory.arena", "memory.arena_headroom"]


def left_open(case: dict) -> list[str]:
    return [check["id"] for check in case["checks"] if check["outcome"] == "not judged"]


def light(folder: Path, name: str) -> CaseFolder:
    """Without limits that a dozen vectors are too few for."""
    case = CaseFolder(folder / name, name)
    text = case.toml.read_text(encoding="utf-8")
    return case.write("case.toml", text.split("# Measured as above")[0].encode())


def test_on_a_target_the_run_says_what_to_write_and_then_passes(tmp_path: Path) -> None:
    image = f"--hil-image={build('mps2-an386', PROJECT)}"
    light(tmp_path, "held")
    case = light(tmp_path, "open").replace("arena_bytes = 4096\n", "")
    finished = run_harness(tmp_path, "-q", image, "held", "open", board="qemu")
    assert finished.code == PASSED, finished.text
    held, unlimited = finished.run["cases"]
    assert (held["name"], left_open(held)) == ("held", [])
    assert (unlimited["name"], left_open(unlimited)) == ("open", UNLIMITED)
    assert unlimited["memory"]["arena_bytes"] is None
    assert unlimited["memory"]["arena_high_water"] == held["memory"]["arena_high_water"]
    (check,) = (each for each in unlimited["checks"] if each["id"] == "memory.arena")
    used, proposed = unlimited["memory"]["arena_high_water"], check["numbers"]["proposed"]
    line = f"write arena_bytes = {proposed} under [budget.memory] of case.toml"
    assert check["hint"].startswith(line)
    summary = " ".join((finished.out / "summary.md").read_text(encoding="utf-8").split())
    for text in (" ".join(finished.text.split()), summary.replace("&#95;", "_").replace("&#91;", "[")):
        assert f"the model used {used:,} bytes of the 262,144 that the firmware has" in text
        assert f"write arena_bytes = {proposed} under" in text
    case.replace("[budget.memory]\n", f"[budget.memory]\narena_bytes = {proposed}\n")
    again = run_harness(tmp_path, "-q", image, "open", board="qemu")
    assert again.code == PASSED, again.text
    assert left_open(again.run["cases"][0]) == []
    assert again.run["cases"][0]["verdict"] == "passed"


def test_on_native_the_run_says_that_it_cannot_tell(case: CaseFolder, tmp_path: Path, image: str) -> None:
    case.replace("arena_bytes = 4096\n", "")
    finished = run_harness(tmp_path, "-q", image, "small", env={"HIL_REPORT": "html"})
    assert finished.code == PASSED, finished.text
    assert "case.toml gives no arena_bytes, and native cannot tell what to write: its pointers have 8" in finished.text
    assert "next: run the case on a board of a 32-bit target" in finished.text
    assert re.search(r"report: \S+report\.html", finished.text)
    assert "bytes, no budget" in (finished.out / "report.html").read_text(encoding="utf-8")
