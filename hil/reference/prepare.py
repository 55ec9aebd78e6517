"""The prepare stages of docs/pipeline.md, bit for bit: `tensor/1`, `scale/1`, `quantize/1`, and the digest; and what a
perfect front end would make of the same windows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

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
    stage = _stage(prepare)
    prepared = np.empty((len(windows), input.elements), np.int8)
    block = max(1, BLOCK_ELEMENTS // input.elements)
    for start in range(0, len(windows), block):
        rows = stage(windows[start : start + block], prepare, input.quantisation.zero_point)
        prepared[start : start + block] = rows.reshape(len(rows), input.elements)
    return prepared


def elements(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
    """What the stage makes of values that need not fill the tensor: int8 [..., tensor channels] of [..., channels].

    Errors as in `prepare`.
    """
    return _stage(prepare)(windows, prepare, input.quantisation.zero_point)


def _stage(prepare: Prepare) -> Callable[[NDArray[np.generic], Prepare, int], NDArray[np.int8]]:
    if prepare.name not in STAGES:
        raise UsageError(f'prepare = "{prepare.name}": unknown stage\n  fix: use one of {", ".join(STAGES)}')
    return STAGES[prepare.name]


def real_values(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> NDArray[np.float32]:
    """The real values that the windows stand for, float32 [n, elements]: what `prepare` would give without the rounding
    to int8 and without its clamp. Windows and elements as there.

    tensor/1: the tensor is all that there is, (q - zero point) * scale. scale/1, in float64: (count - offset) / 32768 *
    gain / 65536 * scale. quantize/1: the window itself.
    """
    flat = windows.reshape(len(windows), -1)
    if prepare.id == "quantize":
        return flat.astype(np.float32, copy=False)
    scale, zero_point = input.quantisation.scale, input.quantisation.zero_point
    with np.errstate(over="ignore"):  # infinite with an absurd scale; the float model says what it makes of that
        if prepare.id == "tensor":
            return (flat.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)
        return (_lsb(windows, prepare) * scale).astype(np.float32).reshape(len(windows), input.elements)


def clipped(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> NDArray[np.bool_]:
    """Elements [n, elements] whose real value int8 cannot show, so that the clamp of prepare cuts them.

    What came before a tensor/1 is not known: there an element counts that is -128 or 127 and does not stand for 0.
    """
    if prepare.id == "tensor":
        tensor = windows.reshape(len(windows), -1).astype(np.int8, copy=False)
        rails: NDArray[np.bool_] = ((tensor == INT8_MIN) | (tensor == INT8_MAX)) & (
            tensor != input.quantisation.zero_point
        )
        return rails
    q = _lsb(windows, prepare) if prepare.id == "scale" else windows.astype(np.float64) / input.quantisation.scale
    q += input.quantisation.zero_point
    cut: NDArray[np.bool_] = (q < INT8_MIN - 0.5) | (q >= INT8_MAX + 0.5)
    return cut.reshape(len(windows), input.elements)


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
    return _to_int8(((_products(windows, prepare) + ROUND) >> SHIFT) + zero_point)


def _lsb(windows: NDArray[np.generic], prepare: Prepare) -> NDArray[np.float64]:
    """Steps of the tensor that every element of scale/1 lies from its zero point, before they are rounded."""
    return _products(windows, prepare) / float(1 << SHIFT)


def _products(windows: NDArray[np.generic], prepare: Prepare) -> NDArray[np.int64]:
    """(count - offset) * gain of every element of scale/1, in steps of 2^-31 LSB."""
    source = [channel.source for channel in prepare.channels]
    offset = np.array([channel.offset for channel in prepare.channels], np.int64)
    gain = np.array([channel.gain for channel in prepare.channels], np.int64)
    products: NDArray[np.int64] = (windows[..., source].astype(np.int64) - offset) * gain
    return products


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


STAGES: Mapping[str, Callable[[NDArray[np.generic], Prepare, int], NDArray[np.int8]]] = {
    "tensor/1": _tensor_1,
    "scale/1": _scale_1,
    "quantize/1": _quantize_1,
}
