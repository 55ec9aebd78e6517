"""The validity gate of docs/pipeline.md over all vectors of a case at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Gate, Vectors
from hil.records import GateReason


def judge(vectors: Vectors, case: Case) -> NDArray[np.uint8]:
    """The GateReason [n] of each vector; of several inputs that of the first whose window is not valid.

    No vector is stale: the harness gives every window it sends a capture number of its own.
    """
    if vectors.further:
        return _first_reason(
            [
                judge(replace(vectors, further=(), windows=windows), one)
                for one, windows in zip(case.of_inputs, (vectors.windows, *vectors.further), strict=True)
            ]
        )
    windows = vectors.windows.reshape(len(vectors), case.window.samples, case.window.channels)
    # The rules are applied from the last to the first: of several that hold, the first one stays.
    reason = np.full(len(vectors), GateReason.VALID, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):  # a span may overflow; windows with NaN get their reason below
        reason[_flat(windows, case.gate)] = GateReason.FLAT
        low, high = _wide(windows.min(axis=(1, 2))), _wide(windows.max(axis=(1, 2)))
        reason[(low < np.float32(case.gate.minimum)) | (high > np.float32(case.gate.maximum))] = GateReason.RANGE
    # NaN and -inf show in the minimum, +inf in the maximum.
    reason[~(np.isfinite(low) & np.isfinite(high))] = GateReason.NONFINITE
    reason[_wrong_length(vectors, case)] = GateReason.LENGTH
    return reason


def _first_reason(reasons: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    found = reasons[0]
    for reason in reasons[1:]:
        found = np.where(found == GateReason.VALID, reason, found)
    return found


def _wide(values: NDArray[np.generic]) -> NDArray[Any]:
    """Integers as int64, so that spans do not wrap and compare exactly with any bound; float32 stays as it is."""
    return values if values.dtype.kind == "f" else values.astype(np.int64)


def _flat(windows: NDArray[np.generic], gate: Gate) -> NDArray[np.bool_]:
    """Whether every channel spans less than `min_span`."""
    if gate.min_span <= 0:
        return np.zeros(len(windows), np.bool_)
    span = _wide(windows.max(axis=1)) - _wide(windows.min(axis=1))
    flat: NDArray[np.bool_] = (span < np.float32(gate.min_span)).all(axis=1)
    return flat


def _wrong_length(vectors: Vectors, case: Case) -> NDArray[np.bool_]:
    if vectors.samples is None:
        return np.zeros(len(vectors), np.bool_)
    bytes_per_sample = case.window.bytes // vectors.windows.shape[1]
    wrong: NDArray[np.bool_] = vectors.samples * bytes_per_sample != case.window.bytes
    return wrong
