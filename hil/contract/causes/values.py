"""Knows what a tensor looks like whose values have another offset, factor, sign or rounding."""

from __future__ import annotations

import numpy as np

from hil.contract.causes.factors import Interval, factor_between
from hil.contract.causes.pair import Pair
from hil.contract.causes.source import Source

_SWING = 8  # LSB: with smaller values any tensor looks like a multiple
_LEAST_SWING = 2  # LSB: where the values before rounding are known, and one factor holds for all channels
_MIRROR_SWING = 4
_SHOWN = 3


def misread(pair: Pair) -> str:
    """The counts of the window are read as another kind of number."""
    if pair.source is None or pair.source.counts is None:
        return ""
    counts = pair.source.counts
    ways = (
        (counts.byteswap().astype(np.float64), "byte order: the two bytes of each count are swapped"),
        (counts.view(np.uint16).astype(np.float64), "unsigned counts: negative ones are read as large ones"),
    )
    for raw, words in ways:
        if np.array_equal(raw, pair.source.raw):
            continue
        if pair.explained_by(pair.source.values(pair.zero_point, raw=raw)):
            return words
    return ""


def other_offset(pair: Pair) -> str:
    """The mean of the parameters is left out, taken twice, added, or that of another channel."""
    source = pair.source
    if source is None or not source.offset.any():
        return ""
    mean, zero = source.offset, np.zeros_like(source.offset)
    ways = (
        (zero, "the mean is not subtracted"),
        (2 * mean, "the mean is subtracted twice"),
        (-mean, "the mean is added, not subtracted"),
        *((np.full_like(mean, mean[c]), f"every channel is given the mean of channel {c}") for c in range(len(mean))),
    )
    for offset, words in ways:
        values = source.values(pair.zero_point, offset=offset)
        if np.abs(values - pair.exact).max() > pair.slack and pair.explained_by(values):
            return f"wrong mean: {words}"
    return _means_swapped(pair, source)


def _means_swapped(pair: Pair, source: Source) -> str:
    """Each channel has the mean of some channel, and no channel's is used twice."""
    taken = []
    for channel in range(len(source.offset)):
        own = [channel, *(other for other in range(len(source.offset)) if other != channel)]
        fits = (other for other in own if _has_mean(pair, source, channel, float(source.offset[other])))
        taken.append(next(fits, -1))
    moved = [channel for channel, other in enumerate(taken) if other not in (channel, -1)]
    if not moved or -1 in taken or len(set(taken)) < len(taken):
        return ""
    return f"wrong mean: {', '.join(f'channel {c} is given that of channel {taken[c]}' for c in moved)}"


def _has_mean(pair: Pair, source: Source, channel: int, mean: float) -> bool:
    values = pair.exact[:, [channel]] + (source.offset[channel] - mean) * source.gain[channel]
    return pair.explained_by(values, np.array([channel]))


def constant(pair: Pair) -> str:
    """Every element is off by the same."""
    which = pair.channels
    inside = (pair.whole & (pair.expected > pair.element.low) & (pair.expected < pair.element.high))[:, which]
    steps = np.unique((pair.observed - pair.expected)[:, which][inside])
    if len(steps) != 1 or inside.sum() < 2:
        return ""
    return f"zero point or offset: values are off by {steps[0]:+d}{pair.on_channels()}"


def negated(pair: Pair) -> str:
    """Values are mirrored around the zero point."""
    which = pair.channels
    mirrored = 2 * pair.zero_point - pair.exact[:, which]
    if pair.swing(which) < _MIRROR_SWING or not pair.whole[:, which].any() or not pair.explained_by(mirrored, which):
        return ""
    return f"sign: values are mirrored around the zero point{pair.on_channels()}"


def scaled(pair: Pair) -> str:
    """Values are a multiple of what they should be, on all channels that differ, or on each its own."""
    which = pair.channels
    if pair.observed.size < 2 or pair.swing(which) < (_SWING if pair.source is None else _LEAST_SWING):
        return ""
    found = {int(channel): _factor(pair, int(channel)) for channel in which}
    factors = {channel: factor for channel, factor in found.items() if factor is not None}
    if len(factors) < len(found):
        return ""
    common: Interval | None = Interval(-np.inf, np.inf)
    for factor in factors.values():
        common = None if common is None else common.meet(factor)
    if common is not None:
        return "" if common.holds(1) or common.vague else _scaled_words(common, pair)
    if pair.swing(which) < _SWING or any(factor.holds(1) for factor in factors.values()):
        return ""  # of channels that hardly move each has a factor
    several = [f"{factor} on channel {channel}" for channel, factor in factors.items()]
    return f"scale factor: values are {', '.join(several[:_SHOWN])}{', ...' if len(several) > _SHOWN else ''}"


def _factor(pair: Pair, channel: int) -> Interval | None:
    known = pair.known[:, channel]
    wanted = (pair.exact[:, channel] - pair.zero_point)[known]
    given = (pair.observed[:, channel] - pair.zero_point)[known].astype(np.float64)
    bounds = (pair.element.low - pair.zero_point, pair.element.high - pair.zero_point)
    for error in (0.51, pair.slack) if pair.source is not None else (1.01,):
        if found := factor_between(wanted, given, bounds, error):
            return found
    return None


def _scaled_words(factor: Interval, pair: Pair) -> str:
    units = factor.units()
    words = f"scale factor: values are {factor} the reference's around the zero point{pair.on_channels()}"
    words += f" ({units})" if units else ""
    if factor.holds(0) and len(np.unique(pair.observed)) == 1:
        return f"{words}, or the window arrived empty: every element is {pair.observed.flat[0]}"
    return words


def mean(pair: Pair) -> str:
    """Each channel is off by an amount of its own, which need not be a whole LSB."""
    shifts = []
    for channel in pair.channels:
        inside = pair.whole[:, channel]
        error = (pair.observed[:, channel] - pair.exact[:, channel])[inside]
        if inside.sum() < 3 or np.ptp(pair.expected[inside, channel]) < _MIRROR_SWING:
            return ""
        if np.ptp(error) > 2 * pair.slack or abs(error.mean()) <= pair.slack:
            return ""
        shifts.append(f"channel {channel} by {error.mean():+.1f}")
    if not shifts:
        return ""
    return f"wrong mean or offset: {', '.join(shifts[:_SHOWN])}{', ...' if len(shifts) > _SHOWN else ''} LSB"


def rounded(pair: Pair) -> str:
    """No element is off by more than one."""
    if np.abs(pair.observed - pair.expected).max() != 1:
        return ""
    return "rounding: no element is off by more than 1; truncation or a fused multiply-add does this"
