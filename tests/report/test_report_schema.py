"""docs/run.schema.json is what the models say, and what real runs write."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from harness_process import run_harness
from native_session import CaseFolder, native_image
from synthetic_run import everything, write_run

from hil.report.markdown import summary
from hil.report.page.build import build_page
from hil.report.schema import schema_text
from hil.runfile import read_run

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docs" / "run.schema.json"
CRAMPED = """\
kind = "native"
target = "native"
[native]
shared_base = 0x2100_0000
shared_bytes = 0x1_0000
"""


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run `make schema`"


@pytest.mark.slow
def test_real_runs_that_passed_failed_and_broke_fit_the_schema(tmp_path: Path, validator: Any) -> None:
    CaseFolder(tmp_path / "good", name="good")
    CaseFolder(tmp_path / "bad", name="bad").replace("sqnr_db = { min = 30.0 }", "sqnr_db = { min = 90.0 }")
    judged = run_harness(tmp_path, f"--hil-image={native_image().path}", "good", "bad").run
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "cramped.toml").write_text(CRAMPED)
    arguments = (f"--hil-image={native_image().path}", "good")
    broken = run_harness(tmp_path, *arguments, board="cramped", out=str(tmp_path / "broken")).run
    assert {case["name"]: case["verdict"] for case in judged["cases"]} == {"good": "passed", "bad": "failed"}
    assert (judged["verdict"], broken["verdict"]) == ("failed", "error")
    for document in (judged, broken):
        validator.validate(document)
    for folder in ("out", "broken"):
        assert (run := read_run(tmp_path / folder)).sealed
        assert b"Drawn without its records" not in build_page(run, tmp_path)
        assert f"## hil on {run.document.board.name}: {run.document.verdict.upper()}\n" in summary(run)


def test_a_run_with_every_outcome_and_a_baseline_fits_the_schema(tmp_path: Path, validator: Any) -> None:
    write_run(tmp_path, edit=everything)
    validator.validate(json.loads((tmp_path / "run.json").read_text()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "fine"),
        (("cases", 0, "checks", 0, "outcome"), "skipped"),
        (("cases", 0, "memory", "arena_bytes"), "4096"),
        (("board", "clock", "deterministic"), None),
    ],
)
def test_what_is_no_run_does_not_fit(
    path: tuple[str | int, ...], value: object, tmp_path: Path, validator: Any
) -> None:
    write_run(tmp_path)
    document = json.loads((tmp_path / "run.json").read_text())
    changed = copy.deepcopy(document)
    *way, last = path
    place = changed
    for key in way:
        place = place[key]
    place[last] = value
    assert validator.is_valid(document)
    assert not validator.is_valid(changed)
