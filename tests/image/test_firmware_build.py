"""`build` with real CMake and ninja on a small project: quick when warm, right after every kind of interruption."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tflm_libraries import ROWS, SOURCES, make_headers, make_library

from hil.errors import BuildError, MissingTool, UsageError
from hil.image.build import build
from hil.image.elf import Image
from hil.image.tflm import Tflm
from hil.image.toolchain import CARGO, CMAKE, require_tools

PRESETS = {
    "version": 3,
    "configurePresets": [
        {
            "name": "native",
            "generator": "Ninja",
            "binaryDir": "${sourceDir}/../build/firmware/${presetName}",
            "cacheVariables": {"ANSWER": "1"},
        }
    ],
    "buildPresets": [{"name": "native", "configurePreset": "native"}],
}
LISTS = """\
cmake_minimum_required(VERSION 3.21)
project(small C)
file(APPEND ${CMAKE_CURRENT_BINARY_DIR}/configured.txt "${Python3_EXECUTABLE}\\n")
add_executable(hil_firmware main.c)
target_compile_definitions(hil_firmware PRIVATE ANSWER=${ANSWER})
target_link_options(hil_firmware PRIVATE LINKER:--defsym=answer=${ANSWER})
set_target_properties(hil_firmware PROPERTIES SUFFIX .elf)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with the smallest firmware there is."""
    firmware = tmp_path / "checkout" / "firmware"
    firmware.mkdir(parents=True)
    (firmware / "CMakePresets.json").write_text(json.dumps(PRESETS))
    (firmware / "CMakeLists.txt").write_text(LISTS)
    (firmware / "main.c").write_text("int main(void) { return ANSWER; }\n")
    return tmp_path / "checkout"


def configured(root: Path) -> list[str]:
    """One line for each time that CMake configured."""
    return (root / "build" / "firmware" / "native" / "configured.txt").read_text().splitlines()


def test_builds_once_and_is_then_warm(root: Path) -> None:
    image = build("native", root)
    first = image.stat().st_mtime_ns
    assert Image(image).symbol("answer") == 1
    assert build("native", root) == image
    assert image.stat().st_mtime_ns == first
    assert configured(root) == [sys.executable]
    assert "no work to do" in (root / "build/firmware/native.log").read_text()


def test_changed_source_is_built_again(root: Path) -> None:
    first = Image(build("native", root)).sha256
    (root / "firmware/main.c").write_text("int main(void) { return 7; }\n")
    assert Image(build("native", root)).sha256 != first


def test_changed_presets_and_python_configure_again(root: Path, tmp_path: Path) -> None:
    build("native", root)
    changed = json.dumps(PRESETS).replace('"ANSWER": "1"', '"ANSWER": "2"')
    (root / "firmware/CMakePresets.json").write_text(changed)
    assert Image(build("native", root)).symbol("answer") == 2
    other = tmp_path / "python3"
    other.symlink_to(sys.executable)
    build("native", root, python=other)
    assert configured(root) == [sys.executable, sys.executable, str(other)]


def test_compiler_error_is_shown_with_its_log(root: Path, tmp_path: Path) -> None:
    (root / "firmware/main.c").write_text("int main(void) { return missing_thing; }\n")
    log = tmp_path / "logs" / "build.log"
    with pytest.raises(BuildError) as caught:
        build("native", root, log=log)
    assert "error: 'missing_thing' undeclared" in str(caught.value)
    assert str(log) in str(caught.value)
    (root / "firmware/main.c").write_text("int main(void) { return 0; }\n")
    assert build("native", root).is_file()


def test_configure_error_is_shown_and_leaves_nothing_half_done(root: Path) -> None:
    lists = root / "firmware/CMakeLists.txt"
    lists.write_text(LISTS + 'message(FATAL_ERROR "no such thing here")\n')
    with pytest.raises(BuildError, match="CMake Error"):
        build("native", root)
    lists.write_text(LISTS)
    assert build("native", root).is_file()


def test_build_without_the_elf_says_so(root: Path) -> None:
    lists = root / "firmware/CMakeLists.txt"
    lists.write_text(LISTS.replace("SUFFIX .elf", "SUFFIX .axf"))
    with pytest.raises(BuildError, match=r"made no .*hil_firmware\.elf"):
        build("native", root)


def test_moved_checkout_is_configured_for_its_new_place(root: Path, tmp_path: Path) -> None:
    build("native", root)
    moved = tmp_path / "elsewhere"
    shutil.move(root, moved)
    (moved / "firmware/main.c").write_text("int main(void) { return 9; }\n")
    image = build("native", moved)
    assert image.is_relative_to(moved)
    assert subprocess.run([image], check=False).returncode == 9


def test_half_configured_folder_is_configured_again(root: Path) -> None:
    build("native", root)
    folder = root / "build/firmware/native"
    (folder / ".hil-configured").unlink()  # as it is before configuring has come to its end
    cache = (folder / "CMakeCache.txt").read_text()
    (folder / "CMakeCache.txt").write_text(cache.replace("ANSWER:UNINITIALIZED=1", "ANSWER:UNINITIALIZED=5")[:-200])
    (folder / "build.ninja").write_text("this is half a file")
    assert Image(build("native", root)).symbol("answer") == 1


def test_flags_of_the_user_do_not_reach_the_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Image(build("native", root)).sha256
    shutil.rmtree(root / "build")
    for name in ("CFLAGS", "LDFLAGS", "CPATH"):
        monkeypatch.setenv(name, "-this-is-no-flag")
    assert Image(build("native", root)).sha256 == first


def test_unknown_target_lists_the_known(root: Path) -> None:
    with pytest.raises(UsageError, match=r"CMakePresets\.json: no preset 'nativ'; there are native\n  fix: "):
        build("nativ", root)


def test_missing_tools_are_named_with_one_command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with pytest.raises(MissingTool, match=r"cmake is needed to build the firmware.*\n  fix: .*cmake g\+\+ ninja-build"):
        build("native", root)
    assert not (root / "build").exists()


def test_a_tool_that_does_not_answer_is_told_from_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As rustup's cargo without a toolchain."""
    cargo = tmp_path / "cargo"
    cargo.write_text("#!/bin/sh\necho no default toolchain >&2; exit 1\n")
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UsageError, match="is there, but does not answer\n  fix: see what `cargo --version` says"
    ) as caught:
        require_tools((CARGO,))
    assert str(cargo) in str(caught.value)


