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
from hil.reference.prepare import FLOAT_LIMIT, ROUND, SHIFT
from hil.tensor import INT8_MAX, INT8_MIN, TensorContract

Raw = NDArray[np.generic]
Wide = NDArray[np.int64]
Real = NDArray[np.float64]
Mistake = Callable[[Raw, Prepare, TensorContract], NDArray[np.int8]]  # arguments and result as in `prepare`
Limits = tuple[float, float]  # lowest and highest raw value that the gate lets through

_NEAREST = 64  # counts next to a tie, on either side and of either sign, where a case has no or few exact ones
_ULPS = np.arange(-6, 7)  # float32 neighbours of a tie's value: two roundings move it by three at most
_BEYOND = (2.0, 129.0, 256.0, 300.0, 1000.0)  # LSB beyond a clamp: a wrapped int8 comes back into its range
_HUGE = (1.5 * 2**31, 3.0 * 2**31, 1e20)  # LSB that no int32 holds


@dataclass(frozen=True)
class Pitfalls:
    """landmarks: raw values of one window channel by what they are, int or float, within limits. mistakes: by name."""

    landmarks: Callable[[Prepare, TensorContract, int, Limits], Iterator[tuple[str, Raw]]]
    mistakes: Mapping[str, Mistake]


def mistake_of(windows: Raw, observed: NDArray[np.int8], prepare: Prepare, input: TensorContract) -> str:
    """The mistake that gives exactly the tensor int8 [elements] for windows [1, ...]; "" when none does."""
    for name, mistake in PITFALLS[prepare.name].mistakes.items():
        if np.array_equal(mistake(windows, prepare, input).ravel(), observed):
            return name
    return ""


# ---- what the stages share -------------------------------------------------------------------------------------------


def _clamped(values: Wide) -> NDArray[np.int8]:
    return np.clip(values, INT8_MIN, INT8_MAX).astype(np.int8)


def _symmetric(values: Wide) -> NDArray[np.int8]:
    return np.clip(values, -INT8_MAX, INT8_MAX).astype(np.int8)


def _wrapped(values: Wide) -> NDArray[np.int8]:
    return values.astype(np.int8)


def _floor(values: Real) -> Wide:
    return np.floor(np.clip(values, -FLOAT_LIMIT, FLOAT_LIMIT)).astype(np.int64)


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
    """Other ways to make an int8 element of a whole number of LSB around the zero point."""

    def finish(how: Callable[[Wide, int], NDArray[np.int8]]) -> Mistake:
        return lambda windows, prepare, input: how(lsb(windows, prepare, input), input.quantisation.zero_point)

    return {
        "no clamp, values wrapped around": finish(lambda q, zp: _wrapped(q + zp)),
        "clamped before the zero point was added": finish(lambda q, zp: _clamped(_clamped(q).astype(np.int64) + zp)),
        "clamped to [-127, 127]": finish(lambda q, zp: _symmetric(q + zp)),
    }


# ---- tensor/1 --------------------------------------------------------------------------------------------------------


def _tensor_landmarks(_: Prepare, input: TensorContract, channel: int, limits: Limits) -> Iterator[tuple[str, Raw]]:
    low, high = (int(limit) for limit in limits)
    yield "each value", np.arange(low, high + 1)


_TENSOR_MISTAKES: Mapping[str, Mistake] = {
    "taken for unsigned": lambda windows, _, input: (windows.astype(np.int64) ^ 0x80).astype(np.int8),
    "clamped to [-127, 127]": lambda windows, _, input: _symmetric(windows.astype(np.int64)),
    "zero point added once more": lambda windows, _, input: _clamped(
        windows.astype(np.int64) + input.quantisation.zero_point
    ),
    "zero point taken off": lambda windows, _, input: _clamped(
        windows.astype(np.int64) - input.quantisation.zero_point
    ),
}


# ---- scale/1 ---------------------------------------------------------------------------------------------------------


