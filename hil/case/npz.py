"""Reads an .npz of the user's: every array's header is judged before its data is read, nothing is ever unpickled."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.errors import CaseError
from hil.problems import Problem, raise_any

SAVE_FIX = "write the file with numpy.savez_compressed and plain arrays"


class Arrays:
    """The members of an .npz by array name; dtype and shape from the header, data on demand."""

    def __init__(self, data: bytes, file: Path, known: Sequence[str], carried: Sequence[str]) -> None:
        """known: names of the arrays that it may hold; carried: of inputs that there are no windows of."""
        self.file = file
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise CaseError(file, "", f"this is no .npz file ({error})", SAVE_FIX) from None
        names = [info.filename.removesuffix(".npy") for info in self._zip.infolist()]
        problems = [_unknown(name, known, carried) for name in names if name not in known]
        problems += [
            Problem(f"array {name!r}", "it is in the file more than once", SAVE_FIX)
            for name in known
            if names.count(name) > 1
        ]
        raise_any(file, problems)
        self._members = {name: info for name, info in zip(names, self._zip.infolist(), strict=True)}
        self._headers = {name: self._header(name) for name in self._members}
        raise_any(file, [_objects(name) for name, (dtype, _) in self._headers.items() if dtype.hasobject])

    def header(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]] | None:
        """dtype and shape, None when the array is not there."""
        return self._headers.get(name)

    def read(self, name: str) -> NDArray[Any]:
        """The array, in the machine's byte order and C-contiguous."""
        dtype, shape = self._headers[name]
        try:
            with self._zip.open(self._members[name]) as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
        except _BROKEN as error:
            raise self._damaged(name, error) from None
        if array.shape != shape or array.dtype != dtype:
            raise self._damaged(name, "header and data differ")
        return np.ascontiguousarray(array, dtype=dtype.newbyteorder("="))

    def _header(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        member = self._members[name]
        try:
            with self._zip.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                if version not in readers:
                    raise ValueError(f"npy version {version}")
                shape, _, dtype = readers[version](stream)
                start = stream.tell()
        except _BROKEN as error:
            raise self._damaged(name, error) from None
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        if not dtype.hasobject and start + size != member.file_size:
            raise self._damaged(name, f"{member.file_size - start} bytes of data, its header announces {size}")
        return dtype, shape

    def _damaged(self, name: str, why: object) -> CaseError:
        return CaseError(self.file, f"array {name!r}", f"it is damaged ({why})", "build the file again, or restore it")


_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    MemoryError,
    SyntaxError,
)


def _unknown(name: str, known: Sequence[str], carried: Sequence[str]) -> Problem:
    tensor = name.removeprefix("windows.")
    if tensor in carried:
        problem = f"input {tensor!r} carries state ([model] state): the product fills it, no window does"
        return Problem(f"array {name!r}", problem, "remove the array, or take the input out of [model] state")
    return Problem(f"array {name!r}", "unknown array", f"remove or rename it; the arrays are {', '.join(known)}")


def _objects(name: str) -> Problem:
    problem = "it holds Python objects; loading them can run code, so it was not read"
    return Problem(
        f"array {name!r}", problem, "save numbers or text: numpy.array(values, dtype=...) before numpy.savez"
    )
