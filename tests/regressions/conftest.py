"""The firmware in the field, a workbench that builds variants of it, and products with an accepted baseline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_workbench import PROJECT, Workbench
from release_bench import STRICT, Product

from hil.image.build import build

TARGET = "mps2-an386"  # of board qemu


@pytest.fixture(scope="session")
def released_image() -> Path:
    """What board qemu runs, as this checkout builds it."""
    return build(TARGET, PROJECT)


@pytest.fixture(scope="session")
def workbench(workbench_of: Callable[[str], Workbench]) -> Workbench:
    return workbench_of(TARGET)


@pytest.fixture(scope="session")
def field_image(workbench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware without a change, built by the same steps as each variant."""
    return workbench.image((), (), tmp_path_factory.mktemp("field"))


@pytest.fixture(scope="session")
def product(field_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """A product whose accepted baseline is that of the firmware in the field."""
    made = Product(tmp_path_factory.mktemp("product"))
    made.accept("accepted", field_image)
    return made


@pytest.fixture(scope="session")
def strict(field_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """The same with no tolerance for anything."""
    made = Product(tmp_path_factory.mktemp("strict"), STRICT)
    made.accept("accepted", field_image)
    return made
