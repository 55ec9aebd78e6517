"""Plants one mistake into a copy of the firmware, the bundle or the case, runs the real gate on it, and reads what the
gate says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from firmware_workbench import PROJECT, Edit
from harness_process import WITHOUT

from hil.contract.types import CheckResult, Evidence

CASE = PROJECT / "golden_vectors" / "imu_motion"
FAILED, USAGE = 1, 4  # pytest's exit codes: a test failed; wrong use
_COMMAND_S = 300
NormalImage = Callable[[str], Path]  # of a board
# Of edits and a case: what ran, and the verdicts in the order of blame.
RunWith = Callable[[tuple[Edit, ...], Path], tuple[Evidence, list[CheckResult]]]


@dataclass(frozen=True)
class GateResult:
    """What one run of the gate left behind."""

    exit_code: int
    output: str
    verdict: str
    checks: list[dict[str, Any]]  # of the case, in the order of blame

    @property
    def broken(self) -> list[dict[str, Any]]:
        return [check for check in self.checks if check["outcome"] == "failed"]

    def summary(self) -> str:
        lines = [f"exit code {self.exit_code}, verdict {self.verdict}"]
        for check in self.broken:
            finding = check["findings"][0]
            lines.append(f"{check['id']} ({check['findings_total']})")
            lines += [f"    {key}: {finding[key]}" for key in ("vector", "expected", "observed", "stage", "hint")]
        return "\n".join(lines if self.broken else [*lines, self.output])


def gate(case: Path, out: Path, *, board: str, image: Path, bundle: Path | None = None) -> GateResult:
    """One run of the gate as a user starts it, in a process of its own."""
    plugin = [] if "hil" in entry_points(group="pytest11").names else ["-p", "hil.plugin"]
    command = [sys.executable, "-m", "pytest", *WITHOUT, *plugin, f"--board={board}"]
    command += [str(case / "case.toml"), f"--hil-image={image}", f"--hil-out={out}"]
    command += [f"--hil-bundle={bundle}"] if bundle else []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HIL_", "PYTEST_"))}
    environment = kept | {"HIL_REPORT": "none", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=_COMMAND_S, check=False
    )
    file = out / "run.json"
    document = json.loads(file.read_text()) if file.is_file() else {"verdict": "", "cases": [{"checks": []}]}
    return GateResult(done.returncode, done.stdout + done.stderr, document["verdict"], document["cases"][0]["checks"])


def case_copy(
    edits: tuple[Edit, ...], folder: Path, files: Callable[[Path], None] | None = None, *, thin: bool = False
) -> Path:
    """A copy of the case with these edits of its text files; `files` may change what else lies in it.

    thin: with every fourth vector, and all that the gate must refuse. A run of it takes half the time and says the same
    of nearly every defect; it has too few vectors for a percentile.
    """
    copy = folder / CASE.name
    shutil.copytree(CASE, copy, ignore=shutil.ignore_patterns("case.lock", "expected.npz", "baseline", "__pycache__"))
    if thin:
        with np.load(copy / "vectors.npz") as stored:
            kept = (np.arange(len(stored["windows"])) % 4 == 0) | (stored["reject"] != "")
            columns = {name: column[kept] for name, column in stored.items()}
        np.savez(copy / "vectors.npz", **columns)
    for edit in edits:
        file = copy / edit.file
        file.write_text(edit.apply(file.read_text()))
    if files is not None:
        files(copy)
    return copy
