"""Knows what the usual preparation bugs do to a tensor, and guesses the cause from two tensors that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.tensor import INT8_MAX, INT8_MIN

Tensor = NDArray[np.int32]


@dataclass(frozen=True)
class _Pair:
    """Tensors as [samples, channels]: the reference's, the device's, and the reference's of the vector before."""

    expected: Tensor
    observed: Tensor
    previous: Tensor | None
    zero_point: int

    @property
    def unclipped(self) -> NDArray[np.bool_]:
        inside = (self.expected > INT8_MIN) & (self.expected < INT8_MAX)
        return inside & (self.observed > INT8_MIN) & (self.observed < INT8_MAX)

    @property
    def channels(self) -> NDArray[np.intp]:
        """Channels that differ at all."""
        return np.flatnonzero((self.expected != self.observed).any(axis=0))

    def on_channels(self) -> str:
        """Where the difference is, unless it is everywhere."""
        which = self.channels
        return "" if len(which) == self.expected.shape[1] else f" on channel {', '.join(map(str, which))}"


def likely_cause(
    expected: NDArray[np.int8],
    observed: NDArray[np.int8],
    *,
    zero_point: int,
    channels: int,
    previous: NDArray[np.int8] | None = None,
) -> str:
    """What probably went wrong, "" when the difference has no known shape. Tensors are flat and sample-major.

    previous: the reference's tensor of the vector that ran before, None for the first.
    """
    if len(expected) != len(observed):
        return f"the tensor has {len(observed)} elements instead of {len(expected)}"

    def shaped(flat: NDArray[np.int8]) -> Tensor:
        return flat.astype(np.int32).reshape(-1, channels)

    pair = _Pair(shaped(expected), shaped(observed), None if previous is None else shaped(previous), zero_point)
    return next(filter(None, (guess(pair) for guess in _GUESSES)), "")


def _stale(pair: _Pair) -> str:
    if pair.previous is None or not np.array_equal(pair.observed, pair.previous):
        return ""
    return "stale input buffer: the tensor is that of the vector before; is the window copied before prepare runs?"


def _unwritten(pair: _Pair) -> str:
    values = np.unique(pair.observed)
    if len(values) > 1 or pair.observed.size < 2:
        return ""
    return f"tensor never written, or the window arrived empty: every element is {values[0]}"


def _clamp(pair: _Pair) -> str:
    different = pair.expected != pair.observed
    clipped = (pair.expected == INT8_MIN) | (pair.expected == INT8_MAX)
    if not different.any() or (different & ~clipped).any():
        return ""
    wrapped = np.sign(pair.expected[different]) != np.sign(pair.observed[different])
    if wrapped.any():
        return f"missing clamp: values beyond [{INT8_MIN}, {INT8_MAX}] wrapped around"
    return f"other clamp: only values at {INT8_MIN} or {INT8_MAX} differ"


def _permuted(pair: _Pair) -> str:
    count = pair.expected.shape[1]
    if count < 2:
        return ""
    same = (pair.observed[:, :, None] == pair.expected[:, None, :]).all(axis=0)
    source = np.where(same.diagonal(), np.arange(count), same.argmax(axis=1))
    if not same.any(axis=1).all() or len(set(source.tolist())) < count or not len(pair.channels):
        return ""
    moved = ", ".join(f"channel {c} holds channel {s}" for c, s in enumerate(source) if c != s)
    return f"axis swap: {moved}"


def _layout(pair: _Pair) -> str:
    if np.array_equal(pair.observed.ravel(), pair.expected.T.ravel()):
        return "channel-major layout: the tensor is the transpose of the sample-major one"
    if np.array_equal(pair.observed, pair.expected[::-1]):
        return "time runs backwards: the last sample comes first"
    return ""


def _shifted(pair: _Pair) -> str:
    if len(pair.expected) < 3:
        return ""
    if np.array_equal(pair.observed[:-1], pair.expected[1:]):
        return "off-by-one window: it starts one sample late"
    if np.array_equal(pair.observed[1:], pair.expected[:-1]):
        return "off-by-one window: it starts one sample early"
    return ""


def _negated(pair: _Pair) -> str:
    which = pair.channels
    mirrored = np.clip(2 * pair.zero_point - pair.expected[:, which], INT8_MIN, INT8_MAX)
    error = np.abs(pair.observed[:, which] - mirrored)[pair.unclipped[:, which]]
    swing = np.abs(pair.expected[:, which] - pair.zero_point)
    if not error.size or error.max() > 1 or swing.max() < 4:
        return ""
    return f"sign: values are mirrored around the zero point{pair.on_channels()}"


def _constant(pair: _Pair) -> str:
    which = pair.channels
    inside = pair.unclipped[:, which]
    steps = np.unique((pair.observed - pair.expected)[:, which][inside])
    if len(steps) != 1 or inside.sum() < 2:
        return ""
    return f"zero point or offset: values are off by {steps[0]:+d}{pair.on_channels()}"


def _ratio(pair: _Pair) -> str:
    which = pair.channels
    inside = pair.unclipped[:, which]
    x = (pair.expected[:, which] - pair.zero_point)[inside].astype(np.float64)
    y = (pair.observed[:, which] - pair.zero_point)[inside].astype(np.float64)
    if x.size < 2 or np.abs(x).max() < 8:  # with smaller values any tensor looks like a multiple
        return ""
    ratio = float(x @ y / (x @ x))
    rounding = 0.5 * (abs(ratio) + 1) + 0.01
    if abs(ratio - 1) < 0.02 or np.abs(y - ratio * x).max() > rounding:
        return ""
    return f"scale factor: values are {ratio:.3g} times the reference's around the zero point{pair.on_channels()}"


def _rounding(pair: _Pair) -> str:
    if np.abs(pair.observed - pair.expected).max() != 1:
        return ""
    return "rounding: no element is off by more than 1; truncation or a fused multiply-add does this"


# From the most to the least specific: a stale tensor may also look scaled, a shift by one LSB like rounding.
_GUESSES: tuple[Callable[[_Pair], str], ...] = (
    _stale,
    _unwritten,
    _clamp,
    _permuted,
    _layout,
    _shifted,
    _constant,
    _negated,
    _ratio,
    _rounding,
)
