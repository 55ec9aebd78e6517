"""Small real ELF files for the tests of hil.image."""

from __future__ import annotations

from pathlib import Path

import pytest
from elf_projects import ARM, HOST, Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh project, nothing built."""
    return make_project(tmp_path / "checkout")


@pytest.fixture(scope="session")
def arm_elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Cortex-M ELF with debug information; not to be changed."""
    return make_project(tmp_path_factory.mktemp("arm") / "checkout").compile(ARM)


@pytest.fixture(scope="session")
def host_elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program for the host; not to be changed."""
    return make_project(tmp_path_factory.mktemp("host") / "checkout").compile(HOST)
