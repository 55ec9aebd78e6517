"""Knows what a prepared tensor comes from: the raw window, and what prepare makes of it before rounding and clamp."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case

Real = NDArray[np.float64]
_SCALE_LSB = 1.0 / (1 << 31)  # of one count at a gain of 1 (docs/pipeline.md, scale/1)


@dataclass(frozen=True)
class Source:
    """An affine prepare stage on one window: the value of tensor channel c before rounding and clamp is
    zero point + (raw[:, source[c]] - offset[c]) * gain[c], in LSB.

    raw: float64 [samples, window channels]; counts: the same as integers where they are, else None.
    """

    raw: Real
    source: NDArray[np.intp]
    offset: Real
    gain: Real
    counts: NDArray[np.int16] | None = None

    def values(self, zero_point: int, *, raw: Real | None = None, offset: Real | None = None) -> Real:
        """[samples, channels] in LSB, of another window or with other offsets where they are given."""
        taken = (self.raw if raw is None else raw)[:, self.source]
        value: Real = zero_point + (taken - (self.offset if offset is None else offset)) * self.gain
        return value

    def channel(self, zero_point: int, channel: int, source: int, sign: int) -> Real:
        """[samples]: what this tensor channel would hold if it read another window channel, with this sign."""
        value: Real = zero_point + (sign * self.raw[:, source] - self.offset[channel]) * self.gain[channel]
        return value


def join(sources: Sequence[Source]) -> Source:
    """Windows of one stage, at least one, behind each other."""
    counts = [source.counts for source in sources if source.counts is not None]
    return replace(
        sources[0],
        raw=np.concatenate([source.raw for source in sources]),
        counts=np.concatenate(counts) if len(counts) == len(sources) else None,
    )


def source_of(case: Case, vector: int) -> Source | None:
    """Of one vector of the case; None for a stage that is not affine, or a window that is not finite."""
    make = SOURCES.get(case.prepare.id)
    return None if make is None or not np.isfinite(case.vectors.windows[vector]).all() else make(case, vector)


def _scale(case: Case, vector: int) -> Source:
    window, channels = case.vectors.windows[vector], case.prepare.channels
    counts = window.reshape(len(window), -1)
    return Source(
        raw=counts.astype(np.float64),
        source=np.array([channel.source for channel in channels], np.intp),
        offset=np.array([channel.offset for channel in channels], np.float64),
        gain=np.array([channel.gain for channel in channels], np.float64) * _SCALE_LSB,
        counts=counts.astype(np.int16) if counts.dtype == np.int16 else None,
    )


def _quantize(case: Case, vector: int) -> Source:
    count = case.window.channels
    raw = case.vectors.windows[vector].reshape(-1, count).astype(np.float64)
    return Source(raw, np.arange(count), np.zeros(count), np.full(count, case.prepare.factor, np.float64))


SOURCES: Mapping[str, Callable[[Case, int], Source]] = {"scale": _scale, "quantize": _quantize}
