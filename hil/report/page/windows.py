"""Reads single windows of a case's vectors, and only when the file is the one that the run was made with."""

from __future__ import annotations

import hashlib
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hil.errors import UsageError
from hil.runfile import Case

_MEMBER = "windows.npy"
_OF_INPUT, _END = "windows.", ".npy"  # and the name of an input between them, where there are several
_LARGEST_WINDOW = 1 << 22  # bytes; a device takes 40,000
_FIX = "  fix: start `hil report` where the run was started, with the case as it was, or name the folder with --root"


def read_windows(case: Case, root: Path, rows: Sequence[int]) -> Mapping[str, Mapping[int, NDArray[Any]]]:
    """The windows of some vectors, by the name of the input, which of the only one is "". root: what `case.path` is
    relative to.

    Raises UsageError when the case is not there, is not the one of the run, or holds no such window.
    """
    file = _vectors_file(case, root)
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != case.manifest.files.get(file.name):
                raise UsageError(f"{file} is not the file of this run: its SHA-256 is another\n{_FIX}")
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                return {name: _of_member(archive, each, rows) for each, name in _members(archive)}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UsageError(f"{file}: {error}\n{_FIX}") from error


def _members(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """Members with windows, and the name of the input that each is of."""
    names = archive.namelist()
    several = [(name, name[len(_OF_INPUT) : -len(_END)]) for name in names if name.startswith(_OF_INPUT)]
    return [(_MEMBER, "")] if _MEMBER in names or not several else several


def _of_member(archive: zipfile.ZipFile, name: str, rows: Sequence[int]) -> Mapping[int, NDArray[Any]]:
    with archive.open(name) as member:
        return _rows(member, sorted(set(rows)))


def _vectors_file(case: Case, root: Path) -> Path:
    """The file that case.toml names. It must lie in the case's folder, as the run's manifest lists it."""
    toml = root / case.path
    try:
        data = toml.read_bytes()
        if hashlib.sha256(data).hexdigest() != case.manifest.files.get(toml.name):
            raise UsageError(f"{toml} is not the file of this run: its SHA-256 is another\n{_FIX}")
        name = str(tomllib.loads(data.decode("utf-8-sig")).get("input", {}).get("vectors", "vectors.npz"))
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{toml}: {error}\n{_FIX}") from error
    if len(PurePosixPath(name).parts) != 1 or name not in case.manifest.files:
        raise UsageError(f"{toml}: {name} is no file of this run\n{_FIX}")
    return toml.parent / name


def _rows(member: IO[bytes], rows: Sequence[int]) -> Mapping[int, NDArray[Any]]:
    """Rows of an array in .npy format, reading forwards: nothing but these rows is kept."""
    version = np.lib.format.read_magic(member)  # type and shape come before the data
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(member)
    size = int(np.prod(shape[1:])) * dtype.itemsize
    if dtype.hasobject or fortran or len(shape) < 2 or not 0 < size <= _LARGEST_WINDOW:
        raise ValueError(f"windows of type {dtype} and shape {shape} cannot be drawn")
    start, found = member.tell(), {}
    for row in rows:
        if row >= shape[0]:
            raise ValueError(f"has {shape[0]:,} windows, but the run had a vector {row:,}")
        member.seek(start + row * size)
        data = member.read(size)
        if len(data) != size:
            raise ValueError("the windows end too early")
        found[row] = np.frombuffer(data, dtype).reshape(shape[1:])
    return found
