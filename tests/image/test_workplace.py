"""Where firmware is built when the checkout does not do: real CMake, ninja and gcc on a small project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from read_only import read_only

from hil.errors import UsageError
from hil.image.build import build
from hil.image.elf import Image

pytestmark = pytest.mark.slow

PRESETS = {
    "version": 3,
    "configurePresets": [
        {"name": "native", "generator": "Ninja", "binaryDir": "${sourceDir}/../build/firmware/${presetName}"}
    ],
    "buildPresets": [{"name": "native", "configurePreset": "native"}],
}
# As the real one: a linker script and a path map, both with a path of the checkout.
LISTS = """\
cmake_minimum_required(VERSION 3.21)
project(small C)
add_executable(hil_firmware main.c)
target_compile_options(hil_firmware PRIVATE "-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=")
target_link_options(hil_firmware PRIVATE "-T${CMAKE_CURRENT_LIST_DIR}/add.ld")
set_target_properties(hil_firmware PROPERTIES SUFFIX .elf)
"""
NAMES = {
    "plain": "checkout",
    "space": "my checkout",
    "comma": "a,b",
    "equals": "a=b",
    "single quote": "it's",
    "double quote": 'so "called"',
    "hash": "issue #1",
    "percent": "50 %d%41",
    "dollar": "$HOME ${x}",
    "semicolon": "a;b",
    "backslash": "a\\b",
    "not ASCII": "Pr\u00fcfstand \u65e5\u672c",
    "leading dash": "-o out",
    "brackets": "a(b)[c]{d}<e>&|*?",
    "colon": "a:b",
    "long": "/".join(["l" * 60] * 4),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def checkout(folder: Path) -> Path:
    firmware = folder / "firmware"
    firmware.mkdir(parents=True)
    (firmware / "CMakePresets.json").write_text(json.dumps(PRESETS))
    (firmware / "CMakeLists.txt").write_text(LISTS)
    (firmware / "add.ld").write_text("SECTIONS { mark = 42; } INSERT AFTER .data;\n")
    (firmware / "main.c").write_text("int main(void) { return 7; }\n")
    return folder


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_checkout_of_any_name_is_built(name: str, tmp_path: Path) -> None:
    root = checkout(tmp_path / name)
    image = build("native", root)
    assert subprocess.run([image], check=False).returncode == 7
    assert Image(image).symbol("mark") == 42
    first = image.stat().st_mtime_ns
    assert build("native", root) == image
    assert image.stat().st_mtime_ns == first
    (root / "firmware" / "main.c").write_text("int main(void) { return 9; }\n")
    assert subprocess.run([build("native", root)], check=False).returncode == 9


@pytest.mark.parametrize("name", ["plain", "comma", "not ASCII"])
def test_an_ordinary_checkout_is_built_in_its_own_folder(name: str, tmp_path: Path, cache: Path) -> None:
    root = checkout(tmp_path / NAMES[name])
    assert build("native", root).is_relative_to(root / "build")
    assert not cache.exists()


def test_two_checkouts_have_a_folder_each(tmp_path: Path, cache: Path) -> None:
    one, two = (build("native", checkout(tmp_path / name)) for name in ("a;1", "a;2"))
    assert one != two
    assert one.is_relative_to(cache)
    assert two.is_relative_to(cache)


def test_a_checkout_that_cannot_be_written_is_built_in_the_cache(tmp_path: Path, cache: Path) -> None:
    root = checkout(tmp_path / "checkout")
    with read_only(root):
        image = build("native", root)
        assert build("native", root) == image
        assert sorted(os.listdir(root)) == ["firmware"]
    assert image.is_relative_to(cache)
    assert subprocess.run([image], check=False).returncode == 7


def test_a_build_folder_of_somebody_else_is_left_alone(tmp_path: Path, cache: Path) -> None:
    root = checkout(tmp_path / "checkout")
    build("native", root)
    with read_only(root / "build"):
        assert build("native", root).is_relative_to(cache)


def test_without_any_place_it_is_said_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = checkout(tmp_path / "checkout")
    (tmp_path / "shut").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shut"))
    with read_only(root), read_only(tmp_path / "shut"), pytest.raises(UsageError) as caught:
        build("native", root)
    text = str(caught.value)
    assert f"the firmware cannot be built: {root} cannot be written, and {tmp_path / 'shut'}" in text
    assert "fix: set XDG_CACHE_HOME" in text
    assert "--hil-image=ELF" in text


def test_a_cache_with_a_path_of_its_own_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a;b"))
    with pytest.raises(UsageError, match=r"take apart\n  fix: set XDG_CACHE_HOME"):
        build("native", checkout(tmp_path / "c;d"))


def test_a_moved_checkout_is_another_one(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a;b")
    first = build("native", root)
    shutil.move(root, tmp_path / "c;d")
    (tmp_path / "c;d" / "firmware" / "main.c").write_text("int main(void) { return 3; }\n")
    second = build("native", tmp_path / "c;d")
    assert first != second
    assert subprocess.run([second], check=False).returncode == 3
