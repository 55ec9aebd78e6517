"""Plants one mistake into a copy of the firmware, the bundle or the case, runs the real gate on it, and reads what the
gate says.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
CASE = PROJECT / "golden_vectors" / "imu_motion"
TFLM = PROJECT / "build" / "tflm-crate" / "tfmicro"
KERNELS = "submodules/tensorflow/tensorflow/lite/micro/kernels"
FAILED, USAGE = 1, 4  # pytest's exit codes: a test failed; wrong use
_COMMAND_S = 300
NormalImage = Callable[[str], Path]  # of a board
CONTRACTS = ("input", "execution", "decision", "agreement", "latency", "memory")  # the order of blame


@dataclass(frozen=True)
class Edit:
    """`old`, which must occur exactly once in `file`, becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        count = text.count(self.old)
        assert count == 1, f"{self.file}: the text to edit occurs {count} times; adapt this defect:\n{self.old}"
        return text.replace(self.old, self.new)


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
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, f"--board={board}"]
    command += [str(case / "case.toml"), f"--hil-image={image}", f"--hil-out={out}"]
    command += [f"--hil-bundle={bundle}"] if bundle else []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HIL_", "PYTEST_"))}
    environment = kept | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=_COMMAND_S, check=False
    )
    file = out / "run.json"
    document = json.loads(file.read_text()) if file.is_file() else {"verdict": "", "cases": [{"checks": []}]}
    return GateResult(done.returncode, done.stdout + done.stderr, document["verdict"], document["cases"][0]["checks"])


class Workbench:
    """A copy of the firmware for one target, configured once; each defect costs the files it touches and a link."""

    def __init__(self, target: str, image: Path, folder: Path) -> None:
        """image: the target's normal build, whose TFLM archive is used again."""
        self._normal = image.parent
        self._sources, self._build = folder / "firmware", folder / "build" / "firmware" / target
        self._archive = folder / "libtflm.a"
        shutil.copytree(PROJECT / "firmware", self._sources)
        shutil.copy(self._normal / "tflm" / "libtflm.a", self._archive)
        settings = {"HIL_TFLM_ARCHIVE": self._archive, "HIL_TFLM_DIR": TFLM, "Python3_EXECUTABLE": sys.executable}
        _run(["cmake", "--preset", target, *(f"-D{key}={value}" for key, value in settings.items())], self._sources)

    def image(self, edits: tuple[Edit, ...], kernels: tuple[Edit, ...], to: Path) -> Path:
        """The firmware with these edits, as an ELF in the folder `to`. The sources are as before afterwards."""
        with self._edited(edits), self._rebuilt(kernels, to):
            _run(["ninja", "hil_firmware"], self._build)
            return Path(shutil.copy(self._build / "hil_firmware.elf", to / "defect.elf"))

    @contextmanager
    def _edited(self, edits: tuple[Edit, ...]) -> Iterator[None]:
        before: dict[Path, str] = {}
        try:
            for edit in edits:
                file = self._sources / edit.file
                before.setdefault(file, file.read_text())
                file.write_text(edit.apply(file.read_text()))
            yield
        finally:
            for file, text in before.items():
                file.write_text(text)

    @contextmanager
    def _rebuilt(self, kernels: tuple[Edit, ...], scratch: Path) -> Iterator[None]:
        """The archive with edited kernels: each is compiled as the normal build does, and takes its member's place."""
        try:
            for edit in kernels:
                self._replace_kernel(edit, scratch)
            yield
        finally:
            if kernels:
                shutil.copy(self._normal / "tflm" / "libtflm.a", self._archive)

    def _replace_kernel(self, edit: Edit, scratch: Path) -> None:
        original = TFLM / edit.file
        commands = json.loads((self._normal / "compile_commands.json").read_text())
        entry = next(entry for entry in commands if Path(entry["file"]) == original)
        edited, member = scratch / original.name, scratch / f"{original.name}.o"
        edited.write_text(edit.apply(original.read_text()))
        command = shlex.split(entry["command"])
        command[command.index("-o") + 1] = str(member)
        command[command.index("-c") + 1] = str(edited)
        _run(command, Path(entry["directory"]))
        _run(["ar", "r", str(self._archive), str(member)], scratch)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
    assert done.returncode == 0, f"{' '.join(command[:3])} failed:\n{(done.stdout + done.stderr)[-4000:]}"


def case_copy(edits: tuple[Edit, ...], folder: Path, files: Callable[[Path], None] | None = None) -> Path:
    """A copy of the case with these edits of its text files; `files` may change what else lies in it."""
    copy = folder / CASE.name
    shutil.copytree(CASE, copy, ignore=shutil.ignore_patterns("case.lock", "__pycache__"))
    for edit in edits:
        file = copy / edit.file
        file.write_text(edit.apply(file.read_text()))
    if files is not None:
        files(copy)
    return copy
