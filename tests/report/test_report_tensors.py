"""Each tensor of a model with several shows by its name in every report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import check, fail, write_run

from hil.report.markdown import summary
from hil.report.page.build import build_page
from hil.report.terminal import case_table
from hil.runfile import Run


def of_tensor(name: str, **values: Any) -> dict[str, Any]:
    plain = {"outcome": "passed", "value": None, "unit": "", "limit": None, "reason": "", "findings_total": 0}
    return {"name": name, **plain, **values}


def most(value: float) -> dict[str, Any]:
    return {"minimum": None, "maximum": value, "unit": "LSB"}


def several(document: dict[str, Any]) -> None:
    fail(document, "execution.output")
    checks = {each["id"]: each for each in document["cases"][0]["checks"]}
    checks["execution.output"]["tensors"] = [
        of_tensor("output 'scores:0'", value=0.0, unit="LSB", limit=most(0)),
        of_tensor("output 'level <b>'", outcome="failed", value=3.0, unit="LSB", limit=most(1), findings_total=1),
    ]
    checks["input.prepared"]["tensors"] = [of_tensor("input 'left'"), of_tensor("input 'right'")]
    ends = {"minimum": -1.5, "maximum": 2.0, "saturated": 0}, {"minimum": -128, "maximum": 127, "saturated": 1300}
    checks["input.prepared"]["numbers"] = {
        f"input {name!r}: {key}": value
        for name, of in zip(("left", "right"), ends, strict=True)
        for key, value in of.items()
    }
    saturation = check("input.saturation", value=0.25, most=0.5)
    saturation["tensors"] = [
        of_tensor("input 'left'", outcome="not judged", reason="a float32 input has no ends"),
        of_tensor("input 'right'", value=0.25),
    ]
    document["cases"][0]["checks"].insert(1, saturation)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path, edit=several)


def test_a_terminal_has_a_line_of_each_tensor(run: Run) -> None:
    lines = list(case_table(run.document.cases[0], run.document.board))
    at = next(number for number, line in enumerate(lines) if line.startswith("  input 'left'"))
    assert lines[at : at + 4] == [
        "  input 'left': input.prepared min -1.5, max 2, 0 saturated, input.saturation not judged",
        "  input 'right': input.prepared min -128, max 127, 1,300 saturated, input.saturation 25 %",
        "  output 'scores:0': execution.output 0 LSB (limit ≤ 0 LSB)",
        "  output 'level <b>': execution.output FAILED 3 LSB (limit ≤ 1 LSB)",
    ]


def test_markdown_has_a_row_of_each_tensor(run: Run) -> None:
    text = summary(run)
    assert "| input 'left' | input.saturation | not judged | a float32 input has no ends |  |" in text
    assert "| output 'scores:0' | execution.output | passed | 0 LSB | ≤ 0 LSB |" in text
    assert "output 'level &#60;b&#62;' | execution.output | failed | 3 LSB | ≤ 1 LSB |" in text


def test_the_page_has_each_tensor_beside_its_check(run: Run, sketched: None) -> None:
    html = re.sub(r"\s+", " ", build_page(run).decode())
    cells = "<td>failed</td><td>3 LSB</td><td>limit ≤ 1 LSB</td>"
    assert f'<tr><th scope="row">output &#39;level &lt;b&gt;&#39;</th>{cells}' in html
    named = re.findall(r"Each tensor of ([a-z.]+)<", html)
    assert sorted(named) == ["execution.output", "input.prepared", "input.saturation"]


def test_a_model_with_one_of_each_has_no_such_rows(tmp_path: Path, sketched: None) -> None:
    run = write_run(tmp_path)
    assert "Each tensor" not in build_page(run).decode()
    assert "Each tensor" not in summary(run)
