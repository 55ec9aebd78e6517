"""Knows how to build the native firmware with a small change that is written as a table of files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from firmware_workbench import Edit, Workbench

from hil.image.elf import Image

Replacement = tuple[str, str]  # text to find (once), text to put in its place
Edits = Mapping[str, Replacement | Sequence[Replacement]]  # by file below firmware/


class FirmwareCopy:
    """What a workbench for the native board builds, each image under its name in `folder`."""

    def __init__(self, workbench: Workbench, folder: Path) -> None:
        self._workbench, self._folder = workbench, folder

    def image(self, name: str, edits: Edits) -> Image:
        """The firmware with `edits`, in a folder of its own that is called after `name`."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
        return Image(self._workbench.image(tuple(_each(edits)), (), folder))


def _each(edits: Edits) -> list[Edit]:
    pairs = {file: [edit] if isinstance(edit[0], str) else edit for file, edit in edits.items()}
    return [Edit(file, *replacement) for file, of_file in pairs.items() for replacement in of_file]
