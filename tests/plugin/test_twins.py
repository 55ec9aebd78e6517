"""Two cases of one name in one run: every file, message and report says which of the two it is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness_process import FAILED, run_harness
from native_session import CaseFolder

from hil.report.page.build import build_page
from hil.runfile import read_run

TITLES = ["same (first/case.toml)", "same (second/case.toml)"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2", "--basetemp=base")], ids=["alone", "two_workers"])
def test_they_are_told_apart_everywhere(tmp_path: Path, image: str, workers: tuple[str, ...]) -> None:
    CaseFolder(tmp_path / "first", "same")
    CaseFolder(tmp_path / "second", "same").replace("sqnr_db = { min = 30.0 }", "sqnr_db = { min = 90.0 }")
    finished = run_harness(tmp_path, *workers, image, "first", "second")
    assert finished.code == FAILED
    cases = {case["title"]: case for case in finished.run["cases"]}
    assert [*cases] == TITLES
    assert [case["name"] for case in cases.values()] == ["same", "same"]
    assert [case["verdict"] for case in cases.values()] == ["passed", "failed"]
    assert len({case["records"] for case in cases.values()} | {case["log"] for case in cases.values()}) == 4
    (broken,) = (check for check in cases[TITLES[1]]["checks"] if check["outcome"] == "failed")
    assert broken["findings"][0]["case"] == TITLES[1]
    for title, verdict in zip(TITLES, ("PASSED", "FAILED"), strict=True):
        assert f"{title} version 1 on native: {verdict}" in finished.text
    assert f"case        {TITLES[1]}" in finished.text
    properties = {item.get("value") for item in finished.junit().iter("property") if item.get("name") == "case"}
    assert properties == {*TITLES}
    page = build_page(read_run(finished.out), tmp_path).decode()
    assert all(title in page for title in TITLES)
    assert f"{TITLES[1]}: " in page  # what broke first
