"""Knows how a target's firmware is built: the CMake preset of that name in `firmware/`, one at a time in a place."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from pathlib import Path

from hil.errors import BuildError, MissingTool, UsageError
from hil.image.library import examine, machine_flags
from hil.image.tflm import TFLM_2020, Tflm
from hil.image.toolchain import (
    ARM_GCC,
    CARGO,
    HOST_GCC,
    HOST_TARGETS,
    Tool,
    identity,
    require_programs,
    require_tools,
    tools_of_target,
)
from hil.image.workplace import workplace

# CMake's names of the images: the firmware, and the one that also has the operators of our own and takes several
# tensors.
FIRMWARE, WITH_KERNELS = "hil_firmware", "hil_firmware_kernels"
# Set by a user for other projects, these would quietly change the image.
_UNWANTED_FLAGS = ("CC", "CXX", "ASM", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "ASMFLAGS", "LDFLAGS")
_UNWANTED_PATHS = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH")
_UNWANTED_CMAKE = ("CMAKE_GENERATOR", "CMAKE_TOOLCHAIN_FILE", "CMAKE_BUILD_TYPE", "NINJA_STATUS")
_UNWANTED = frozenset((*_UNWANTED_FLAGS, *_UNWANTED_PATHS, *_UNWANTED_CMAKE))
_TELLING = re.compile(r"error:|CMake Error|undefined reference|region .* overflowed|multiple definition|: not found")
_FETCH = "fetch_tflm.py: "
_LAST_LINES = 12


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def build(
    target: str,
    root: Path,
    python: Path = Path(sys.executable),
    log: Path | None = None,
    say: Callable[[str], None] = _say,
    copy_to: Path | None = None,
    tflm: Tflm = TFLM_2020,
    image: str = FIRMWARE,
    needed: Sequence[str] = (),
) -> Path:
    """Build the firmware for `target` and return the path of its ELF; quick when nothing changed.

    root: a checkout of hil, or the kit of an installed one; its `firmware/` holds the sources, `build/` takes the
    result, or a folder of the user's cache does (hil.image.workplace). python: runs the code generators. log: where
    the compiler's words go, by default `build/firmware/<folder>.log`. say: told when the call has to wait.
    copy_to: have the ELF there, a copy that no later build changes.
    tflm: which TensorFlow Lite Micro; each has a folder of its own below `build/firmware`.
    image: which; all are built in the same folder, and those other than FIRMWARE only when asked for. What they share,
    TFLM above all, is compiled once.
    needed: cut the image to these operators, by their names in TFLite's schema; by default it has all.
    Raises UsageError for an unknown target or a TFLM library that does not do, MissingTool, and BuildError with the
    compiler's errors and the log's path.
    """
    _check_preset(root / "firmware", target)
    check_programs(target)
    place = workplace(root, target)
    firmware, folder = place.firmware, place.folder(target, tflm.key)
    log = log or folder.with_name(f"{folder.name}.log")
    for parent in (folder.parent, log.parent):
        parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.lock, say):
        log.write_bytes(b"")
        fingerprint = _fingerprint(firmware, target, python, tflm)
        if _configured(folder) != fingerprint:
            require_tools(_tools(target, tflm))
            if tflm.upstream:
                compiler = (HOST_GCC if target in HOST_TARGETS else ARM_GCC).program
                rows = firmware / "tflm" / "upstream_operators.inc"
                examine(tflm, compiler, machine_flags(firmware, target), rows)
            say(f"configuring the firmware for {target}")
            _configure(firmware, folder, target, python, log, tflm)
            _mark(folder).write_text(fingerprint, encoding="utf-8")
        if needed:
            image = f"{image}_cut"
            _write_needed(folder / "generated" / "needed_operators.inc", needed)
        wanted = [] if image == FIRMWARE else ["--target", image]
        _run(["cmake", "--build", str(folder), *wanted], firmware, log, target)
        built = _result(folder / f"{image}.elf", log)
        return built if copy_to is None else Path(shutil.copy2(built, copy_to))


def _write_needed(file: Path, operators: Sequence[str]) -> None:
    """The rows that firmware/tflm/needed.h reads; left alone when they are there, so that nothing is compiled again."""
    rows = "".join(f"HIL_NEEDED({name})\n" for name in sorted({*operators}))
    if not file.is_file() or file.read_text(encoding="utf-8") != rows:
        file.write_text(rows, encoding="utf-8")


def _tools(target: str, tflm: Tflm) -> tuple[Tool, ...]:
    return tuple(tool for tool in tools_of_target(target) if tool is not CARGO or not tflm.upstream)


def check_programs(target: str) -> None:
    """Raise MissingTool for a program that every build for `target` needs, a warm one too. Starts nothing."""
    require_programs(tuple(tool for tool in tools_of_target(target) if tool is not CARGO))


def _check_preset(firmware: Path, target: str) -> None:
    known = preset_names(firmware / "CMakePresets.json")
    if target not in known:
        raise UsageError(
            f"{firmware / 'CMakePresets.json'}: no preset {target!r}; there are {', '.join(known) or 'none'}\n"
            f"  fix: set the board's target to one of them, or add the preset (docs/boards.md)"
        )


def preset_names(file: Path) -> list[str]:
    """Names of the targets that a CMakePresets.json can configure. Raises UsageError when it cannot be read."""
    try:
        presets = json.loads(file.read_text(encoding="utf-8")).get("configurePresets", [])
        return sorted(preset["name"] for preset in presets if not preset.get("hidden", False))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"{file}: not a readable CMake presets file ({error})\n  fix: restore it from git") from error


@contextmanager
def _locked(file: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file. The kernel lets go of it when the process ends, however it ends."""
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run is building the firmware; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _mark(folder: Path) -> Path:
    """Written when configuring came to its end; holds what it was made from."""
    return folder / ".hil-configured"


def _fingerprint(firmware: Path, target: str, python: Path, tflm: Tflm) -> str:
    """All that needs a new configuration and that ninja does not watch itself."""
    presets = hashlib.sha256((firmware / "CMakePresets.json").read_bytes()).hexdigest()
    tools = [identity(shutil.which(tool.program)) for tool in tools_of_target(target) if tool is not CARGO]
    engine = [tflm.engine, *map(str, tflm.headers), *(identity(str(file)) for file in tflm.library)]
    return json.dumps([str(firmware.absolute()), str(firmware.resolve()), str(python), presets, tools, engine])


def _configured(folder: Path) -> str | None:
    mark = _mark(folder)
    return mark.read_text(encoding="utf-8") if mark.is_file() and (folder / "build.ninja").is_file() else None


def _configure(firmware: Path, folder: Path, target: str, python: Path, log: Path, tflm: Tflm) -> None:
    """Configure from nothing: a cache left by an interruption, another compiler or path is not to be trusted."""
    _mark(folder).unlink(missing_ok=True)
    (folder / "CMakeCache.txt").unlink(missing_ok=True)
    shutil.rmtree(folder / "CMakeFiles", ignore_errors=True)
    options = [f"-DPython3_EXECUTABLE={python}"]
    if tflm.upstream:
        options += [f"-DHIL_TFLM={tflm.engine}", f"-DHIL_TFLM_INCLUDE={_cmake_list(tflm.include)}"]
        options += [f"-DHIL_TFLM_LIBRARY={_cmake_list(tflm.library)}"]
    _run(["cmake", "--preset", target, "-S", str(firmware), "-B", str(folder), *options], firmware, log, target)


def _cmake_list(paths: tuple[Path, ...]) -> str:
    return ";".join(str(path.absolute()) for path in paths)


def _result(image: Path, log: Path) -> Path:
    if not image.is_file():
        raise BuildError(
            f"the build ended without an error, but made no {image}\n  log: {log}\n  next: look at the log"
        )
    return image


def _run(command: list[str], directory: Path, log: Path, target: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
    environment["LC_ALL"] = "C"  # the errors are searched for by their English words
    with log.open("ab") as output:
        output.write(f"$ {' '.join(command)}\n".encode())
        output.flush()
        status = _call(command, directory, environment, output.fileno())
    if status != 0:
        raise BuildError(
            f"the firmware for {target} did not build: {' '.join(command[:2])} ended with code {status}\n"
            f"{_telling_lines(log)}\n  log: {log}"
        )


def _call(command: list[str], directory: Path, environment: dict[str, str], output: int) -> int:
    """Run to the end; on an interruption stop the whole group, so that no compiler goes on without the lock."""
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise MissingTool(command[0], "to build the firmware", f"install {command[0]}") from error
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise


def _told(lines: Sequence[str]) -> Iterator[str]:
    """What firmware/tflm/fetch_tflm.py says when it has no sources, with the next step."""
    begun = dropwhile(lambda line: not line.startswith(_FETCH), lines)
    yield from (line.removeprefix(_FETCH) for line in takewhile(lambda line: not line.startswith("CMake Error"), begun))


def _telling_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if told := list(_told(lines)):
        return "\n".join(f"  {line}" for line in told[:_LAST_LINES])
    telling = [line for line in lines if _TELLING.search(line)]
    return "\n".join(f"  {line}" for line in (telling or lines)[-_LAST_LINES:])
