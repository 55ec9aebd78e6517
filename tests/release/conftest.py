from pathlib import Path

import pytest
from release_project import Project, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def project(tmp_path: Path, template: Path) -> Project:
    return Project(tmp_path, template)
