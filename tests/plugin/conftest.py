"""One run of a small case on the native board, whose terminal, reports and files many tests look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from harness_process import Finished, run_harness
from native_session import CaseFolder, native_image


@dataclass(frozen=True)
class Example:
    """The case that was run, and what came of it."""

    case: CaseFolder
    finished: Finished


@pytest.fixture(scope="session")
def image() -> str:
    """The option that names the native firmware of this checkout."""
    return f"--hil-image={native_image().path}"


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory, image: str) -> Example:
    folder = tmp_path_factory.mktemp("example")
    case = CaseFolder(folder / "small")
    return Example(case, run_harness(folder, "-v", image, "small"))


@pytest.fixture
def case(tmp_path: Path) -> CaseFolder:
    """A small case that passes, for one test to change; it lies in `small` of the test's folder."""
    return CaseFolder(tmp_path / "small")