def _scale_landmarks(
    prepare: Prepare, input: TensorContract, channel: int, limits: Limits
) -> Iterator[tuple[str, Raw]]:
    counts = np.arange(int(limits[0]), int(limits[1]) + 1)
    yield "ends of the range", counts[[0, -1]]
    yield "around zero", counts[np.abs(counts) <= 1]
    for mine in {each for each in prepare.channels if each.source == channel}:
        yield from _scale_channel(mine, input.quantisation.zero_point, counts)


def _scale_channel(channel: Channel, zero_point: int, counts: Wide) -> Iterator[tuple[str, Raw]]:
    acc = (counts - channel.offset) * channel.gain
    q = ((acc + ROUND) >> SHIFT) + zero_point
    yield "around the offset", counts[np.abs(counts - channel.offset) <= 1]
    inside = (q >= INT8_MIN - 1) & (q <= INT8_MAX + 1)
    distance = np.where(
        inside, (acc & ((1 << SHIFT) - 1)) - ROUND, 1 << SHIFT
    )  # of a tie; one that is met is rounded up
    for sign, side in (("positive", acc >= 0), ("negative", acc < 0)):
        yield f"{sign} ties", counts[(distance == 0) & side]
        yield f"just above a {sign} tie", _nearest(counts, distance, (distance > 0) & (distance < ROUND) & side)
        yield f"just below a {sign} tie", _nearest(counts, -distance, (distance < 0) & side)
    yield from _clamps(counts, q)


def _nearest(counts: Wide, distance: Wide, among: NDArray[np.bool_]) -> Wide:
    rows = np.flatnonzero(among)
    return counts[rows[np.argsort(distance[rows], kind="stable")[:_NEAREST]]]


def _clamps(counts: Raw, q: Wide) -> Iterator[tuple[str, Raw]]:
    """Values around both clamps, and as far beyond them as shows a clamp that is missing. q: what the values become
    without one.
    """
    for name, inside, outward in (("lower clamp", INT8_MIN, -1), ("upper clamp", INT8_MAX, 1)):
        steps = [inside + outward * step for step in (-1, 0, 1, *map(int, _BEYOND))]
        yield name, counts[[int(np.abs(q - step).argmin()) for step in steps]]


def _scale_lsb(windows: Raw, prepare: Prepare, _: TensorContract) -> Wide:
    return (_scale_product(windows, prepare) + ROUND) >> SHIFT


def _scale_product(windows: Raw, prepare: Prepare, *, gain: int = 0, offset: int = 0, narrow: bool = False) -> Wide:
    """(count - offset) * gain of each element; gain, offset: what they are off by. narrow: difference in 16 bits."""
    source = [channel.source for channel in prepare.channels]
    offsets = np.array([channel.offset + offset for channel in prepare.channels], np.int64)
    gains = np.array([channel.gain + gain for channel in prepare.channels], np.int64)
    difference = windows[..., source].astype(np.int64) - offsets
    return (difference.astype(np.int16).astype(np.int64) if narrow else difference) * gains


def _scale_rounded(round_: Callable[[Real], Wide]) -> Mistake:
    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
        real = _scale_product(windows, prepare) / 2.0**SHIFT  # exact: 49 bits
        return _clamped(round_(real) + input.quantisation.zero_point)

    return stage


def _scale_changed(*, gain: int = 0, offset: int = 0, narrow: bool = False) -> Mistake:
    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
        product = _scale_product(windows, prepare, gain=gain, offset=offset, narrow=narrow)
        return _clamped(((product + ROUND) >> SHIFT) + input.quantisation.zero_point)

    return stage