def test_second_run_waits_for_the_first(root: Path) -> None:
    (root / "build").mkdir()
    said, waiting = [], threading.Event()

    def say(text: str) -> None:
        said.append(text)
        waiting.set()

    with (root / "build/firmware.lock").open("a") as other_run:
        fcntl.flock(other_run, fcntl.LOCK_EX)
        images: list[Path] = []
        thread = threading.Thread(target=lambda: images.append(build("native", root, say=say)))
        thread.start()
        assert waiting.wait(20)
        assert said == ["another run is building the firmware; waiting for it"]
        assert not (root / "build/firmware/native").exists()
    thread.join(60)
    assert images[0].is_file()


def test_interruption_stops_the_compiler_too(root: Path, tmp_path: Path) -> None:
    started, slow = tmp_path / "pid", tmp_path / "slow.sh"
    slow.write_text(f"echo $$ > {started}\nexec sleep 100\n")
    (root / "firmware/CMakeLists.txt").write_text(LISTS + f"add_custom_target(slow ALL COMMAND sh {slow})\n")
    code = f"import pathlib; from hil.image.build import build; build('native', pathlib.Path({str(root)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as run:
        try:
            pid = int(observe(lambda: started.exists() and started.read_text().strip()))
        finally:
            run.send_signal(signal.SIGINT)
        assert run.wait(20) != 0
    observe(lambda: not is_running(pid))


def observe(condition: Callable[[], object], limit_s: float = 20.0) -> str:
    """Wait until the condition gives something true, and return that."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if value := condition():
            return str(value)
        time.sleep(0.01)
    raise AssertionError("did not happen in time")


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_tool_table_asks_for_the_cmake_that_the_firmware_needs() -> None:
    presets = json.loads((Path(__file__).parents[2] / "firmware/CMakePresets.json").read_text())
    wanted = presets["cmakeMinimumRequired"]
    assert CMAKE.minimum >= (wanted["major"], wanted["minor"])


# ---- another TFLM


@pytest.fixture
def upstream(root: Path, tmp_path: Path) -> Tflm:
    """A library for the host, and what the small firmware needs to take one."""
    firmware = root / "firmware"
    for folder in ("cmake", "port/native", "tflm"):
        (firmware / folder).mkdir(parents=True)
    shutil.copy(ROWS.parents[1] / "cmake/machine_flags.cmake", firmware / "cmake")
    shutil.copy(ROWS, firmware / "tflm")
    (firmware / "port/native/port.cmake").write_text("set(HIL_MACHINE_FLAGS -fno-pie)\n")
    library = make_library(tmp_path / "library", flags=("-fno-pie",), prefix="")
    return Tflm("upstream", (make_headers(tmp_path / "tflm"),), (library,))


def times_configured(image: Path) -> int:
    return len((image.parent / "configured.txt").read_text().splitlines())


def test_two_engines_do_not_build_each_other_again(root: Path, upstream: Tflm) -> None:
    own, other = build("native", root), build("native", root, tflm=upstream)
    built = own.stat().st_mtime_ns, other.stat().st_mtime_ns
    assert own.parent != other.parent
    assert (build("native", root), build("native", root, tflm=upstream)) == (own, other)
    assert (own.stat().st_mtime_ns, other.stat().st_mtime_ns) == built
    assert (times_configured(own), times_configured(other)) == (1, 1)


def test_a_library_that_was_built_again_is_looked_at_again(root: Path, upstream: Tflm) -> None:
    image = build("native", root, tflm=upstream)
    make_library(upstream.library[0].parent, SOURCES | {"more": "int more = 1;"}, flags=("-fno-pie",), prefix="")
    assert build("native", root, tflm=upstream) == image
    assert times_configured(image) == 2


def test_a_library_that_does_not_do_stops_before_anything_is_configured(root: Path, upstream: Tflm) -> None:
    make_library(upstream.library[0].parent)  # an Arm one
    with pytest.raises(UsageError, match="built for Arm, the target is"):
        build("native", root, tflm=upstream)
    assert not (root / "build/firmware" / f"native{upstream.key}").exists()
