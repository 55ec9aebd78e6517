"""How the prepare stages of docs/pipeline.md are written wrongly: arithmetic that agrees with the specification on
nearly all values, and the values on which it does not.

A stage has one entry in `PITFALLS`. Its landmarks are the raw values that the specification says something of: ties and
their neighbours, clamps, what lies beyond them. Its mistakes are whole stages with other arithmetic; the harness looks
for values among the landmarks on which one parts from the reference, and for the mistake that made a wrong tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Channel, Prepare
from hil.reference.prepare import ROUND, SHIFT, float_limit
from hil.tensor import INT8, UINT8, Elements, ElementType, TensorContract, bits

Raw = NDArray[np.generic]
Wide = NDArray[np.int64]
Real = NDArray[np.floating[Any]]
Mistake = Callable[[Raw, Prepare, TensorContract], Elements]  # arguments and result as in `prepare`
Limits = tuple[float, float]  # lowest and highest raw value that the gate lets through

_NEAREST = 64  # counts next to a tie, on either side and of either sign, where a case has no or few exact ones
_ULPS = np.arange(-6, 7)  # float32 neighbours of a tie's value: two roundings move it by three at most
_FEW_STEPS = 64  # around each value of a 16-bit type that matters, where not all can be tried
_SPREAD = 256  # values of such a type between its ends
_HUGE = (1.5 * 2**31, 3.0 * 2**31, 1e20)  # LSB that no int32 holds


@dataclass(frozen=True)
class Pitfalls:
    """landmarks: raw values of one window channel by what they are, int or float, within limits. mistakes: by name."""

    landmarks: Callable[[Prepare, TensorContract, int, Limits], Iterator[tuple[str, Raw]]]
    mistakes: Mapping[str, Mistake]


def mistake_of(windows: Raw, observed: Elements, prepare: Prepare, input: TensorContract) -> str:
    """The mistake that gives exactly the tensor [elements] for windows [1, ...]; "" when none does."""
    for name, mistake in PITFALLS[prepare.name].mistakes.items():
        if np.array_equal(bits(mistake(windows, prepare, input).ravel()), bits(observed)):
            return name
    return ""


# ---- what the stages share -------------------------------------------------------------------------------------------


def _clamped(values: Wide, input: TensorContract, by: ElementType | None = None) -> Elements:
    """In the tensor's type, clamped to its ends, or first to those of another type."""
    element = input.element
    within = np.clip(values, by.low, by.high) if by is not None else values
    return np.clip(within, element.low, element.high).astype(element.dtype)


def _symmetric(values: Wide, input: TensorContract) -> Elements:
    element = input.element
    return np.clip(values, element.low + 1, element.high).astype(element.dtype)


def _wrapped(values: Wide, input: TensorContract) -> Elements:
    return values.astype(input.element.dtype)


def _floor(values: Real) -> Wide:
    return np.floor(np.clip(values, -_FAR, _FAR)).astype(np.int64)


_FAR = 2.0**20  # LSB: farther than any element from any zero point


# LSB beyond a clamp, by the bytes of the type: a value that wraps around comes back into the range.
_BEYOND = {1: (2.0, 129.0, 256.0, 300.0, 1000.0), 2: (2.0, 32769.0, 65536.0, 80000.0, 260000.0)}


def _whole(element: ElementType, zero_point: int, margin: int) -> Wide:
    """The values of a type and some beyond its ends; of 16 bits those around what matters, and some between."""
    low, high = element.low - margin, element.high + margin
    if element.dtype.itemsize == 1:
        return np.arange(low, high + 1)
    points = [low, high, 0, zero_point, INT8.low, INT8.high, UINT8.high, zero_point + INT8.low, zero_point + INT8.high]
    around = [np.arange(point - _FEW_STEPS, point + _FEW_STEPS + 1) for point in points]
    values = np.unique(np.concatenate([*around, np.linspace(low, high, _SPREAD).astype(np.int64)]))
    return values[(values >= low) & (values <= high)]


def _away(values: Real) -> Wide:
    return _floor(np.where(values < 0, np.ceil(values - 0.5), np.floor(values + 0.5)))


# Other ways to round a real number of LSB, each exact on what it is given.
_ROUNDINGS: Mapping[str, Callable[[Real], Wide]] = {
    "ties rounded away from zero": _away,
    "ties rounded to even": lambda real: _floor(np.rint(real)),
    "ties rounded down": lambda real: _floor(np.ceil(real - 0.5)),
    "truncated towards zero": lambda real: _floor(np.trunc(real)),
    "rounded down, no half added": _floor,
}


def _finishes(lsb: Callable[[Raw, Prepare, TensorContract], Wide]) -> dict[str, Mistake]:
    """Other ways to make an element of a whole number of LSB around the zero point."""

    def finish(how: Callable[[Wide, TensorContract], Elements]) -> Mistake:
        return lambda windows, prepare, input: how(lsb(windows, prepare, input), input)

    def placed(q: Wide, input: TensorContract) -> Wide:
        return q + input.quantisation.zero_point

    def clamped_first(q: Wide, input: TensorContract) -> Elements:
        return _clamped(placed(_clamped(q, input).astype(np.int64), input), input)

    return {
        "no clamp, values wrapped around": finish(lambda q, input: _wrapped(placed(q, input), input)),
        "clamped before the zero point was added": finish(clamped_first),
        "the lowest value of the type clamped away": finish(lambda q, input: _symmetric(placed(q, input), input)),
        "clamped as int8": finish(lambda q, input: _clamped(placed(q, input), input, INT8)),
        "clamped as uint8": finish(lambda q, input: _clamped(placed(q, input), input, UINT8)),
        "made as int8": finish(lambda q, input: _taken_for(INT8, placed(q, input), input)),
        "made as uint8": finish(lambda q, input: _taken_for(UINT8, placed(q, input), input)),
        "zero point off by 128": finish(lambda q, input: _clamped(placed(q, input) + _HALF, input)),
        "zero point off by -128": finish(lambda q, input: _clamped(placed(q, input) - _HALF, input)),
    }


_HALF = 128  # between the zero points of int8 and uint8


def _taken_for(other: ElementType, q: Wide, input: TensorContract) -> Elements:
    """Clamped to another type of 8 bits, and its bits stored; of 16 bits the low half."""
    return np.clip(q, other.low, other.high).astype(other.dtype).astype(input.element.dtype)


# ---- tensor/1 --------------------------------------------------------------------------------------------------------


def _tensor_landmarks(_: Prepare, input: TensorContract, channel: int, limits: Limits) -> Iterator[tuple[str, Raw]]:
    if input.element.real:
        yield from _real_landmarks(limits)
        return
    low, high = (int(limit) for limit in limits)
    values = _whole(input.element, input.quantisation.zero_point, 0)
    yield "each value", values[(values >= low) & (values <= high)]


def _real_landmarks(limits: Limits) -> Iterator[tuple[str, Raw]]:
    """What a copy may lose of a float32: its sign, what lies next to zero, its last bits, its size."""
    info = np.finfo(np.float32)
    values: dict[str, list[float]] = {
        "ends of the range": [*limits],
        "both zeros": [0.0],
        "numbers too small to be normal": [float(info.smallest_subnormal), _SMALLEST / 3, _SMALLEST],
        "fractions": [1 / 3, 2 / 3, 0.1, 1 + float(info.eps), 100.3, 127.5, 255.7],
        "large numbers": [2.0**24 + 2, 2.0**31, 1e20, float(info.max)],
    }
    for name, found in values.items():
        both = np.array([*found, *(-value for value in found)], np.float32)
        yield name, both[(both >= np.float32(limits[0])) & (both <= np.float32(limits[1]))]


def _of_integers(mistake: Callable[[Wide, TensorContract], Elements]) -> Mistake:
    """A copy of an integer tensor that goes wrong."""
    return lambda windows, _, input: windows if input.element.real else mistake(windows.astype(np.int64), input)


