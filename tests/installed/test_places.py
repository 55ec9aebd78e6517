"""Where the project, the kit and the cache are."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from hil.project import places

PROJECT = Path(__file__).resolve().parents[2]


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def test_the_kit_of_a_checkout_is_the_checkout() -> None:
    assert places.kit() == PROJECT
    assert not places.is_packed(places.kit())


def test_the_kit_of_an_installed_package_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = made(tmp_path / "hil", "kit")
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(places, "_PACKAGE", package)
    assert places.kit() == package / "kit"
    assert places.is_packed(places.kit())
    assert places.pip_command("bench").endswith("-m pip install 'hil-tinyml[bench]'")
    assert places.pip_source() == "pip install hil-tinyml"
    assert "pip install 'hil-tinyml'" in places.environment_command()


def test_a_folder_of_somebody_else_that_is_called_kit_is_built_in(tmp_path: Path) -> None:
    assert not places.is_packed(made(tmp_path / "kit"))


@pytest.mark.parametrize("start", ["top/one/golden_vectors/case", "top/one", "top/one/src"])
def test_the_project_is_the_nearest_folder_that_looks_like_one(tmp_path: Path, start: str) -> None:
    top = made(tmp_path / "top", "one/golden_vectors/case", "one/src", "two/boards")
    assert places.project_of(tmp_path / start, top) == top / "one"
    assert places.project_of(top / "two" / "boards", top) == top / "two"


def test_without_any_sign_the_project_is_pytests_root(tmp_path: Path) -> None:
    top = made(tmp_path / "top", "src/deep")
    made(tmp_path, "boards")  # above the root: another project's
    assert places.project_of(top / "src" / "deep", top) == top


def test_a_root_that_is_elsewhere_is_the_project(tmp_path: Path) -> None:
    made(tmp_path, "here/boards", "there")
    assert places.project_of(tmp_path / "here", tmp_path / "there") == tmp_path / "there"


def test_boards_are_looked_for_in_the_kit_last_and_once(tmp_path: Path) -> None:
    assert places.board_folders(None, tmp_path, tmp_path) == [tmp_path, PROJECT / "boards"]


def test_the_name_of_the_distribution_is_that_of_pyproject() -> None:
    import tomllib

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == places.DISTRIBUTION
    own = {extra: text for extra, texts in project["optional-dependencies"].items() for text in texts if "hil" in text}
    assert own == {"virtual": f"{places.DISTRIBUTION}[bench]", "dev": f"{places.DISTRIBUTION}[virtual]"}
    assert metadata.version(places.DISTRIBUTION), "make bootstrap"
