"""Two runs that kept their images: what grew is named by symbol, in `hil compare` and to whoever reads a report."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import write_run

from hil.compare.sizes import sizes_side_by_side
from hil.image.elf import Image
from hil.image.kept import kept_ledger
from hil.report.markdown import summary
from hil.report.page.view import case_view
from hil.runfile import read_run

FLAGS = (
    "-mcpu=cortex-m4",
    "-mthumb",
    "-Os",
    "-ffreestanding",
    "-nostdlib",
    "-Wl,--entry=start",
    "-Wl,-Tdata=0x20000000",
)
SOURCE = "char ring_buffer[RING]; int start(void) { return ring_buffer[3]; }\n"


def elf(folder: Path, ring: int) -> Path:
    folder.mkdir(parents=True)
    (folder / "app.c").write_text(SOURCE)
    command = ["arm-none-eabi-gcc", *FLAGS, f"-DRING={ring}", "app.c", "-o", "app.elf"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "app.elf"


def run_of(folder: Path, image: Path) -> Path:
    """A run that judged this image and kept it."""
    found = Image(image)
    ledger = found.ledger()

    def edit(document: dict[str, Any]) -> None:
        (case,) = document["cases"]
        case["image"]["sha256"] = found.sha256
        document["manifest"]["firmware"] = {"given": False, "kept": "kept.elf"}
        case["sizes"] = {
            "stripped": False,
            "uncovered": 0,
            "sections": [asdict(each) for each in ledger.sections],
            "groups": [{"name": each.group, "flash": each.flash, "ram": each.ram} for each in ledger.groups().values()],
            "symbols": [
                {"name": each.shown, "file": each.file, "group": each.group, "flash": each.flash, "ram": each.ram}
                for each in ledger.largest(3)
            ],
        }

    write_run(folder, edit=edit)
    shutil.copy(image, folder / "kept.elf")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    before, after = elf(tmp_path / "a", 100), elf(tmp_path / "b", 228)
    return run_of(tmp_path / "one", before), run_of(tmp_path / "two", after)


def test_compare_names_the_symbol_that_grew(runs: tuple[Path, Path]) -> None:
    head, _, row, total = sizes_side_by_side(*runs)
    assert head.startswith("bytes of the images, ")
    assert row.split() == ["grown", "ring_buffer", "ring", "+0", "+128"]
    assert total.split() == ["all", "+0", "+128"]


def test_equal_images_are_not_told(runs: tuple[Path, Path]) -> None:
    assert sizes_side_by_side(runs[0], runs[0]) == []


def test_an_image_that_is_not_the_judged_one_counts_as_gone(runs: tuple[Path, Path]) -> None:
    shutil.copy(runs[0] / "kept.elf", runs[1] / "kept.elf")
    assert sizes_side_by_side(*runs) == []


def test_reports_tell_purposes_and_symbols(runs: tuple[Path, Path]) -> None:
    run = read_run(runs[1])
    image = run.document.cases[0].image
    assert image is not None
    assert kept_ledger(run, image.sha256).known
    assert "Image, in bytes: RAM is ring 228; flash is code " in summary(run)
    view = case_view(run.document.cases[0], 1)
    assert ("ring", "0", "228") in view.groups
    assert ("ring_buffer", "ring", "0", "228") in view.symbols
