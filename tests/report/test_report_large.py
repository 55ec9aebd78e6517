"""A run of 100,000 records: the page stays small, and is made quickly in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "report.py"


@pytest.mark.slow
def test_a_hundred_thousand_records_give_a_small_page_in_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--json"], capture_output=True, text=True, timeout=300, check=True
    )
    figures = json.loads(done.stdout)
    assert figures["records"] == 100_000
    assert figures["page_bytes"] < 2_000_000
    assert 20 < figures["memory_growth_mb"] < 200  # less than matplotlib alone takes: the measure is blind
    assert figures["processor_s"] <= 20
