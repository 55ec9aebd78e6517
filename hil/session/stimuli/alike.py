"""Windows that share a part with one of the case: who tells windows apart by that part takes them for the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.session.stimuli.windows import Window, payload, split_windows, values_of

Kept = Callable[[Window], NDArray[np.bool_]]  # of a window [samples, channels]: which values stay as they are


def alike(case: Case, own: bytes, other: bytes) -> dict[str, bytes]:
    """Of a valid window that the harness sends next: windows before it, by what they share with it.

    other: another valid window, from which all the rest is taken. Of several inputs each shares that part.
    """
    pairs = [
        (values_of(one, part), values_of(one, rest))
        for one, part, rest in zip(case.of_inputs, split_windows(case, own), split_windows(case, other), strict=True)
    ]
    made = {
        name: b"".join(payload(np.where(kept(part), part, rest)) for part, rest in pairs)
        for name, kept in _SHARED.items()
    }
    made["its values, in another order"] = b"".join(payload(_shuffled(part)) for part, _ in pairs)
    return {name: window for name, window in made.items() if window not in (own, other)}


def _shuffled(window: Window) -> Window:
    """The same samples in another order: each channel keeps its values, and with them every sum over the tensor."""
    axis = 0 if len(window) > 1 else 1
    return np.random.default_rng(_SEED).permutation(window, axis=axis)


_SEED = 20204


def _places(of: Callable[[NDArray[np.float64]], NDArray[np.bool_]]) -> Kept:
    """By where a value lies in memory: 0 at the start, 1 at the end."""
    return lambda window: of(np.linspace(0, 1, window.size)).reshape(window.shape)


def _first_channel(window: Window) -> NDArray[np.bool_]:
    kept = np.zeros(window.shape, np.bool_)
    kept[:, 0] = True
    return kept


_SHARED: Mapping[str, Kept] = {
    "its first half": _places(lambda place: place < 0.5),
    "its last half": _places(lambda place: place >= 0.5),
    "both its ends": _places(lambda place: (place < 0.25) | (place >= 0.75)),
    "its first channel": _first_channel,
}
