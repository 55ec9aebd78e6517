"""Builds the firmware with a small change: what the change touches is compiled anew, the rest is the normal build's.

What is compiled, from which headers, and how it is linked is what ninja says of the normal build (`-t commands`,
`-t deps`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from hil.image.build import FIRMWARE, build
from hil.image.workplace import Workplace, workplace

PROJECT = Path(__file__).resolve().parents[1]
KERNELS = "submodules/tensorflow/tensorflow/lite/micro/kernels"
TARGETS = {"native": "native", "qemu": "mps2-an386"}  # board: what its firmware is built for
_COMMAND_S = 300


@dataclass(frozen=True)
class Edit:
    """`old`, which must occur exactly once in `file`, becomes `new`."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        count = text.count(self.old)
        assert count == 1, f"{self.file}: the text to edit occurs {count} times; adapt this defect:\n{self.old}"
        return text.replace(self.old, self.new)

    @property
    def compiled(self) -> bool:
        """By a compiler, and not what CMake, a generator or the linker reads."""
        return self.file.endswith((".c", ".cc", ".cpp", ".h"))


class Workbench:
    """Changes of the firmware for one target, made beside its normal build; any number at a time.

    A change of what CMake or a generator reads is made in a configured copy, which costs as much as ten images.
    """

    def __init__(self, target: str, image: Path, folder: Path) -> None:
        """image: the target's normal build. folder: for the copy, should it be needed."""
        self._target, self._image, self._folder = target, image, folder
        self._recipes: dict[str, _Recipe] = {}
        self._looking_up = Lock()  # some tests have their images built ahead, by a thread

    def image(self, edits: tuple[Edit, ...], kernels: tuple[Edit, ...], to: Path, name: str = FIRMWARE) -> Path:
        """The firmware with these edits, of its sources and of TFLM's, as an ELF in the folder `to`. name: which of
        CMake's images.
        """
        if not all(edit.compiled for edit in edits):
            assert not kernels, "no row changes both"
            return self._configured.image(edits, to, name)
        with TemporaryDirectory(dir=to, prefix="build-") as scratch:
            return self._recipe(name).image(edits, kernels, Path(scratch), to / "defect.elf")

    def _recipe(self, name: str) -> _Recipe:
        with self._looking_up:
            if name not in self._recipes:
                normal = self._image if name == FIRMWARE else build(self._target, PROJECT, image=name)
                self._recipes[name] = _Recipe(normal, workplace(PROJECT, self._target))
            return self._recipes[name]

    @cached_property
    def _configured(self) -> ConfiguredCopy:
        return ConfiguredCopy(self._target, self._image, self._folder)


class _Recipe:
    """How one image of the normal build was made: the commands in ninja's order, and what each object was made from."""

    def __init__(self, image: Path, place: Workplace) -> None:
        """place: with the paths that the tools were told of."""
        self._folder, self._sources, self._tflm = image.parent, place.firmware, place.build / "tflm-crate" / "tfmicro"
        listed = _run(["ninja", "-t", "commands", image.name], self._folder).splitlines()
        self._compile: dict[str, list[str]] = {}  # by object
        self._archive: dict[str, list[list[str]]] = {}  # by archive; the last one stands for the image
        for words in map(shlex.split, listed):
            if "-c" in words and "&&" not in words:
                self._compile[words[words.index("-o") + 1]] = words
            elif "qc" in words:
                self._archive[words[words.index("qc") + 1]] = list(_commands(words))
        (self._link,) = _commands(shlex.split(listed[-1]))
        self._output = self._link[self._link.index("-o") + 1]
        (self._map,) = (word for word in self._link if word.startswith("-Wl,-Map="))
        self._made_from = _dependencies(_run(["ninja", "-t", "deps"], self._folder))

    def image(self, edits: Sequence[Edit], kernels: Sequence[Edit], scratch: Path, to: Path) -> Path:
        """scratch: an empty folder."""
        shutil.copytree(self._sources, scratch / "firmware", ignore=shutil.ignore_patterns("__pycache__"))
        for kernel in kernels:
            (scratch / "tfmicro" / kernel.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._tflm / kernel.file, scratch / "tfmicro" / kernel.file)
        _apply(edits, scratch / "firmware")
        _apply(kernels, scratch / "tfmicro")
        changed = self._objects_of({str(self._sources / edit.file) for edit in edits})
        changed |= self._objects_of({str(self._tflm / kernel.file) for kernel in kernels})
        made = {name: str(scratch / "objects" / name) for name in changed}
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(lambda name: self._compile_again(name, made[name], kernels, scratch), made))
        for archive, commands in self._archive.items():
            if not changed.isdisjoint(word for command in commands for word in command):
                made[archive] = str(scratch / "archives" / archive)
                for command in commands:
                    self._again(command, made)
        self._again(self._link, {**made, self._output: str(to), self._map: f"-Wl,-Map={scratch}/image.map"})
        return to

    def _objects_of(self, files: set[str]) -> set[str]:
        """What is made from these files. Raises AssertionError for a file from which nothing of the image is made."""
        found = {name for name in self._compile if not files.isdisjoint(self._made_from[name])}
        used = {file for name in found for file in self._made_from[name]}
        assert files <= used, f"nothing of {self._output} is made from {', '.join(sorted(files - used))}"
        return found

    def _compile_again(self, name: str, made: str, kernels: Sequence[Edit], scratch: Path) -> None:
        """The copy's source with the copy's headers. Its paths in the image are those of the checkout."""
        words = [word.replace(str(self._sources), f"{scratch}/firmware") for word in self._compile[name]]
        edited = {str(self._tflm / kernel.file): str(scratch / "tfmicro" / kernel.file) for kernel in kernels}
        words += [f"-ffile-prefix-map={scratch}/=", f"-ffile-prefix-map={scratch}/tfmicro/=build/tflm-crate/tfmicro/"]
        self._again(words, {name: made, f"{name}.d": f"{made}.d", **edited})

    def _again(self, command: Sequence[str], instead: Mapping[str, str]) -> None:
        for place in instead.values():
            if place.startswith("/"):
                Path(place).parent.mkdir(parents=True, exist_ok=True)
        _run([instead.get(word, word) for word in command], self._folder)


