"""Builds the firmware with a small change: a copy of the sources for one target, configured once, TFLM used again.

All tests of one process share a workbench for each target (the fixture `workbench_of`): its first build costs as much
as ten images of it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from hil.image.build import FIRMWARE

PROJECT = Path(__file__).resolve().parents[1]
TFLM = PROJECT / "build" / "tflm-crate" / "tfmicro"
KERNELS = "submodules/tensorflow/tensorflow/lite/micro/kernels"
TARGETS = {"native": "native", "qemu": "mps2-an386"}  # board: what its firmware is built for
_COMMAND_S = 300


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


class Workbench:
    """A copy of the firmware for one target, configured once; each defect costs the files it touches and a link."""

    def __init__(self, target: str, image: Path, folder: Path, flags: str = "") -> None:
        """image: the target's normal build, whose TFLM archive is used again. flags: further ones, of compiler and
        linker.
        """
        self._normal = image.parent
        self._sources, self._build = folder / "firmware", folder / "build" / "firmware" / target
        self._archive = folder / "libtflm.a"
        self._one_at_a_time = Lock()  # some tests have their images built ahead, by a thread
        shutil.copytree(PROJECT / "firmware", self._sources)
        shutil.copy(self._normal / "tflm" / "libtflm.a", self._archive)
        settings = {"HIL_TFLM_ARCHIVE": self._archive, "HIL_TFLM_DIR": TFLM, "Python3_EXECUTABLE": sys.executable}
        settings |= {"CMAKE_CXX_FLAGS": flags, "CMAKE_EXE_LINKER_FLAGS": flags} if flags else {}
        _run(["cmake", "--preset", target, *(f"-D{key}={value}" for key, value in settings.items())], self._sources)

    def image(self, edits: tuple[Edit, ...], kernels: tuple[Edit, ...], to: Path, name: str = FIRMWARE) -> Path:
        """The firmware with these edits, as an ELF in the folder `to`. The sources are as before afterwards.
        name: which of CMake's images.
        """
        with self._one_at_a_time, self._edited(edits), self._rebuilt(kernels, to):
            _run(["ninja", name], self._build)
            return Path(shutil.copy(self._build / f"{name}.elf", to / "defect.elf"))

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
        command = shlex.split(entry["command"])
        output = command.index("-o") + 1
        # Its member is called .o or .obj, as the target has it.
        edited, member = scratch / original.name, scratch / Path(command[output]).name
        edited.write_text(edit.apply(original.read_text()))
        command[output] = str(member)
        command[command.index("-c") + 1] = str(edited)
        _run(command, Path(entry["directory"]))
        before = _members(self._archive)
        _run(["ar", "r", str(self._archive), str(member)], scratch)
        assert _members(self._archive) == before, f"{member.name} took no member's place in {self._archive}"


def _members(archive: Path) -> list[str]:
    return _run(["ar", "t", str(archive)], archive.parent).splitlines()


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
    assert done.returncode == 0, f"{' '.join(command[:3])} failed:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout
