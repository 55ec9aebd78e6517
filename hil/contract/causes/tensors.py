"""Knows what a tensor looks like that is another one, lies in memory otherwise, or was cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.contract.causes.factors import cut_words
from hil.contract.causes.pair import Mask, Pair

_WINDOWS, _SAMPLES = 3, 4  # of fewer windows, or of shorter ones, that an end is off is chance
_STRETCH = 4  # elements: of fewer that equal the vector before, chance is as good a cause


def stale(pair: Pair) -> str:
    """The whole tensor is that of the vector before."""
    if pair.previous is None or not np.array_equal(pair.observed, pair.previous):
        return ""
    return "stale input buffer: the tensor is that of the vector before; is the window copied before prepare runs?"


def partly_stale(pair: Pair) -> str:
    """A stretch of it is that of the vector before: a line of a cache, the half of a double buffer."""
    if pair.previous is None:
        return ""
    different = np.flatnonzero(pair.different.ravel())
    stretch = slice(int(different[0]), int(different[-1]) + 1) if len(different) >= _STRETCH else slice(0)
    old, new = pair.previous.ravel()[stretch], pair.observed.ravel()[stretch]
    if not len(old) or not np.array_equal(old, new):
        return ""
    return (
        f"stale in part: elements {stretch.start} to {stretch.stop - 1} are those of the vector before; "
        "is the buffer complete, and the cache invalidated, before prepare runs?"
    )


def clamped(pair: Pair) -> str:
    """Only large values differ: they wrapped around, or were cut elsewhere."""
    low, high = pair.element.low, pair.element.high
    clipped = (pair.expected == low) | (pair.expected == high)
    if (pair.different & ~clipped).any():
        return _cut(pair)
    if _wrapped(pair, clipped.all()):
        return f"missing clamp: values beyond [{low}, {high}] wrapped around"
    return _cut(pair) if clipped.all() else f"other clamp: only values at {low} or {high} differ"


def _cut(pair: Pair) -> str:
    """At bounds that are narrower than those of its type."""
    low, high = int(pair.observed.min()), int(pair.observed.max())
    if low < high and pair.different.sum() > 1 and np.array_equal(pair.observed, np.clip(pair.expected, low, high)):
        return f"other clamp: values are cut at {cut_words(pair.expected, low, high)}"
    return ""


def _wrapped(pair: Pair, everywhere: bool) -> bool:
    """The device's elements are the low bits of the values, rounded as the reference rounds. Where these are not
    known, some that were cut have the other sign, and others are right. everywhere: all elements were cut.
    """
    if pair.source is None:
        return not everywhere and bool(_other_side(pair)[pair.different].any())
    low_bits = np.floor(pair.exact + 0.5).astype(np.int64).astype(pair.element.dtype)
    return bool(np.array_equal(low_bits, pair.observed))


def _other_side(pair: Pair) -> Mask:
    """Elements that lie on the other side of the middle of their type."""
    middle = (pair.element.low + pair.element.high + 1) // 2
    side: Mask = np.sign(pair.expected - middle) != np.sign(pair.observed - middle)
    return side


def taken_for(pair: Pair) -> str:
    """Every element is off by half the range of its 8 bits: an int8 taken for a uint8, or the other way round."""
    if pair.element.dtype.itemsize > 1 or ((pair.expected - pair.observed) % 256 != 128).any():
        return ""
    other = "int8" if pair.element.low == 0 else "uint8"
    return f"another type: every element is off by half its range, as {other} is from {pair.element.dtype.name}"


def laid_out(pair: Pair) -> str:
    """The right elements in another order."""
    if np.array_equal(pair.observed.ravel(), pair.expected.T.ravel()):
        return "channel-major layout: the tensor is the transpose of the sample-major one"
    if np.array_equal(pair.observed, pair.expected[::-1]):
        return "time runs backwards: the last sample comes first"
    return ""


def shifted(pair: Pair) -> str:
    """The window begins a sample late or early."""
    if len(pair.expected) < 3:
        return ""
    if np.array_equal(pair.observed[:-1], pair.expected[1:]):
        return "off-by-one window: it starts one sample late"
    if np.array_equal(pair.observed[1:], pair.expected[:-1]):
        return "off-by-one window: it starts one sample early"
    return ""


def sample_lost(pair: Pair) -> str:
    """From some sample on the window is one ahead or behind: a sample was dropped there, or taken twice."""
    first = int(np.flatnonzero(pair.different.any(axis=1))[0])
    if first < 1 or len(pair.expected) - first < 3:
        return ""
    if np.array_equal(pair.observed[first:-1], pair.expected[first + 1 :]):
        return f"lost sample: from sample {first} on the window is one sample ahead"
    if np.array_equal(pair.observed[first:], pair.expected[first - 1 : -1]):
        return f"doubled sample: from sample {first} on the window is one sample behind"
    return ""


def at_an_end(pairs: Sequence[Pair]) -> str:
    """In all windows the same end is wrong, by no more than a sample: a loop that ends early, or begins late."""
    samples, channels = pairs[0].different.shape
    if len(pairs) < _WINDOWS or samples < _SAMPLES:
        return ""
    places = np.concatenate([np.flatnonzero(pair.different.ravel()) for pair in pairs])
    of_last, of_first = samples * channels - int(places.min()), int(places.max()) + 1
    for end, count, action in (("last", of_last, "end too early"), ("first", of_first, "begin too late")):
        if count <= channels:
            which = f"the {end} element is" if count == 1 else f"the {end} {count} elements are"
            return f"an end left out: in all these windows only {which} off; does a loop or a copy {action}?"
    return ""


def empty(pair: Pair) -> str:
    """Every element is the same."""
    values = np.unique(pair.observed)
    if len(values) > 1 or pair.observed.size < 2:
        return ""
    return f"tensor never written, or the window arrived empty: every element is {pair.element.of_ranks(values[0])}"
