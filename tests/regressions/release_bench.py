"""A product to release: one case, an accepted baseline and a release policy; runs of it, and what the commands say."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from firmware_workbench import PROJECT, Edit
from harness_process import PASSED, Finished, run_harness

from hil.cli import main

CASE = "imu_motion"
# Limits so wide that a regression of some per cent breaks none of them: only the baseline can tell. The threshold puts
# six of the 523 windows below it, which is a good 1 %.
WIDE = (
    ("threshold = 0.60", "threshold = 0.82"),
    ("arena_bytes = 4096", "arena_bytes = 16_384"),
    ("prepare.max = 15_000", "prepare.max = 1_000_000"),
    ("decide.max = 300", "decide.max = 1_000_000"),
    ("total.p50 = 600_000", "total.p50 = 5_000_000"),
    ("total.p95 = 600_000", "total.p95 = 5_000_000"),
    ("total.p99 = 600_000", "total.p99 = 5_000_000"),
    ("total.max = 610_000", "total.max = 5_000_000"),
    ("flips = { max = 0, band = 0.05 }", "flips = { max = 5, band = 0.05 }"),
)
# A change of two instructions is some bytes of flash; the small ones must not drown what a row is about.
TOLERANT = "[contract.baseline]\nflash_bytes = 1024\n\n[budget.memory]"
# For who wants to know whether a single byte or instruction moved.
STRICT = "[contract.baseline]\nstack_bytes = 0\nflash_bytes = 0\nram_bytes = 0\n\n[budget.memory]"
POLICY = """\
boards = ["qemu"]
cases = "cases"
baseline = "required"
quarantine = ""
locked = true
clean_tree = false
"""


@dataclass(frozen=True)
class Answer:
    """What one `hil` command said."""

    code: int
    text: str


class Product:
    """The folder in which a user works: `cases/`, release.toml, and the runs."""

    def __init__(self, folder: Path, contract: str = TOLERANT) -> None:
        """A case of its own, its expectations accepted as a user does. contract: stands before the budget."""
        self.folder = folder
        source = PROJECT / "golden_vectors" / CASE
        left_out = ("case.lock", "expected.npz", "baseline", "CHANGES.md", "__pycache__")
        shutil.copytree(source, self.case, ignore=shutil.ignore_patterns(*left_out))
        self._drop_golden_outputs()
        for old, new in (*WIDE, ("[budget.memory]", contract)):
            self.edit(old, new)
        (folder / "release.toml").write_text(POLICY, encoding="utf-8")
        self.hil("case", "regen", self.case, "--accept", "--reason", "limits of this product", code=0)

    @property
    def case(self) -> Path:
        return self.folder / "cases" / CASE

    @property
    def baseline(self) -> Path:
        return self.case / "baseline" / "qemu.json"

    def copy(self, folder: Path) -> Product:
        """The same product elsewhere, without its runs: what becomes of it there leaves this one alone."""
        other = object.__new__(Product)
        other.folder = folder
        shutil.copytree(self.folder / "cases", folder / "cases")
        shutil.copy(self.folder / "release.toml", folder)
        return other

    def _drop_golden_outputs(self) -> None:
        """The vectors came with outputs of the model of that time; this product may change its model."""
        with np.load(self.case / "vectors.npz") as stored:
            columns = {name: stored[name] for name in stored.files if name != "expected_output"}
        np.savez_compressed(self.case / "vectors.npz", **columns)

    def edit(self, old: str, new: str) -> None:
        """Change one place of case.toml."""
        file = self.case / "case.toml"
        file.write_text(Edit("case.toml", old, new).apply(file.read_text(encoding="utf-8")), encoding="utf-8")

    def unlock(self) -> None:
        """As somebody who tries a change before its expectations are accepted, and asks the gate what it thinks."""
        policy = self.folder / "release.toml"
        policy.write_text(policy.read_text(encoding="utf-8").replace("locked = true", "locked = false"))
        (self.case / "case.lock").unlink()
        (self.case / "expected.npz").unlink()

    def run(
        self, name: str, image: Path, *arguments: str, board: str = "qemu", env: Mapping[str, str] | None = None
    ) -> Finished:
        """`pytest --board=qemu cases`, the results in the folder `name`."""
        out = str(self.folder / name)
        return run_harness(self.folder, "cases", f"--hil-image={image}", *arguments, board=board, env=env, out=out)

    def accept(self, name: str, image: Path, *, board: str = "qemu") -> Finished:
        """A run that passes, made the baseline of its board."""
        finished = self.run(name, image, board=board)
        assert finished.code == PASSED, finished.text
        self.hil("baseline", "accept", finished.out, "--reason", "the release in the field", "--by", "tests", code=0)
        return finished

    def gate(self, finished: Finished) -> dict[str, list[str]]:
        """Why a run is not ready for release: kind of reason to the checks it names."""
        document = json.loads(self.hil("gate", finished.out, "--json").text)
        assert document["ready"] == (not document["reasons"])
        found: dict[str, list[str]] = {}
        for reason in document["reasons"]:
            found.setdefault(reason["kind"], []).append(reason["check"])
        return found

    def hil(self, *words: str | Path, code: int | None = None) -> Answer:
        """A command, called in the product's folder. code: the exit code that it must have."""
        text = io.StringIO()
        with chdir(self.folder), redirect_stdout(text), redirect_stderr(text):
            answer = Answer(main([str(word) for word in words]), text.getvalue())
        assert code is None or answer.code == code, answer.text
        return answer


def checks_of(finished: Finished) -> list[dict[str, Any]]:
    """The checks of a run's only case, in the order of blame."""
    (case,) = finished.run["cases"]
    checks: list[dict[str, Any]] = case["checks"]
    return checks


def ids(finished: Finished, outcome: str) -> list[str]:
    return [check["id"] for check in checks_of(finished) if check["outcome"] == outcome]


def finding(finished: Finished, check_id: str) -> dict[str, Any]:
    """The first finding of a check."""
    check = next(check for check in checks_of(finished) if check["id"] == check_id)
    found: dict[str, Any] = check["findings"][0]
    return found


def summary(finished: Finished) -> str:
    """What a person needs when one of these tests fails."""
    lines = [f"exit code {finished.code}"]
    for check in checks_of(finished):
        if check["outcome"] != "passed":
            lines.append(f"{check['id']}: {check['outcome']} {check['reason']}")
            lines += [
                f"    {key}: {found[key]}" for found in check["findings"] for key in ("observed", "stage", "hint")
            ]
    return "\n".join(lines)
