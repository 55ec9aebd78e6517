"""Each seeded regression of the firmware is caught by the baseline, blamed on its stage, and nothing else alarms."""

from __future__ import annotations

from pathlib import Path

import pytest
from firmware_workbench import Workbench
from harness_process import FAILED
from regression_table import LATENCY, REGRESSIONS, Regression
from release_bench import Product, finding, ids, summary

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("row", REGRESSIONS, ids=lambda row: row.name)
def test_it_is_caught_and_blamed_and_nothing_else_alarms(
    row: Regression, product: Product, workbench: Workbench, tmp_path: Path
) -> None:
    finished = product.run(row.name, workbench.image(row.edits, row.kernels, tmp_path))
    told = summary(finished)
    assert (finished.code, ids(finished, "failed")) == (FAILED, [*row.checks]), told
    assert ids(finished, "not judged") == [*row.explained], told
    first = finding(finished, row.checks[0])
    text = f"{first['observed']} {first['hint']}"
    assert [part for part in row.says if part not in text] == [], told
    assert [part for part in row.silent if part in text] == [], told
    assert [finding(finished, LATENCY + stage)["stage"] for stage in row.stages] == [*row.stages], told
    reasons = product.gate(finished)
    assert reasons.pop("contract broken") == [*row.checks]
    assert set(reasons) <= {"not judged"}  # what a failed stage explains
