"""The front end of this product, as its reference: what src/statistics.c must make of a window.

Of each channel come mean, deviation, least and largest value, in counts. The model takes them as int8.
"""

from __future__ import annotations

import tomllib
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int16]
FEATURES = 4  # of a channel
GAIN_BITS = 16
_FILE = Path(__file__).with_name("front_end.toml")


def statistics(windows: Counts) -> NDArray[np.int64]:
    """int64 [n, channels * 4] of counts [n, samples, channels]: mean, deviation, minimum, maximum of each channel.

    With N samples, S their sum and Q the sum of their squares, the mean is floor(S / N + 1/2) and the deviation
    floor(isqrt(N * Q - S * S) / N).
    """
    values = windows.astype(np.int64)
    n = values.shape[1]
    total, squares = values.sum(axis=1), (values * values).sum(axis=1)
    mean = (2 * total + n) // (2 * n)
    roots = [isqrt(int(value)) for value in (n * squares - total * total).ravel()]
    deviation = np.array(roots, np.int64).reshape(total.shape) // n
    return np.stack([mean, deviation, values.min(axis=1), values.max(axis=1)], axis=2).reshape(len(windows), -1)


def scaled(windows: Counts) -> NDArray[np.int64]:
    """int64 [n, channels * 4]: (statistic - offset) * gain, in steps of the model's input in Q16."""
    table = _table()
    return (statistics(windows) - np.array(table["offset"], np.int64)) * np.array(table["gain"], np.int64)


def prepare(windows: Counts) -> NDArray[np.int8]:
    """int8 [n, channels * 4]: that, rounded half up, with the zero point, clamped to int8."""
    whole = (scaled(windows) + (1 << (GAIN_BITS - 1))) >> GAIN_BITS
    return np.clip(whole + _table()["zero_point"], -128, 127).astype(np.int8)


def _table() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
