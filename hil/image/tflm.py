"""Knows which TensorFlow Lite Micro a firmware is built with: the one of 2020, or a library that the user has built."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hil.environment import environment_name
from hil.errors import UsageError

UPSTREAM = "upstream"
ENGINES = ("2020", UPSTREAM)
UPSTREAM_SYMBOL = "hil_engine_upstream"  # of an image with that engine
OPTIMISED = "hil_optimised_"  # begins a symbol, without memory, of each operator that has an optimised kernel there
TFLM_OPTIONS = {
    # name: help
    "hil-tflm": "TensorFlow Lite Micro of the firmware: 2020, or upstream, a library of today's that you have built",
    "hil-tflm-include": f"folders with the headers of that library, {os.pathsep!r} between them",
    "hil-tflm-library": f"that library, libtensorflow-microlite.a; several with {os.pathsep!r} between them",
}
GUIDE = "docs/upstream.md"
# Below a checkout of TFLM; what its Makefile downloads and its headers include.
_DOWNLOADS = Path("tensorflow/lite/micro/tools/make/downloads")
_DOWNLOADED = ("flatbuffers/include", "gemmlowp", "kissfft", "ruy")
_HEADERS = ("tensorflow/lite/micro/micro_interpreter.h", "flatbuffers/flatbuffers.h")


@dataclass(frozen=True)
class Tflm:
    """engine: one of ENGINES; of upstream also the folders of its headers and its archives."""

    engine: str = ENGINES[0]
    include: tuple[Path, ...] = ()
    library: tuple[Path, ...] = ()

    @property
    def upstream(self) -> bool:
        return self.engine != ENGINES[0]

    @property
    def key(self) -> str:
        """Ends the name of the folder in which images with it are built, so that two of them do not share one."""
        if not self.upstream:
            return ""
        paths = json.dumps([[str(path.absolute()) for path in paths] for paths in (self.include, self.library)])
        return f"-{self.engine}-{hashlib.sha256(paths.encode()).hexdigest()[:8]}"

    @property
    def headers(self) -> tuple[Path, ...]:
        """All folders with headers: those named, and what lies in a checkout of TFLM among them."""
        downloads = (folder / _DOWNLOADS / name for folder in self.include for name in _DOWNLOADED)
        return tuple(path.absolute() for path in (*self.include, *downloads) if path.is_dir())

    def check(self) -> None:
        """Raise UsageError when a file or folder of it is not there. Reads none."""
        if not self.upstream:
            if self.include or self.library:
                raise UsageError(
                    "headers or library of TFLM are given, and the engine is that of 2020\n"
                    f"  fix: --hil-tflm=upstream takes them ({GUIDE}); without it leave both out"
                )
            return
        self._check_library()
        self._check_headers()

    def _check_library(self) -> None:
        if not self.library:
            raise _missing("hil-tflm-library", "no library is named")
        for file in self.library:
            if not file.is_file():
                raise _missing("hil-tflm-library", f"no such file: {file}")

    def _check_headers(self) -> None:
        if not self.include:
            raise _missing("hil-tflm-include", "no folder with its headers is named")
        for folder in self.include:
            if not folder.is_dir():
                raise _missing("hil-tflm-include", f"no such folder: {folder}")
        for header in _HEADERS:
            if not any((folder / header).is_file() for folder in self.headers):
                raise _missing("hil-tflm-include", f"none of the folders has {header}")


TFLM_2020 = Tflm()


def tflm_of(options: Mapping[str, str], board: Tflm, folder: Path) -> Tflm:
    """What the options say over what the board's file says. Paths in options are relative to `folder`.

    Raises UsageError for an engine that there is not.
    """
    engine = options.get("hil-tflm") or board.engine
    if engine not in ENGINES:
        raise UsageError(f"--hil-tflm: {engine!r} is none of {', '.join(ENGINES)}")
    if options.get("hil-tflm") == ENGINES[0]:
        board = TFLM_2020
    include = _paths(options.get("hil-tflm-include", ""), folder) or board.include
    library = _paths(options.get("hil-tflm-library", ""), folder) or board.library
    return Tflm(engine, include, library)


def _paths(text: str, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / part for part in text.split(os.pathsep) if part)


def _missing(option: str, problem: str) -> UsageError:
    return UsageError(
        f"the firmware is to be built with today's TFLM, and {problem}\n"
        f"  fix: name it with --{option}=PATH, {environment_name(option)} or [tflm] of the board file; "
        f"{GUIDE} says how it is built"
    )