def _commands(words: Sequence[str]) -> Iterator[list[str]]:
    """Those that a line joins with &&; ninja puts a `:` on both sides of them."""
    command: list[str] = []
    for word in [*words, "&&"]:
        if word != "&&":
            command.append(word)
        else:
            if command not in ([], [":"]):
                yield command
            command = []


def _dependencies(told: str) -> dict[str, set[str]]:
    """Of each object the files that it was made from, as `ninja -t deps` lists them."""
    found: dict[str, set[str]] = {}
    files: set[str] = set()
    for line in told.splitlines():
        if line.startswith(" "):
            files.add(line.strip())
        elif line:
            name, state = line.split(": #deps ")
            files = found.setdefault(name, set())
            assert state.endswith("(VALID)"), f"ninja does not know what {name} was made from: {state}"
    return found


def _apply(edits: Sequence[Edit], folder: Path) -> None:
    for edit in edits:
        file = folder / edit.file
        file.write_text(edit.apply(file.read_text(encoding="utf-8")), encoding="utf-8")


class ConfiguredCopy:
    """A copy of the firmware for one target that CMake configures, with the TFLM of the normal build."""

    def __init__(self, target: str, image: Path, folder: Path, flags: str = "") -> None:
        """image: the target's normal build. flags: further ones, of compiler and linker."""
        self._sources, self._build = folder / "firmware", folder / "build" / "firmware" / target
        self._one_at_a_time = Lock()
        shutil.copytree(PROJECT / "firmware", self._sources)
        # The image says of TFLM what the normal one says: it is the same.
        told = (("own folder, unchecked", "tfmicro 0.1.0"), ("prebuilt archive", "${tflm_flags} -std=c++11 -DNDEBUG"))
        _apply([Edit("tflm/CMakeLists.txt", *each) for each in told], self._sources)
        place = workplace(PROJECT, target)
        settings = {"HIL_TFLM_DIR": place.build / "tflm-crate" / "tfmicro", "Python3_EXECUTABLE": sys.executable}
        settings |= {"HIL_TFLM_ARCHIVE": image.parent / "tflm" / "libtflm.a"}
        settings |= {"CMAKE_CXX_FLAGS": flags, "CMAKE_EXE_LINKER_FLAGS": flags} if flags else {}
        _run(["cmake", "--preset", target, *(f"-D{key}={value}" for key, value in settings.items())], self._sources)

    def image(self, edits: tuple[Edit, ...], to: Path, name: str = FIRMWARE) -> Path:
        """As of a workbench. The sources are as before afterwards."""
        with self._one_at_a_time, self._edited(edits):
            _run(["ninja", name], self._build)
            return Path(shutil.copy(self._build / f"{name}.elf", to / "defect.elf"))

    @contextmanager
    def _edited(self, edits: tuple[Edit, ...]) -> Iterator[None]:
        before: dict[Path, str] = {}
        try:
            for edit in edits:
                file = self._sources / edit.file
                before.setdefault(file, file.read_text(encoding="utf-8"))
            _apply(edits, self._sources)
            yield
        finally:
            for file, text in before.items():
                file.write_text(text, encoding="utf-8")


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_COMMAND_S, check=False)
    assert done.returncode == 0, f"{' '.join(command[:3])} failed:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout
