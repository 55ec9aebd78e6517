"""The validity gate of docs/pipeline.md over all vectors of a case at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Gate, Vectors, sent_bytes
from hil.records import GateReason


def judge(vectors: Vectors, case: Case) -> NDArray[np.uint8]:
    """The GateReason [n] of each vector; of several inputs that of the first whose window is not valid.

    No vector is stale: the harness gives every window it sends a capture number of its own.
    """
    if vectors.further:
        whole = replace(vectors, samples=None, further=(), further_samples=())
        inputs = list(zip(case.of_inputs, (vectors.windows, *vectors.further), strict=True))
        found = _first_reason([judge(replace(whole, windows=windows), one) for one, windows in inputs])
        sizes = [(one.window.bytes, windows.shape[1]) for one, windows in inputs]
        samples = (vectors.samples, *(vectors.further_samples or (None,) * len(vectors.further)))
        found[_wrong_length(sizes, samples, len(vectors))] = GateReason.LENGTH
        return found
    windows = vectors.windows.reshape(len(vectors), case.window.samples, case.window.channels)
    # The rules are applied from the last to the first: of several that hold, the first one stays.
    reason = np.full(len(vectors), GateReason.VALID, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):  # a span may overflow; windows with NaN get their reason below
        reason[_flat(windows, case.gate)] = GateReason.FLAT
        low, high = _wide(windows.min(axis=(1, 2))), _wide(windows.max(axis=(1, 2)))
        reason[(low < np.float32(case.gate.minimum)) | (high > np.float32(case.gate.maximum))] = GateReason.RANGE
    # NaN and -inf show in the minimum, +inf in the maximum.
    reason[~(np.isfinite(low) & np.isfinite(high))] = GateReason.NONFINITE
    reason[_wrong_length([(case.window.bytes, vectors.windows.shape[1])], [vectors.samples], len(vectors))] = (
        GateReason.LENGTH
    )
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


def _wrong_length(
    sizes: Sequence[tuple[int, int]], samples: Sequence[NDArray[np.int64] | None], n: int
) -> NDArray[np.bool_]:
    """[n]: whether other than the bytes of a whole window are sent, of all inputs together."""
    sent = sent_bytes(sizes, samples)
    if sent is None:
        return np.zeros(n, np.bool_)
    wrong: NDArray[np.bool_] = sent != sum(size for size, _ in sizes)
    return wrong
