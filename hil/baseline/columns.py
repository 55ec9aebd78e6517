"""The vectors of a baseline: one array a column, which the file keeps as base64 of zlib, one line each."""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.tensor import OUTPUT_TYPES, Elements

_MOST_BYTES = 1 << 31  # of one column: a damaged shape must not take all memory
_OUTPUT = "output"  # in the type of the output; the file names it where it is not int8
_SPEC = {  # column: (numpy type, dimensions)
    "status": ("uint8", 1),
    "gate": ("uint8", 1),
    "digest": ("uint32", 1),
    "output": ("int8", 2),
    "answer": ("int32", 1),
    "reason": ("uint8", 1),
    "units": ("int64", 2),
    "samples": ("int64", 1),
}


@dataclass(frozen=True)
class Columns:
    """One row a vector, in file order, as in `RunRecords`: n vectors of e output elements.

    digest: CRC-32 of the prepared tensor; answer: label index, -1 unknown; units: of the clock, spent in prepare,
    invoke and decide, 0 rows on a clock that nothing is judged on; samples: rows that count in the percentiles.
    """

    status: NDArray[np.uint8]  # [n]
    gate: NDArray[np.uint8]  # [n]
    digest: NDArray[np.uint32]  # [n]
    output: Elements  # [n, e], in the type of the output
    answer: NDArray[np.int32]  # [n]
    reason: NDArray[np.uint8]  # [n]
    units: NDArray[np.int64]  # [n, 3] or [0, 3]
    samples: NDArray[np.int64]  # [m]

    def __len__(self) -> int:
        return len(self.status)


def pack(columns: Columns) -> dict[str, dict[str, Any]]:
    """As in the file: `shape` and `zlib` of each column, little-endian."""
    return {name: pack_column(name, getattr(columns, name)) for name in _SPEC}


def unpack(value: object) -> Columns:
    """Columns from the file, or as they are. Raises ValueError that names the column."""
    if isinstance(value, Columns):
        return value
    if not isinstance(value, dict) or value.keys() != _SPEC.keys():
        raise ValueError(f"not the columns {', '.join(_SPEC)}")
    columns = Columns(**{name: unpack_column(name, value[name]) for name in _SPEC})
    if problem := _problem(columns):
        raise ValueError(problem)
    return columns


def pack_column(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """One column as in the file; name: of the one that it is like."""
    usual = _SPEC[name][0]
    dtype = array.dtype.name if name == _OUTPUT else usual
    data = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<")).tobytes()
    packed = {"shape": list(array.shape), "zlib": base64.b64encode(zlib.compress(data, 9)).decode("ascii")}
    return packed if dtype == usual else {"dtype": dtype, **packed}


def unpack_column(name: str, value: object) -> NDArray[Any]:
    """A column from the file, or as it is. Raises ValueError that names it."""
    if isinstance(value, np.ndarray):
        return value
    dtype, dimensions = _SPEC[name]
    if name == _OUTPUT and isinstance(value, dict) and "dtype" in value:
        value = dict(value)
        dtype = value.pop("dtype")
        if dtype not in [element.dtype.name for element in OUTPUT_TYPES]:
            raise ValueError(f"{name}: {dtype!r} is no type of an output")
    if not isinstance(value, dict) or value.keys() != {"shape", "zlib"}:
        raise ValueError(f"{name}: not a shape and packed data")
    shape, text = value["shape"], value["zlib"]
    sizes = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not sizes or len(shape) != dimensions:
        raise ValueError(f"{name}: its shape is not {dimensions} sizes")
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _MOST_BYTES:
        raise ValueError(f"{name}: its shape asks for {size:,} bytes")
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (zlib.error, TypeError, ValueError) as error:  # binascii.Error is a ValueError
        raise ValueError(f"{name}: it cannot be unpacked ({error})") from None
    if len(data) != size:
        raise ValueError(f"{name}: its data are not the {size:,} bytes of its shape")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _problem(columns: Columns) -> str:
    """What does not fit together, "" when all does."""
    n = len(columns)
    for name in ("gate", "digest", "output", "answer", "reason"):
        if len(getattr(columns, name)) != n:
            return f"{name}: {len(getattr(columns, name)):,} vectors, status has {n:,}"
    if columns.units.shape not in ((n, 3), (0, 3)):
        return f"units: shape {columns.units.shape}, not ({n}, 3) or (0, 3)"
    most = int(columns.samples.max(initial=-1))
    if len(columns.samples) and (int(columns.samples.min()) < 0 or most >= n or not len(columns.units)):
        return "samples: they name vectors that have no time"
    return ""
