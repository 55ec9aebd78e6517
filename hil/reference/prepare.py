"""The prepare stages of docs/pipeline.md, bit for bit: `tensor/1`, `scale/1`, `quantize/1`, and the digest; and what a
perfect front end would make of the same windows. `own` is a row of the table that computes nothing: the stage is the
product's.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import OWN, Prepare
from hil.errors import UsageError
from hil.tensor import INT16, ROUNDED_TYPES, Elements, ElementType, TensorContract

BLOCK_ELEMENTS = 1 << 18  # elements worked on at a time: 2 MB of int64 a temporary, however many windows there are
ROUND, SHIFT = 1 << 30, 31
Stage = Callable[[NDArray[np.generic], Prepare, TensorContract], Elements]


def float_limit(element: ElementType) -> float:
    """What `quantize/1` limits a product to, in LSB: inside int32, and farther than any element of the type from any
    zero point.
    """
    return 1024.0 if element.dtype.itemsize == 1 else 131072.0


def prepare(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> Elements:
    """The input tensors [n, elements] in the type of the input, elements in sample-major order.

    windows: [n, ...] of the input's type for tensor/1; int16 [n, samples, channels] for scale/1; float32 [n, ...] for
    quantize/1. Raises UsageError for another stage, and ValueError when the windows do not fill the tensor or the stage
    makes no tensor of this type.
    """
    stage = _stage(prepare)
    prepared = np.empty((len(windows), input.elements), input.element.dtype)
    block = max(1, BLOCK_ELEMENTS // input.elements)
    for start in range(0, len(windows), block):
        rows = stage(windows[start : start + block], prepare, input)
        prepared[start : start + block] = rows.reshape(len(rows), input.elements)
    return prepared


def elements(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> Elements:
    """What the stage makes of values that need not fill the tensor: [..., tensor channels] of [..., channels].

    Errors as in `prepare`.
    """
    return _stage(prepare)(windows, prepare, input)


def _stage(prepare: Prepare) -> Stage:
    if prepare.name not in STAGES:
        raise UsageError(f'prepare = "{prepare.name}": unknown stage\n  fix: use one of {", ".join(STAGES)}')
    return STAGES[prepare.name]


def real_values(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> NDArray[np.float32]:
    """The real values that the windows stand for, float32 [n, elements]: what `prepare` would give without the
    rounding to the tensor's type and without its clamp. Windows and elements as there.

    tensor/1: the tensor is all that there is, (q - zero point) * scale, or itself where it is not quantised. scale/1,
    in float64: (count - offset) / 32768 * gain / 65536 * scale. quantize/1: the window itself. own: what is given are
    the real values.
    """
    flat = windows.reshape(len(windows), -1)
    if prepare.id in ("quantize", OWN):
        return flat.astype(np.float32)
    with np.errstate(over="ignore"):  # infinite with an absurd scale; the float model says what it makes of that
        if prepare.id == "tensor":
            return input.quantisation.real32(flat)
        real = _lsb(windows, prepare) * input.quantisation.scale
        return real.astype(np.float32).reshape(len(windows), input.elements)


def clipped(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> NDArray[np.bool_]:
    """Elements [n, elements] whose real value the tensor's type cannot show, so that the clamp of prepare cuts them.

    What came before a tensor/1 is not known: there an element counts that lies at an end of its type and does not stand
    for 0. A float32 tensor has no clamp.
    """
    element = input.element
    if prepare.id == "tensor":
        tensor = windows.reshape(len(windows), -1)
        if element.real:
            return np.zeros(tensor.shape, np.bool_)
        rails: NDArray[np.bool_] = element.saturated(tensor) & (tensor != input.quantisation.zero_point)
        return rails
    q = _lsb(windows, prepare) if prepare.id == "scale" else windows.astype(np.float64) / input.quantisation.scale
    q += input.quantisation.zero_point
    cut: NDArray[np.bool_] = (q < element.low - 0.5) | (q >= element.high + 0.5)
    return cut.reshape(len(windows), input.elements)


def digest(tensor: Elements) -> int:
    """CRC-32 (zlib's) of one tensor's bytes."""
    return zlib.crc32(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())


def digests(prepared: Elements) -> NDArray[np.uint32]:
    """`digest` of each row: uint32 [n]."""
    return np.fromiter(map(digest, prepared), np.uint32)


def _tensor_1(windows: NDArray[np.generic], _: Prepare, input: TensorContract) -> Elements:
    _require(windows, input.element.dtype, "tensor/1")
    return windows


def _scale_1(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> Elements:
    _require(windows, INT16.dtype, "scale/1")
    return _rounded(((_products(windows, prepare) + ROUND) >> SHIFT) + input.quantisation.zero_point, input)


def _lsb(windows: NDArray[np.generic], prepare: Prepare) -> NDArray[np.float64]:
    """Steps of the tensor that every element of scale/1 lies from its zero point, before they are rounded."""
    return _products(windows, prepare) / float(1 << SHIFT)


def _products(windows: NDArray[np.generic], prepare: Prepare) -> NDArray[np.int64]:
    """(count - offset) * gain of every element of scale/1, in steps of 2^-31 LSB."""
    source = [channel.source for channel in prepare.channels]
    offset = np.array([channel.offset for channel in prepare.channels])
    gain = np.array([channel.gain for channel in prepare.channels])
    products: NDArray[np.int64] = (windows[..., source].astype(np.int64) - offset) * gain
    return products


def _quantize_1(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> Elements:
    _require(windows, np.dtype(np.float32), "quantize/1")
    limit = np.float32(float_limit(input.element))
    with np.errstate(over="ignore"):  # a product that overflows float32 is clamped in the next step
        scaled = windows.astype(np.float32) * np.float32(prepare.factor)
    limited = np.clip(scaled, -limit, limit)
    return _rounded(np.floor(limited + np.float32(0.5)).astype(np.int64) + input.quantisation.zero_point, input)


def _own(windows: NDArray[np.generic], prepare: Prepare, input: TensorContract) -> Elements:
    raise UsageError(f'prepare = "{prepare.name}": what it gives is not known here\n  fix: ask the vectors of the case')


def _rounded(values: NDArray[np.int64], input: TensorContract) -> Elements:
    """Whole numbers in the tensor's type, clamped to its ends."""
    element = input.element
    if element not in ROUNDED_TYPES:
        raise ValueError(f"no stage rounds to {element.name}")
    return np.clip(values, element.low, element.high).astype(element.dtype)


def _require(windows: NDArray[np.generic], dtype: np.dtype[Any], stage: str) -> None:
    if windows.dtype != dtype:
        raise ValueError(f"{stage} takes {dtype} windows, not {windows.dtype}")


STAGES: Mapping[str, Stage] = {
    "tensor/1": _tensor_1,
    "scale/1": _scale_1,
    "quantize/1": _quantize_1,
    OWN: _own,
}
