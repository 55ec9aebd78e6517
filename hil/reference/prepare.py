"""The prepare stages of docs/pipeline.md, bit for bit: `tensor/1`, `scale/1`, `quantize/1`, and the digest."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Prepare
from hil.errors import UsageError
from hil.tensor import INT8_MAX, INT8_MIN, TensorContract

BLOCK_ELEMENTS = 1 << 18  # elements worked on at a time: 2 MB of int64 a temporary, however many windows there are
ROUND, SHIFT = 1 << 30, 31
FLOAT_LIMIT = 1024.0  # keeps floor() inside int32; far outside int8 with any zero point


def prepare(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
    """The input tensors int8 [n, elements], elements in sample-major order.

    windows: int8 [n, ...] for tensor/1; int16 [n, samples, channels] for scale/1; float32 [n, ...] for quantize/1.
    Raises UsageError for another stage and ValueError when the windows do not fill the tensor.
    """
    stages = {"tensor/1": _tensor_1, "scale/1": _scale_1, "quantize/1": _quantize_1}
    if prepare.name not in stages:
        raise UsageError(f'prepare = "{prepare.name}": unknown stage\n  fix: use one of {", ".join(stages)}')
    stage = stages[prepare.name]
    prepared = np.empty((len(windows), input.elements), np.int8)
    block = max(1, BLOCK_ELEMENTS // input.elements)
    for start in range(0, len(windows), block):
        rows = stage(windows[start : start + block], prepare, input.quantisation.zero_point)
        prepared[start : start + block] = rows.reshape(len(rows), input.elements)
    return prepared


def digest(tensor: NDArray[np.int8]) -> int:
    """CRC-32 (zlib's) of one tensor's bytes."""
    return zlib.crc32(tensor.tobytes())


def digests(prepared: NDArray[np.int8]) -> NDArray[np.uint32]:
    """`digest` of each row: uint32 [n]."""
    return np.fromiter((digest(row) for row in prepared), np.uint32, len(prepared))


def _tensor_1(windows: NDArray[np.generic], _: Prepare, zero_point: int) -> NDArray[np.int8]:
    _require(windows, np.int8, "tensor/1")
    return windows.astype(np.int8, copy=False)


def _scale_1(windows: NDArray[np.generic], prepare: Prepare, zero_point: int) -> NDArray[np.int8]:
    _require(windows, np.int16, "scale/1")
    source = [channel.source for channel in prepare.channels]
    offset = np.array([channel.offset for channel in prepare.channels], np.int64)
    gain = np.array([channel.gain for channel in prepare.channels], np.int64)
    acc = (windows[:, :, source].astype(np.int64) - offset) * gain
    return _to_int8(((acc + ROUND) >> SHIFT) + zero_point)


def _quantize_1(windows: NDArray[np.generic], prepare: Prepare, zero_point: int) -> NDArray[np.int8]:
    _require(windows, np.float32, "quantize/1")
    with np.errstate(over="ignore"):  # a product that overflows float32 is clamped in the next step
        scaled = windows.astype(np.float32, copy=False) * np.float32(prepare.factor)
    limited = np.clip(scaled, np.float32(-FLOAT_LIMIT), np.float32(FLOAT_LIMIT))
    return _to_int8(np.floor(limited + np.float32(0.5)).astype(np.int64) + zero_point)


def _to_int8(values: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.clip(values, INT8_MIN, INT8_MAX).astype(np.int8)


def _require(windows: NDArray[np.generic], dtype: type[np.generic], stage: str) -> None:
    if windows.dtype != np.dtype(dtype):
        raise ValueError(f"{stage} takes {np.dtype(dtype)} windows, not {windows.dtype}")