def _scale_twice(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
    once = (_scale_product(windows, prepare) + (1 << 15)) >> 16
    return _clamped(((once + (1 << 14)) >> 15) + input.quantisation.zero_point)


def _scale_float(windows: Raw, prepare: Prepare, input: TensorContract, *, divide: bool) -> NDArray[np.int8]:
    source = [channel.source for channel in prepare.channels]
    offsets = np.array([channel.offset for channel in prepare.channels], np.int64)
    gains: Real = np.array([channel.gain for channel in prepare.channels], np.float64)
    counts = (windows[..., source].astype(np.int64) - offsets).astype(np.float32)
    factors, steps = (gains / 2.0**SHIFT).astype(np.float32), (2.0**SHIFT / gains).astype(np.float32)
    lsb = counts / steps if divide else counts * factors
    rounded = _floor((lsb + np.float32(0.5)).astype(np.float64))
    return _clamped(rounded + input.quantisation.zero_point)


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
    zero_point = input.quantisation.zero_point

    def inside(lsb: NDArray[Any], ulps: NDArray[np.int64]) -> Raw:
        """float32 values of these numbers of LSB and their neighbours, as far as the gate lets them through."""
        with np.errstate(over="ignore"):
            exact = (lsb / prepare.factor).astype(np.float32)
        values = _neighbours(exact[np.isfinite(exact)], ulps)
        return values[(values >= low) & (values <= high)]

    yield "ends of the range", np.array([low, high], np.float32)
    yield "around zero", inside(np.zeros(1), _ULPS)
    halves = np.arange(INT8_MIN - zero_point - 2, INT8_MAX - zero_point + 2) + 0.5
    for sign, side in (("positive", halves[halves > 0]), ("negative", halves[halves < 0])):
        yield f"{sign} ties and their neighbours", inside(side, _ULPS)
    for name, edge, outward in (("lower clamp", INT8_MIN, -1), ("upper clamp", INT8_MAX, 1)):
        steps = np.array([-1.0, 0.0, 1.0, *_BEYOND]) * outward + edge - zero_point
        yield name, inside(steps, np.zeros(1, np.int64))
        limit = np.array([FLOAT_LIMIT * outward])
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


def _quantize_lsb(windows: Raw, prepare: Prepare, _: TensorContract) -> Wide:
    limited = np.clip(_quantize_product(windows, prepare), np.float32(-FLOAT_LIMIT), np.float32(FLOAT_LIMIT))
    return _floor((limited + np.float32(0.5)).astype(np.float64))


def _quantize_from(real: Callable[[Raw, Prepare, TensorContract], Real]) -> Mistake:
    """The stage with this number of LSB, a half already added, rounded down."""

    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
        with np.errstate(over="ignore"):
            values = real(windows, prepare, input)
        return _clamped(_floor(np.nan_to_num(values)) + input.quantisation.zero_point)

    return stage


def _quantize_rounded(round_: Callable[[Real], Wide]) -> Mistake:
    def stage(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
        product = _quantize_product(windows, prepare).astype(np.float64)
        return _clamped(round_(product) + input.quantisation.zero_point)

    return stage


def _fused(windows: Raw, prepare: Prepare, _: TensorContract) -> Real:
    # The product of two float32 is exact in float64, and so is the sum wherever a half could change the result.
    return (windows.astype(np.float64) * prepare.factor + 0.5).astype(np.float32).astype(np.float64)


def _divided(windows: Raw, _: Prepare, input: TensorContract) -> Real:
    scale = np.float32(input.quantisation.scale)
    return (windows.astype(np.float32) / scale + np.float32(0.5)).astype(np.float64)


def _divided_back(windows: Raw, prepare: Prepare, _: TensorContract) -> Real:
    step = np.float32(1) / np.float32(prepare.factor)
    return (windows.astype(np.float32) / step + np.float32(0.5)).astype(np.float64)


def _zero_point_first(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
    half = np.float32(input.quantisation.zero_point + 0.5)
    with np.errstate(over="ignore"):
        return _clamped(_floor((_quantize_product(windows, prepare) + half).astype(np.float64)))


def _unlimited(windows: Raw, prepare: Prepare, input: TensorContract) -> NDArray[np.int8]:
    """No limit before the conversion to int32, which gives its lowest value for what does not fit."""
    with np.errstate(over="ignore"):
        rounded = np.floor(_quantize_product(windows, prepare) + np.float32(0.5)).astype(np.float64)
    fits = np.abs(rounded) < 2.0**31
    return _clamped(np.where(fits, rounded, -(2.0**31)).astype(np.int64) + input.quantisation.zero_point)


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
