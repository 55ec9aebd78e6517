"""Knows how to build the native firmware with a small change: one copy of `firmware/`, one build, TFLM reused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from native_session import PROJECT, native_image

from hil.image.elf import Image

Edit = tuple[str, str]  # text to find (once), text to put in its place
Edits = Mapping[str, Edit | Sequence[Edit]]  # by file below firmware/


class FirmwareCopy:
    """A checkout in `folder` to be changed. Not for use by two threads at once."""

    def __init__(self, folder: Path) -> None:
        original = native_image().path.parent
        self.root, self._build = folder, folder / "build" / "firmware" / "native"
        shutil.copytree(PROJECT / "firmware", folder / "firmware", ignore=shutil.ignore_patterns("build"))
        self._build.mkdir(parents=True)
        (folder / "build" / "tflm-crate").symlink_to(PROJECT / "build" / "tflm-crate")
        archive = original / "tflm" / "libtflm.a"
        self._cmake("--preset", "native", f"-DHIL_TFLM_ARCHIVE={archive}", f"-DPython3_EXECUTABLE={sys.executable}")

    def image(self, name: str, edits: Edits) -> Image:
        """Build with `edits` and take them back; the ELF is kept as `name`.elf."""
        before = {file: self._edit(file, edit) for file, edit in edits.items()}
        try:
            self._cmake("--build", "--preset", "native", "--target", "hil_firmware")
            return Image(Path(shutil.copy(self._build / "hil_firmware.elf", self.root / f"{name}.elf")))
        finally:
            for file, text in before.items():
                (self.root / "firmware" / file).write_text(text, encoding="utf-8")

    def _edit(self, file: str, edit: Edit | Sequence[Edit]) -> str:
        path = self.root / "firmware" / file
        before = text = path.read_text(encoding="utf-8")
        for old, new in [edit] if isinstance(edit[0], str) else edit:
            assert text.count(old) == 1, f"{file}: {old!r} occurs {text.count(old)} times"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return before

    def _cmake(self, *arguments: str) -> None:
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            ["cmake", *arguments],
            cwd=self.root / "firmware",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