def _of_reals(mistake: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Mistake:
    """A copy of a float32 tensor that goes wrong."""

    def stage(windows: Raw, _: Prepare, input: TensorContract) -> Elements:
        if not input.element.real:
            return windows
        with np.errstate(all="ignore"):
            return mistake(windows.astype(np.float32)).astype(np.float32)

    return stage


_SMALLEST = float(np.finfo(np.float32).smallest_normal)
_TENSOR_MISTAKES: Mapping[str, Mistake] = {
    "taken for unsigned, or for signed": _of_integers(
        lambda q, input: (q ^ (1 << (8 * input.element.dtype.itemsize - 1))).astype(input.element.dtype)
    ),
    "the lowest value of the type clamped away": _of_integers(_symmetric),
    "clamped as int8": _of_integers(lambda q, input: _clamped(q, input, INT8)),
    "clamped as uint8": _of_integers(lambda q, input: _clamped(q, input, UINT8)),
    "zero point added once more": _of_integers(lambda q, input: _clamped(q + input.quantisation.zero_point, input)),
    "zero point taken off": _of_integers(lambda q, input: _clamped(q - input.quantisation.zero_point, input)),
    "sign lost": _of_reals(np.abs),
    "small numbers flushed to zero": _of_reals(lambda x: np.where(np.abs(x) < _SMALLEST, np.copysign(0, x), x)),
    "negative zero made positive": _of_reals(lambda x: x + np.float32(0)),
    "kept at half precision": _of_reals(lambda x: x.astype(np.float16)),
    "kept as bfloat16": _of_reals(lambda x: (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)),
    "rounded to whole numbers": _of_reals(np.rint),
    "clamped to [0, 1]": _of_reals(lambda x: np.clip(x, 0, 1)),
    "clamped to [-1, 1]": _of_reals(lambda x: np.clip(x, -1, 1)),
}


# ---- scale/1 ---------------------------------------------------------------------------------------------------------


def _scale_landmarks(
    prepare: Prepare, input: TensorContract, channel: int, limits: Limits
) -> Iterator[tuple[str, Raw]]:
    counts = np.arange(int(limits[0]), int(limits[1]) + 1)
    yield "ends of the range", counts[[0, -1]]
    yield "around zero", counts[np.abs(counts) <= 1]
    for mine in {each for each in prepare.channels if each.source == channel}:
        yield from _scale_channel(mine, input, counts)


def _scale_channel(channel: Channel, input: TensorContract, counts: Wide) -> Iterator[tuple[str, Raw]]:
    element = input.element
    acc = (counts - channel.offset) * channel.gain
    q = ((acc + ROUND) >> SHIFT) + input.quantisation.zero_point
    yield "around the offset", counts[np.abs(counts - channel.offset) <= 1]
    inside = (q >= element.low - 1) & (q <= element.high + 1)
    distance = np.where(
        inside, (acc & ((1 << SHIFT) - 1)) - ROUND, 1 << SHIFT
    )  # of a tie; one that is met is rounded up
    for sign, side in (("positive", acc >= 0), ("negative", acc < 0)):
        yield f"{sign} ties", counts[(distance == 0) & side]
        yield f"just above a {sign} tie", _nearest(counts, distance, (distance > 0) & (distance < ROUND) & side)
        yield f"just below a {sign} tie", _nearest(counts, -distance, (distance < 0) & side)
    yield from _clamps(counts, q, element)
    if element is not INT8:
        for by in (INT8, UINT8):
            yield f"ends of {by.words}", _clamps_of(counts, q, by)


def _nearest(counts: Wide, distance: Wide, among: NDArray[np.bool_]) -> Wide:
    rows = np.flatnonzero(among)
    return counts[rows[np.argsort(distance[rows], kind="stable")[:_NEAREST]]]


def _clamps_of(counts: Raw, q: Wide, element: ElementType) -> Raw:
    return np.unique(np.concatenate([values for _, values in _clamps(counts, q, element)]))


def _clamps(counts: Raw, q: Wide, element: ElementType) -> Iterator[tuple[str, Raw]]:
    """Values around both clamps, and as far beyond them as shows a clamp that is missing. q: what the values become
    without one.
    """
    for name, inside, outward in (("lower clamp", element.low, -1), ("upper clamp", element.high, 1)):
        steps = [inside + outward * step for step in (-1, 0, 1, *map(int, _BEYOND[element.dtype.itemsize]))]
        yield name, counts[[int(np.abs(q - step).argmin()) for step in steps]]


def _scale_lsb(windows: Raw, prepare: Prepare, _: TensorContract) -> Wide:
    return (_scale_product(windows, prepare) + ROUND) >> SHIFT


def _scale_product(windows: Raw, prepare: Prepare, *, gain: int = 0, offset: int = 0, narrow: bool = False) -> Wide:
    """(count - offset) * gain of each element; gain, offset: what they are off by. narrow: difference in 16 bits."""
    source = [channel.source for channel in prepare.channels]
    offsets = np.array([channel.offset + offset for channel in prepare.channels])
    gains = np.array([channel.gain + gain for channel in prepare.channels])
    difference = windows[..., source].astype(np.int64) - offsets
    product: Wide = (difference.astype(np.int16).astype(np.int64) if narrow else difference) * gains
    return product


def _scale_rounded(round_: Callable[[Real], Wide]) -> Mistake:
    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
        real = _scale_product(windows, prepare) / 2.0**SHIFT  # exact: 49 bits
        return _clamped(round_(real) + input.quantisation.zero_point, input)

    return stage


def _scale_changed(*, gain: int = 0, offset: int = 0, narrow: bool = False) -> Mistake:
    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
        product = _scale_product(windows, prepare, gain=gain, offset=offset, narrow=narrow)
        return _clamped(((product + ROUND) >> SHIFT) + input.quantisation.zero_point, input)

    return stage


def _scale_twice(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
    once = (_scale_product(windows, prepare) + (1 << 15)) >> 16
    return _clamped(((once + (1 << 14)) >> 15) + input.quantisation.zero_point, input)


def _scale_float(windows: Raw, prepare: Prepare, input: TensorContract, *, divide: bool) -> Elements:
    source = [channel.source for channel in prepare.channels]
    offsets = np.array([channel.offset for channel in prepare.channels])
    gains = np.array([channel.gain for channel in prepare.channels])
    counts = (windows[..., source].astype(np.int64) - offsets).astype(np.float32)
    factors, steps = (gains / 2.0**SHIFT).astype(np.float32), (2.0**SHIFT / gains).astype(np.float32)
    lsb = counts / steps if divide else counts * factors
    rounded = _floor(lsb + np.float32(0.5))
    return _clamped(rounded + input.quantisation.zero_point, input)


_SCALE_MISTAKES: Mapping[str, Mistake] = {
    **{name: _scale_rounded(rounding) for name, rounding in _ROUNDINGS.items()},
    **_finishes(_scale_lsb),
    "computed in float32": lambda windows, prepare, input: _scale_float(windows, prepare, input, divide=False),
    "divided in float32": lambda windows, prepare, input: _scale_float(windows, prepare, input, divide=True),
    "rounded twice": _scale_twice,
    "gain one too small": _scale_changed(gain=-1),
    "gain one too large": _scale_changed(gain=1),
    "offset one too small": _scale_changed(offset=-1),
    "offset one too large": _scale_changed(offset=1),
    "difference from the offset in 16 bits": _scale_changed(narrow=True),
}


# ---- quantize/1 ------------------------------------------------------------------------------------------------------


def _quantize_landmarks(
    prepare: Prepare, input: TensorContract, channel: int, limits: Limits
) -> Iterator[tuple[str, Raw]]:
    low, high = (np.float32(limit) for limit in limits)
    element, zero_point = input.element, input.quantisation.zero_point

    def inside(lsb: NDArray[Any], ulps: NDArray[np.int64]) -> Raw:
        """float32 values of these numbers of LSB and their neighbours, as far as the gate lets them through."""
        with np.errstate(over="ignore"):
            exact = (lsb / prepare.factor).astype(np.float32)
        values = _neighbours(exact[np.isfinite(exact)], ulps)
        return values[(values >= low) & (values <= high)]

    yield "ends of the range", np.array([low, high])
    yield "around zero", inside(np.zeros(1), _ULPS)
    halves = _whole(element, zero_point, 2)[:-1] - zero_point + 0.5
    for sign, side in (("positive", halves[halves > 0]), ("negative", halves[halves < 0])):
        yield f"{sign} ties and their neighbours", inside(side, _ULPS)
    for name, edge, outward in (("lower clamp", element.low, -1), ("upper clamp", element.high, 1)):
        steps = np.array([-1.0, 0.0, 1.0, *_BEYOND[element.dtype.itemsize]]) * outward + edge - zero_point
        yield name, inside(steps, np.zeros(1, np.int64))
        limit = np.array([float_limit(element) * outward])
        yield f"limit of LSB at the {name}", inside(limit, _ULPS)
        yield f"no int32 beyond the {name}", inside(np.array(_HUGE) * outward, np.zeros(1, np.int64))


def _neighbours(values: NDArray[np.float32], ulps: NDArray[np.int64]) -> NDArray[np.float32]:
    """Each value and those so many float32 values away from it; a step over zero or infinity is left out."""
    near = values[:, None].view(np.int32).astype(np.int64) + ulps
    kept = ((near < 0) == (values < 0)[:, None]) & ((near & 0x7FFFFFFF) < 0x7F800000)
    bits: NDArray[np.float32] = near[kept].astype(np.int32).view(np.float32)
    return bits


def _quantize_product(windows: Raw, prepare: Prepare) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        product: NDArray[np.float32] = windows.astype(np.float32) * np.float32(prepare.factor)
    return product


def _quantize_lsb(windows: Raw, prepare: Prepare, input: TensorContract) -> Wide:
    limit = np.float32(float_limit(input.element))
    limited = np.clip(_quantize_product(windows, prepare), -limit, limit)
    return _floor(limited + np.float32(0.5))


def _quantize_from(real: Callable[[Raw, Prepare, TensorContract], Real]) -> Mistake:
    """The stage with this number of LSB, a half already added, rounded down."""

    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
        with np.errstate(over="ignore"):
            values = real(windows, prepare, input)
        return _clamped(_floor(np.nan_to_num(values)) + input.quantisation.zero_point, input)

    return stage


def _quantize_rounded(round_: Callable[[Real], Wide]) -> Mistake:
    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
        product = _quantize_product(windows, prepare).astype(np.float64)
        return _clamped(round_(product) + input.quantisation.zero_point, input)

    return stage


def _fused(windows: Raw, prepare: Prepare, _: TensorContract) -> Real:
    # The product of two float32 is exact in float64, and so is the sum wherever a half could change the result.
    return (windows.astype(np.float64) * prepare.factor + 0.5).astype(np.float32)


def _divided(windows: Raw, _: Prepare, input: TensorContract) -> Real:
    scale = np.float32(input.quantisation.scale)
    return windows.astype(np.float32) / scale + np.float32(0.5)


def _divided_back(windows: Raw, prepare: Prepare, _: TensorContract) -> Real:
    step = np.float32(1) / np.float32(prepare.factor)
    return windows.astype(np.float32) / step + np.float32(0.5)


def _zero_point_first(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
    half = np.float32(input.quantisation.zero_point + 0.5)
    return _clamped(_floor(_quantize_product(windows, prepare) + half), input)


def _unlimited(windows: Raw, prepare: Prepare, input: TensorContract) -> Elements:
    """No limit before the conversion to int32, which gives its lowest value for what does not fit."""
    rounded = np.floor(_quantize_product(windows, prepare) + np.float32(0.5))
    fits = np.abs(rounded) < 2.0**31
    return _clamped(np.where(fits, rounded, -(2.0**31)).astype(np.int64) + input.quantisation.zero_point, input)


_QUANTIZE_MISTAKES: Mapping[str, Mistake] = {
    "fused multiply-add": _quantize_from(_fused),
    "computed in double": _quantize_from(lambda windows, prepare, _: windows.astype(np.float64) * prepare.factor + 0.5),
    "divided by the scale": _quantize_from(_divided),
    "divided by the reciprocal of the factor": _quantize_from(_divided_back),
    "divided by the scale in double": _quantize_from(
        lambda windows, _, input: windows.astype(np.float64) / input.quantisation.scale + 0.5
    ),
    **{name: _quantize_rounded(rounding) for name, rounding in _ROUNDINGS.items()},
    "zero point added before rounding": _zero_point_first,
    "no limit before the conversion to int32": _unlimited,
    **_finishes(_quantize_lsb),
}


PITFALLS: Mapping[str, Pitfalls] = {
    "tensor/1": Pitfalls(_tensor_landmarks, _TENSOR_MISTAKES),
    "scale/1": Pitfalls(_scale_landmarks, _SCALE_MISTAKES),
    "quantize/1": Pitfalls(_quantize_landmarks, _QUANTIZE_MISTAKES),
}
