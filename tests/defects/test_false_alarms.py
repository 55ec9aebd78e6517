"""A clean firmware is never accused: a sample of the runs that `benchmarks/false_alarms.py` makes hundreds of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from busy_machine import busy_machine
from firmware_workbench import PROJECT

sys.path.insert(0, str(PROJECT / "benchmarks"))
from false_alarms import clean_runs

RUNS = {"native": 4, "qemu": 4}  # half of them with the machine busy


@pytest.mark.slow
@pytest.mark.parametrize("board", RUNS)
def test_no_finding_in_clean_runs(board: str, tmp_path: Path) -> None:
    """Each run provisions anew; in the second half other programs want the processor."""
    runs = clean_runs(board, RUNS[board], tmp_path)
    false_alarms = [alarm for _ in range(RUNS[board] // 2) for alarm in next(runs)]
    with busy_machine():
        false_alarms += [alarm for found in runs for alarm in found]
    assert false_alarms == []
