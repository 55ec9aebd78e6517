"""The prepare stages against docs/pipeline.md, in exact fractions and in float32 rounded one operation at a time."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hil.case.types import Channel, Prepare
from hil.errors import UsageError
from hil.reference.prepare import BLOCK_ELEMENTS, clipped, digest, digests, elements, float_limit, prepare, real_values
from hil.tensor import INT8, INT16, UINT8, Quantisation, TensorContract

INT32 = st.integers(-(2**31), 2**31 - 1)
ZERO_POINTS = st.integers(-128, 127)


def tensor(elements: int, zero_point: int = 0, scale: float = 1.0) -> TensorContract:
    return TensorContract("INT8", (1, elements), Quantisation(scale, zero_point), elements)


def clamp(value: int) -> int:
    return max(-128, min(127, value))


def float32(value: float) -> float:
    """A double rounded once to float32."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


@given(
    arrays.arrays(np.int16, (2, 3, 2)),
    st.lists(st.builds(Channel, st.integers(0, 1), INT32, INT32), min_size=1, max_size=4),
    ZERO_POINTS,
)
def test_scale_rounds_the_exact_product_half_up(
    windows: NDArray[np.int16], channels: list[Channel], zero_point: int
) -> None:
    """`zp + round_half_up((count - offset) / 32768 * gain / 65536)`, the page's second form, in fractions."""
    found = prepare(windows, Prepare("scale", 1, tuple(channels)), tensor(3 * len(channels), zero_point))
    expected = [
        [
            clamp(
                zero_point
                + math.floor(
                    Fraction(int(sample[c.source]) - c.offset, 32768) * Fraction(c.gain, 65536) + Fraction(1, 2)
                )
            )
            for sample in window
            for c in channels
        ]
        for window in windows
    ]
    assert found.tolist() == expected


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (-1, 0), (3, 2), (-3, -1), (2, 1), (-2, -1), (0, 0)])
def test_scale_rounds_halves_towards_plus_infinity(count: int, expected: int) -> None:
    half = Prepare("scale", 1, (Channel(0, 0, 2**30),))  # a count is half an LSB
    assert prepare(np.full((1, 1, 1), count, np.int16), half, tensor(1)).item() == expected


def test_scale_takes_channels_by_their_source_in_sample_major_order() -> None:
    one = 2**31 - 1  # a count is as good as one LSB
    swap = Prepare("scale", 1, (Channel(2, 0, one), Channel(0, 10, one)))
    window = np.array([[[1, 2, 3], [4, 5, 6]]], np.int16)
    assert prepare(window, swap, tensor(4)).tolist() == [[3, -9, 6, -6]]


@given(
    arrays.arrays(np.float32, (4, 2), elements=st.floats(allow_nan=False, width=32)),
    st.floats(min_value=2.0**-20, max_value=2.0**20, width=32),
    ZERO_POINTS,
)
def test_quantize_rounds_every_operation_to_float32(
    windows: NDArray[np.float32], factor: float, zero_point: int
) -> None:
    """A product of two float32 is exact in a double, and so is a sum wherever its rounding to float32 is in doubt."""
    found = prepare(windows, Prepare("quantize", 1, factor=factor), tensor(2, zero_point))
    expected = []
    for x in windows.ravel().tolist():
        product = max(-2048.0, min(2048.0, x * factor))  # keeps the product inside float32; the page clamps nearer
        y = max(-1024.0, min(1024.0, float32(product)))
        expected.append(clamp(zero_point + math.floor(float32(y + 0.5))))
    assert found.ravel().tolist() == expected


def test_quantize_adds_the_half_in_float32() -> None:
    """The float32 next below 0.5 plus 0.5 is a tie that rounds to 1.0: the page's order of operations shows."""
    below_half = np.nextafter(np.float32(0.5), np.float32(0)).reshape(1, 1)
    assert prepare(below_half, Prepare("quantize", 1, factor=1.0), tensor(1)).item() == 1


@given(arrays.arrays(np.int8, (3, 2, 2, 1)), ZERO_POINTS)
def test_tensor_copies_the_bytes(windows: NDArray[np.int8], zero_point: int) -> None:
    found = prepare(windows, Prepare("tensor", 1), tensor(4, zero_point))
    assert found.tobytes() == windows.tobytes()
    assert not np.shares_memory(found, windows)


def test_a_block_boundary_leaves_no_trace() -> None:
    elements = 1000
    n = BLOCK_ELEMENTS // elements + 3
    windows = np.random.default_rng(1).integers(-32768, 32768, (n, elements, 1)).astype(np.int16)
    gain = 255 << 16
    found = prepare(windows, Prepare("scale", 1, (Channel(0, 0, gain),)), tensor(elements))
    expected = np.clip(
        np.floor(windows.reshape(n, elements).astype(float) * 255 / 32768 + 0.5), -128, 127
    )  # exact in double
    np.testing.assert_array_equal(found, expected)


def test_windows_that_do_not_fill_the_tensor_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        prepare(np.zeros((2, 3), np.int8), Prepare("tensor", 1), tensor(4))


def test_windows_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="scale/1 takes int16 windows, not int32"):
        prepare(np.zeros((1, 1, 1), np.int32), Prepare("scale", 1, (Channel(0, 0, 1),)), tensor(1))


def test_a_tensor_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="tensor/1 takes int8 windows, not int16"):
        prepare(np.zeros((1, 4), np.int16), Prepare("tensor", 1), tensor(4))


def test_real_numbers_of_another_type_are_refused_and_so_is_a_tensor_that_no_stage_rounds_to() -> None:
    with pytest.raises(ValueError, match="quantize/1 takes float32 windows, not float64"):
        prepare(np.zeros((1, 4)), Prepare("quantize", 1, factor=1.0), tensor(4))
    real = TensorContract("FLOAT32", (1, 4), Quantisation(0.0, 0), 16)
    with pytest.raises(ValueError, match="no stage rounds to FLOAT32"):
        prepare(np.zeros((1, 4), np.float32), Prepare("quantize", 1, factor=1.0), real)


def test_a_product_is_limited_farther_out_than_any_element_lies() -> None:
    assert [float_limit(element) for element in (INT8, UINT8, INT16)] == [1024.0, 1024.0, 131072.0]


def test_elements_have_the_type_of_the_tensor() -> None:
    assert elements(np.zeros((1, 1, 1), np.int16), Prepare("scale", 1, (Channel(0, 0, 1),)), tensor(1)).dtype == np.int8
    assert elements(np.zeros((1, 1), np.float32), Prepare("quantize", 1, factor=1.0), tensor(1)).dtype == np.int8


def test_an_unknown_stage_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"scale/2.*unknown"):
        prepare(np.zeros((1, 1, 1), np.int16), Prepare("scale", 2), tensor(1))


def test_the_digest_is_the_crc_32_of_the_catalogue() -> None:
    """0xCBF43926 is the published check value of CRC-32/ISO-HDLC over "123456789"."""
    nine = np.frombuffer(b"123456789", np.int8)
    assert digest(nine) == 0xCBF43926
    rows = digests(np.stack([nine, nine]))
    assert rows.dtype == np.uint32
    assert rows.tolist() == [0xCBF43926] * 2
    assert digest(np.repeat(nine, 2)[::2]) == 0xCBF43926  # strided memory


# ---- what a perfect front end would give -----------------------------------------------------------------------------


