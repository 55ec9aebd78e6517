"""Each benchmark starts, does its work in the small, and leaves the results of the last run alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BENCHMARKS = PROJECT / "benchmarks"
# In the small: some seconds each. One that does not stand here shows its help at least.
SMALL: dict[str, tuple[str, ...]] = {
    "false_alarms.py": ("--runs", "2", "--boards", "native", "qemu", "--idle"),
    "measure.py": ("ready", "link"),
    # All edits of the two modules that decide whether a pass is one: each must be noticed.
    "mutants.py": (
        "contract",
        *("--module", "marginal.py", "--tests", "tests/contract/test_contract_marginal.py"),
        *("--module", "ready.py", "--tests", "tests/contract/test_contract_ready.py"),
    ),
    "regression.py": ("--pairs", "2", "--windows", "20"),
    "report.py": ("--records", "300", "--json"),
}


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """In a folder of its own, in which a default such as `hil-out` would show."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HIL_", "PYTEST_"))}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=300, check=False)


def results() -> dict[str, int]:
    """The files of the checkout's own output folder, with the time at which each was written."""
    return {str(file): file.stat().st_mtime_ns for file in (PROJECT / "hil-out").rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(file.name for file in BENCHMARKS.glob("*.py")))
def test_it_runs_and_leaves_no_results(name: str, tmp_path: Path) -> None:
    before = results()
    done = run(BENCHMARKS / name, *SMALL.get(name, ("--help",)), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_gate_that_a_benchmark_times_writes_elsewhere(tmp_path: Path) -> None:
    before = results()
    code = "import pathlib, sys, measure; print(measure.whole_gate(pathlib.Path(sys.argv[1]), measure.IMU))"
    script = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); {code}"
    done = run("-c", script, tmp_path / "work", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "work" / "out" / "run.json").read_text())["verdict"] == "passed"
    assert results() == before
