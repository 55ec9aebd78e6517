"""Firmware whose instruments lie is found out: what it measured is invalid, and what it does wrong is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from defect_bench import CASE, FAILED, GateResult, case_copy, gate
from firmware_workbench import TARGETS, Workbench
from instrument_table import INVALID, LIES, Lie

pytestmark = pytest.mark.slow

PERCENTILE = "latency.total.p99"  # needs all vectors


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_it_is_found_out(lie: Lie, workbench_of: Callable[[str], Workbench], tmp_path: Path) -> None:
    image = workbench_of(TARGETS[lie.board]).image(lie.edits, (), tmp_path)
    case = CASE if PERCENTILE in lie.says else case_copy((), tmp_path, thin=True)
    result = gate(case, tmp_path / "out", board=lie.board, image=image)
    outcomes = {check["id"]: check["outcome"] for check in result.checks}
    said = {name: outcome for name, (outcome, _) in lie.says.items()}
    assert {name: outcomes.get(name) for name in said} == said, summary(result)
    broken = {name for name, outcome in outcomes.items() if name.startswith("instruments.") and outcome == INVALID}
    assert broken == {name for name in said if name.startswith("instruments.")}, summary(result)
    expect_words(lie, result)
    wanted = "failed" if "failed" in outcomes.values() else INVALID
    assert (result.exit_code, result.verdict) == (FAILED, wanted), summary(result)
    expect_items(result)


def expect_words(lie: Lie, result: GateResult) -> None:
    """The first finding has these texts, and a next step."""
    for name, (_, words) in lie.says.items():
        findings = next(check["findings"] for check in result.checks if check["id"] == name)
        if words:
            finding = findings[0]
            text = " ".join(finding[key] for key in ("vector", "expected", "observed", "hint"))
            assert [word for word in words if word not in text] == [], summary(result)
            assert finding["hint"]


def expect_items(result: GateResult) -> None:
    """To pytest an invalid check is an error, and neither a pass nor a failure."""
    for check in result.checks:
        verb = {"invalid": "ERROR", "failed": "FAILED"}.get(check["outcome"])
        told = [line for line in result.output.splitlines() if line.partition(" - ")[0].endswith(f"::{check['id']}")]
        assert [line.split()[0] for line in told] == ([verb] if verb else []), summary(result)


def summary(result: GateResult) -> str:
    lines = [f"exit code {result.exit_code}, verdict {result.verdict}"]
    for check in result.checks:
        if check["outcome"] in ("failed", INVALID):
            lines.append(f"{check['id']} {check['outcome']}: {check['reason']}")
            for finding in check["findings"][:2]:
                lines += [f"    {key}: {finding[key]}" for key in ("expected", "observed")]
    return "\n".join(lines if len(lines) > 1 else [*lines, result.output[-3000:]])
