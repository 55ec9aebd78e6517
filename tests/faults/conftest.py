"""Small cases and images for the fault tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from native_session import CaseFolder, native_image


@pytest.fixture(scope="session")
def image() -> str:
    """The option that names the native firmware of this checkout."""
    return f"--hil-image={native_image().path}"


@pytest.fixture
def case(tmp_path: Path) -> CaseFolder:
    """A small case that passes, for one test to change; it lies in `small` of the test's folder."""
    return CaseFolder(tmp_path / "small")


@pytest.fixture
def long_case(tmp_path: Path) -> CaseFolder:
    """A case that runs for many seconds, for tests that break in."""
    return CaseFolder(tmp_path / "long", name="long", vectors=40).replace("passes = 2", "passes = 5000")
