"""The firmware of an installed hil is built in the cache: real CMake, ninja and gcc on a small project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from read_only import read_only

from hil.errors import UsageError
from hil.image.build import build
from hil.image.workplace import workplace

PRESETS = {
    "version": 3,
    "configurePresets": [
        {"name": "native", "generator": "Ninja", "binaryDir": "${sourceDir}/../build/firmware/${presetName}"}
    ],
}
LISTS = """\
cmake_minimum_required(VERSION 3.21)
project(small C)
add_executable(hil_firmware main.c)
set_target_properties(hil_firmware PROPERTIES SUFFIX .elf)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hil"


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """As it lies in site-packages, in a folder whose path no build tool would take."""
    package = tmp_path / 'it;s "called"' / "hil"
    firmware = package / "kit" / "firmware"
    firmware.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (firmware / "CMakePresets.json").write_text(json.dumps(PRESETS))
    (firmware / "CMakeLists.txt").write_text(LISTS)
    (firmware / "main.c").write_text("int main(void) { return 7; }\n")
    return package / "kit"


def code_of(image: Path) -> int:
    return subprocess.run([image], check=False).returncode


def folders(cache: Path) -> list[Path]:
    return sorted(folder for folder in cache.iterdir() if folder.name != "tflm-crate")


@pytest.mark.slow
def test_it_is_built_in_the_cache_and_nothing_is_written_beside_the_package(kit: Path, cache: Path) -> None:
    with read_only(kit.parent):
        image = build("native", kit)
        first = image.stat().st_mtime_ns
        assert build("native", kit) == image
    assert image.is_relative_to(cache)
    assert image.stat().st_mtime_ns == first, "a second build has nothing to do"
    assert code_of(image) == 7
    assert [path.name for path in kit.iterdir()] == ["firmware"]


@pytest.mark.slow
def test_other_sources_are_built_elsewhere_so_that_an_upgrade_changes_no_image(kit: Path, cache: Path) -> None:
    before = build("native", kit)
    (kit / "firmware" / "main.c").write_text("int main(void) { return 9; }\n")
    assert code_of(build("native", kit)) == 9
    assert code_of(before) == 7
    assert len(folders(cache)) == 2


@pytest.mark.slow
def test_the_same_sources_in_another_environment_are_built_once(kit: Path, cache: Path, tmp_path: Path) -> None:
    image = build("native", kit)
    first = image.stat().st_mtime_ns
    shutil.copytree(kit.parent, tmp_path / "other" / "hil")
    assert build("native", tmp_path / "other" / "hil" / "kit") == image
    assert image.stat().st_mtime_ns == first


def test_another_compiler_has_a_folder_of_its_own(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = workplace(kit, "native")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "g++").symlink_to(str(shutil.which("g++")))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert workplace(kit, "native") != first


def test_all_folders_share_one_tflm(kit: Path, cache: Path) -> None:
    one = workplace(kit, "native")
    (kit / "firmware" / "more.c").write_text("")
    two = workplace(kit, "native")
    assert one != two
    for place in (one, two):
        assert (place.build / "tflm-crate").resolve() == (cache / "tflm-crate").resolve()


@pytest.mark.slow
def test_processes_that_build_at_once_for_the_first_time_all_get_the_image(kit: Path, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from hil.image.build import build\n"
        "print(build('native', Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(kit)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 4, answers
    (image,) = {out.strip() for out, _ in answers}
    assert code_of(Path(image)) == 7
    assert len(folders(cache)) == 1, "no half-made copy is left"


def test_a_copy_that_somebody_changed_is_told(kit: Path) -> None:
    copy = workplace(kit, "native").firmware
    (copy / "main.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(UsageError, match=rf"no longer the sources that hil came with\n  fix: remove {copy.parent}"):
        workplace(kit, "native")


def test_a_cache_that_cannot_be_written_is_told(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shut = tmp_path / "shut"
    shut.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(shut))
    with read_only(shut), pytest.raises(UsageError) as caught:
        workplace(kit, "native")
    assert "hil is installed as a package, which is not built in, and" in str(caught.value)
    assert "fix: set XDG_CACHE_HOME" in str(caught.value)


def test_a_cache_with_a_path_that_tools_take_apart_is_told(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a;b"))
    with pytest.raises(UsageError, match=r"take apart\n  fix: set XDG_CACHE_HOME"):
        workplace(kit, "native")