@given(
    arrays.arrays(np.int16, (2, 3, 2)),
    st.lists(st.builds(Channel, st.integers(0, 1), INT32, INT32), min_size=1, max_size=4),
    ZERO_POINTS,
    st.floats(min_value=2.0**-20, max_value=2.0**4, width=32),
)
def test_scale_stands_for_the_exact_product_and_is_cut_where_it_does_not_fit(
    windows: NDArray[np.int16], channels: list[Channel], zero_point: int, scale: float
) -> None:
    """`(count - offset) / 32768 * gain / 65536 * scale`, in fractions; float32 has 24 bits of it."""
    stage, of = Prepare("scale", 1, tuple(channels)), tensor(3 * len(channels), zero_point, scale)
    lsb = [
        [
            Fraction(int(sample[c.source]) - c.offset, 32768) * Fraction(c.gain, 65536)
            for sample in window
            for c in channels
        ]
        for window in windows
    ]
    exact = [[float(value * Fraction(scale)) for value in row] for row in lsb]
    np.testing.assert_allclose(real_values(windows, stage, of), exact, rtol=2.0**-23)
    found = clipped(windows, stage, of)
    for row, cut in zip(lsb, found, strict=True):
        for value, here in zip(row, cut, strict=True):
            q = value + zero_point
            at_the_end = min(abs(q + Fraction(257, 2)), abs(q - Fraction(255, 2))) < abs(q) * Fraction(1, 2**20)
            assert at_the_end or here == (q < Fraction(-257, 2) or q >= Fraction(255, 2))


@given(arrays.arrays(np.float32, (4, 2), elements=st.floats(allow_nan=False, width=32)), ZERO_POINTS)
def test_quantize_stands_for_the_window_itself(windows: NDArray[np.float32], zero_point: int) -> None:
    of = tensor(2, zero_point, 0.5)
    stage = Prepare("quantize", 1, factor=2.0)
    assert real_values(windows, stage, of).tobytes() == windows.tobytes()
    q = windows.astype(np.float64) * 2 + zero_point
    assert clipped(windows, stage, of).tolist() == ((q < -128.5) | (q >= 127.5)).tolist()


@given(arrays.arrays(np.int8, (3, 4)), ZERO_POINTS)
def test_tensor_stands_for_what_its_scale_makes_of_it(windows: NDArray[np.int8], zero_point: int) -> None:
    of = tensor(4, zero_point, 0.25)
    real = (windows.astype(float) - zero_point) * 0.25
    assert real_values(windows, Prepare("tensor", 1), of).tolist() == real.tolist()
    rails = np.isin(windows, (-128, 127)) & (windows != zero_point)
    assert clipped(windows, Prepare("tensor", 1), of).tolist() == rails.tolist()


def test_nothing_is_cut_that_int8_shows_to_the_last_step() -> None:
    """q from -128.5, which is rounded up to -128, to just below 127.5."""
    counts = np.array([-257, -258, 254, 255], np.int16).reshape(4, 1, 1)
    half = Prepare("scale", 1, (Channel(0, 0, 2**30),))  # a count is half an LSB
    assert clipped(counts, half, tensor(1, 0, 0.1)).ravel().tolist() == [False, True, False, True]


def test_a_float32_tensor_stands_for_itself_and_is_cut_nowhere() -> None:
    of = TensorContract("FLOAT32", (1, 2), Quantisation(0.0, 0), 8)
    windows = np.array([[[1.5], [-3e38]], [[0.0], [7.25]], [[1.0], [2.0]]], np.float32)
    found = clipped(windows, Prepare("tensor", 1), of)
    assert (found.dtype, found.shape, found.any()) == (np.bool_, (3, 2), False)
    assert real_values(windows, Prepare("tensor", 1), of).tolist() == windows.reshape(3, 2).tolist()


def test_real_values_are_float32_whatever_the_scale() -> None:
    """Those of an absurd one are infinite, and the float model says what it makes of that."""
    counts = np.array([[[32767]], [[0]]], np.int16)
    with np.errstate(over="raise"):
        found = real_values(counts, Prepare("scale", 1, (Channel(0, 0, 2**31 - 1),)), tensor(1, 0, 3e38))
    assert found.dtype == np.float32
    assert found.ravel().tolist() == [math.inf, 0.0]
