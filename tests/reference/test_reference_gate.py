"""The validity gate against docs/pipeline.md: each rule, which rule wins, and a value-by-value reading of the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hil.case.types import Gate, Vectors, Window
from hil.records import GateReason
from hil.reference.gate import judge

SAMPLES, CHANNELS = 3, 2


@dataclass(frozen=True)
class GateOnly:
    """The two fields of a Case that the gate reads."""

    window: Window
    gate: Gate


def reasons(windows: NDArray[np.generic], gate: Gate, samples: list[int] | None = None) -> list[GateReason]:
    sent = None if samples is None else np.array(samples, np.int64)
    window = Window(windows.dtype.name, *windows.shape[1:])
    found = judge(Vectors(windows, samples=sent), GateOnly(window, gate))  # type: ignore[arg-type]  # duck-typed on purpose
    assert found.dtype == np.uint8
    return [GateReason(int(reason)) for reason in found]


def as_the_page_says(rows: list[list[float]], gate: Gate, sent: int, is_float: bool) -> GateReason:
    """One window, value by value. Spans of floats are rounded to float32 through its exact double."""
    values = [value for row in rows for value in row]
    if sent != SAMPLES:
        return GateReason.LENGTH
    if is_float and not all(math.isfinite(value) for value in values):
        return GateReason.NONFINITE
    if any(value < gate.minimum or value > gate.maximum for value in values):
        return GateReason.RANGE
    spans = [max(channel) - min(channel) for channel in zip(*rows, strict=True)]
    if is_float:
        with np.errstate(over="ignore"):
            spans = [float(np.float32(span)) for span in spans]
    if gate.min_span > 0 and all(span < gate.min_span for span in spans):
        return GateReason.FLAT
    return GateReason.VALID


COUNTS = st.sampled_from([-32768, -32767, -300, -1, 0, 1, 2, 63, 64, 300, 32767])
REALS = st.sampled_from([math.nan, math.inf, -math.inf, -3e38, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 3e38])


@given(
    arrays.arrays(np.int16, (5, SAMPLES, CHANNELS), elements=COUNTS),
    st.sampled_from([(-32768, 32767), (-32767, 32767), (-1, 64), (-100000, 100000)]),
    st.sampled_from([0, 1, 64, 65535, 70000]),
    st.lists(st.sampled_from([SAMPLES, SAMPLES, SAMPLES - 1, SAMPLES + 1, 0]), min_size=5, max_size=5),
)
def test_counts_are_judged_as_the_page_says(
    windows: NDArray[np.int16], bounds: tuple[int, int], min_span: int, sent: list[int]
) -> None:
    gate = Gate(float(bounds[0]), float(bounds[1]), float(min_span))
    expected = [as_the_page_says(w.tolist(), gate, n, is_float=False) for w, n in zip(windows, sent, strict=True)]
    assert reasons(windows, gate, sent) == expected


@given(
    arrays.arrays(np.float32, (5, SAMPLES, CHANNELS), elements=REALS.map(lambda value: float(np.float32(value)))),
    st.sampled_from([(-1.0, 1.0), (-0.5, 0.25), (-3.4e38, 3.4e38)]),
    st.sampled_from([0.0, 0.25, 0.75, 2.0]),
)
def test_floats_are_judged_as_the_page_says(
    windows: NDArray[np.float32], bounds: tuple[float, float], min_span: float
) -> None:
    gate = Gate(float(np.float32(bounds[0])), float(np.float32(bounds[1])), min_span)
    assert reasons(windows, gate) == [as_the_page_says(w.tolist(), gate, SAMPLES, is_float=True) for w in windows]


def test_a_span_of_all_counts_does_not_wrap() -> None:
    window = np.array([[[-32768], [32767], [0]]], np.int16)
    assert reasons(window, Gate(-32768, 32767, 40000)) == [GateReason.VALID]


def test_one_live_channel_keeps_a_window_with_a_dead_one() -> None:
    dead = np.zeros((1, 4, 2), np.int16)
    live = dead.copy()
    live[0, 2, 1] = 5
    gate = Gate(-32767, 32767, 5)
    assert reasons(np.concatenate([dead, live]), gate) == [GateReason.FLAT, GateReason.VALID]


def test_bounds_are_the_float32_values() -> None:
    tenth = np.full((1, 2, 1), 0.1, np.float32)
    assert reasons(tenth, Gate(0.1, 1.0, 0.0)) == [GateReason.VALID]
    above = np.nextafter(tenth, np.float32(1))
    assert reasons(above, Gate(-1.0, 0.1, 0.0)) == [GateReason.RANGE]


@pytest.mark.parametrize(
    ("sent", "expected"), [(10, GateReason.VALID), (9, GateReason.LENGTH), (11, GateReason.LENGTH)]
)
def test_an_int8_tensor_counts_its_first_dimension_as_samples(sent: int, expected: GateReason) -> None:
    """tensor/1: the window has the tensor's shape, here 10 x 4 x 1, whatever samples and channels the case calls it."""
    tensor = np.ones((1, 10, 4, 1), np.int8)
    case = GateOnly(Window("int8", 40, 1), Gate(-128, 127, 0))
    found = judge(Vectors(tensor, samples=np.array([sent])), case)  # type: ignore[arg-type]  # duck-typed on purpose
    assert found.tolist() == [expected]
