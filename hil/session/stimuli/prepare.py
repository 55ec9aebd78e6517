"""Windows for the prepare stage: every value that a mistake would show on, in every channel and at every position."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.reference.mistakes import PITFALLS
from hil.reference.prepare import elements
from hil.session.stimuli.windows import Named, Window, value_range
from hil.tensor import Elements, bits, ranks

_WINDOW_SEED = 20202
_APART = 5  # places between what two channels hold at a time, so that one is not taken for the other
_OF_A_LANDMARK, _OF_A_MISTAKE = 3, 3  # values


def prepare_windows(case: Case, values: Window, count: int) -> Named:
    """At most `count` windows of the values that matter, and three over the whole range. values: of a valid window.

    From window to window each position takes the next value, so that it meets all of them in the end, and after each
    another one whose prepared element differs.
    """
    columns = [_values(case, channel, values.dtype) for channel in range(case.window.channels)]
    samples = np.arange(case.window.samples)
    for number in range(min(count, max(map(len, columns)))):
        placed = [column[(samples + number + _APART * channel) % len(column)] for channel, column in enumerate(columns)]
        yield f"values that matter to prepare {number}", np.stack(placed, axis=1)
    yield from _whole_range(case, values)


def _values(case: Case, channel: int, dtype: np.dtype[Any]) -> Window:
    """What one channel of the windows goes through."""
    pitfalls = PITFALLS[case.prepare.name]
    limits = value_range(case, dtype)
    groups = [found.astype(dtype) for _, found in pitfalls.landmarks(case.prepare, case.model.input, channel, limits)]
    candidates = _distinct(np.concatenate(groups))
    reading = [place for place, each in enumerate(case.prepare.channels) if each.source == channel]
    # All channels hold the candidates; those of the tensor that read this one are looked at.
    windows = np.repeat(candidates[:, None], case.window.channels, axis=1)

    def of_channel(tensor: Elements) -> Elements:
        return tensor[:, reading or ([] if case.prepare.channels else [0])]

    right = of_channel(elements(windows, case.prepare, case.model.input))
    wrong = (of_channel(mistake(windows, case.prepare, case.model.input)) for mistake in pitfalls.mistakes.values())
    telling = (candidates[(bits(other) != bits(right)).any(axis=1)] for other in wrong)
    chosen = chain((_some(group, _OF_A_LANDMARK) for group in groups), (_some(each, _OF_A_MISTAKE) for each in telling))
    values = _distinct(np.concatenate([*chosen, candidates[:0]]))
    return _alternating(values, right[np.searchsorted(_keys(candidates), _keys(values))])


def _distinct(values: Window) -> Window:
    """Each value once, in ascending order."""
    return values[np.unique(_keys(values), return_index=True)[1]]


def _keys(values: Window) -> NDArray[np.int64]:
    """Numbers that grow with the values, of which the two zeros of float32 have one each."""
    negative_zero = (values == 0) & np.signbit(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)
    return 2 * ranks(values) + 1 - negative_zero


def _some(values: Window, count: int) -> Window:
    """The first, the last, and some between them."""
    return values[np.unique(np.linspace(0, len(values) - 1, count).astype(int))] if len(values) else values


def _alternating(values: Window, elements: Elements) -> Window:
    """In an order in which neighbours become different elements, as far as that can be."""
    key = ranks(elements[:, 0]) if elements.shape[1] else np.arange(len(values))
    ordered = values[np.argsort(key, kind="stable")]
    half = (len(ordered) + 1) // 2
    mixed = np.empty_like(ordered)
    mixed[0::2], mixed[1::2] = ordered[:half], ordered[half:]
    return mixed


def _whole_range(case: Case, values: Window) -> Iterator[tuple[str, Window]]:
    """Valid windows from end to end of what the gate lets through; each position holds either end once."""
    low, high = value_range(case, values.dtype)
    ends = np.arange(values.size).reshape(values.shape) % 2 == 0
    yield "from rail to rail", np.where(ends, low, high).astype(values.dtype)
    yield "from rail to rail, the other way", np.where(ends, high, low).astype(values.dtype)
    if case.prepare.id == "quantize":  # twice the tensor's range; far beyond it, all elements look the same
        reach = 512.0 / case.prepare.factor
        low, high = max(low, -reach), min(high, reach)
    yield "ramp over the whole range", np.linspace(low, high, values.size).reshape(values.shape).astype(values.dtype)
    if case.prepare.id != "tensor":  # a copy has no arithmetic to go wrong
        noise = np.random.default_rng(_WINDOW_SEED).uniform(low, high, values.shape)
        noise = noise.round(0 if values.dtype.kind != "f" else 6).clip(low, high)
        yield "noise over the whole range", noise.astype(values.dtype)
