"""Every planted change still finds its place in the firmware, said in a second and not when its image is built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from carried_table import CARRIED_DEFECTS
from defect_table import CONTROLS, DEFECTS
from firmware_workbench import PROJECT, Edit
from instrument_table import LIES
from kernel_table import KERNEL_DEFECTS
from several_table import SEVERAL_DEFECTS

sys.path += [str(PROJECT / "tests" / room) for room in ("regressions", "session")]
import test_planted_defects as planted
from regression_table import REGRESSIONS

ROWS = [*DEFECTS, *CONTROLS, *LIES, *KERNEL_DEFECTS, *SEVERAL_DEFECTS, *CARRIED_DEFECTS, *REGRESSIONS]


def sources(edits: tuple[Edit, ...]) -> None:
    """One row's edits, one after the other, as its build applies them."""
    texts: dict[Path, str] = {}
    for edit in edits:
        file = PROJECT / "firmware" / edit.file
        texts[file] = edit.apply(texts.get(file) or file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_edits_of_a_row_apply(row: object) -> None:
    sources(getattr(row, "edits", ()))


def test_the_edits_of_the_planted_image_apply() -> None:
    sources(tuple(Edit(file, old, new) for file, edits in planted.EDITS.items() for old, new in edits))
