"""The table of element types against numpy and IEEE 754, and thresholds of outputs of every type in exact fractions."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.case.types import Decide
from hil.contract.distance import Allowance
from hil.records import DecisionReason
from hil.reference.decide import Decider, best, decide_all, raw_threshold
from hil.tensor import (
    ELEMENT_TYPES,
    FLOAT32,
    INT8,
    INT16,
    INT32,
    NAN,
    UINT8,
    ElementType,
    Quantisation,
    no_number,
    ranks,
    steps_between,
)

FLOATS = st.floats(width=32, allow_nan=False)


def bits_of(value: float) -> int:
    return int(struct.unpack("<i", struct.pack("<f", value))[0])


def test_the_types_are_those_of_the_schema_with_the_ends_of_numpy() -> None:
    assert {name: each.number for name, each in ELEMENT_TYPES.items()} == {
        "FLOAT32": 0,
        "INT32": 2,
        "UINT8": 3,
        "INT16": 7,
        "INT8": 9,
    }
    for element in (INT8, UINT8, INT16, INT32):
        assert (element.low, element.high) == (np.iinfo(element.dtype).min, np.iinfo(element.dtype).max)


@given(one=FLOATS, other=FLOATS)
def test_ranks_of_floats_are_in_the_order_of_their_values(one: float, other: float) -> None:
    first, second = ranks(np.array([one, other], np.float32)).tolist()
    assert (first < second, first == second) == (one < other, one == other)


@given(value=FLOATS)
def test_the_rank_is_the_formula_of_the_page_and_turns_back_into_the_value(value: float) -> None:
    bits = bits_of(value)
    rank = int(ranks(np.array([value], np.float32))[0])
    assert rank == (bits if bits >= 0 else -(2**31) - bits)
    assert float(FLOAT32.of_ranks(rank)) == value


def test_neighbours_are_one_step_apart_and_no_number_is_far_from_all() -> None:
    values = np.array([0.0, 1.0, -1.0, 3e38, 1e-45], np.float32)
    assert steps_between(values, np.nextafter(values, np.float32(np.inf))).tolist() == [1] * 5
    assert steps_between(np.array([-0.0], np.float32), np.array([0.0], np.float32)).tolist() == [0]
    nan, most = np.array([np.nan], np.float32), np.array([-np.inf], np.float32)
    assert steps_between(nan, nan).tolist() == [0]
    assert steps_between(nan, most)[0] > steps_between(-most, most)[0]
    assert no_number(FLOAT32.of_ranks([NAN, -NAN, FLOAT32.high])).tolist() == [True, True, False]


SCORES = st.floats(-2.0, 2.0).map(lambda value: round(value, 4))


@pytest.mark.parametrize("element", [INT8, UINT8, INT16, INT32], ids=lambda each: each.name)
@given(score=SCORES, data=st.data())
def test_an_integer_is_accepted_exactly_when_its_value_reaches_the_score(
    element: ElementType, score: float, data: st.DataObject
) -> None:
    zero_point = data.draw(st.integers(max(element.low, -40000), min(element.high, 40000)))
    q = Quantisation(float(np.float32(1 / 300)), zero_point)
    threshold = raw_threshold(score, q, element)
    wanted = Fraction(repr(score))
    for raw in {threshold - 1, threshold, threshold + 1, element.low, element.high}:
        if element.low <= raw <= element.high:
            assert (raw > threshold) == ((raw - zero_point) * Fraction(q.scale) >= wanted)


def test_an_integer_without_a_scale_stands_for_itself() -> None:
    assert raw_threshold(2, Quantisation(0.0, 0), INT32) == 1
    assert raw_threshold(2, Quantisation(0.0, 7), INT32) == 1
    assert raw_threshold(2.5, Quantisation(0.0, 0), INT32) == 2
    assert raw_threshold(-1e30, Quantisation(0.0, 0), INT32) == -(2**31)
    assert raw_threshold(-300, Quantisation(1.0, 0), UINT8) == -1


@given(score=st.one_of(SCORES, st.floats(-1e38, 1e38, allow_nan=False)))
def test_a_float_is_accepted_exactly_when_it_reaches_the_score(score: float) -> None:
    threshold = raw_threshold(score, Quantisation(0.0, 0), FLOAT32)
    wanted = Fraction(repr(float(score)))
    below, above = FLOAT32.of_ranks([threshold, threshold + 1]).tolist()
    assert Fraction(below) < wanted <= Fraction(above)


MOST_RANK = FLOAT32.high - 1
# Scores that no float32 shows: beyond the largest, next to zero, and so near the middle of two that it rounds there.
BEYOND: tuple[tuple[float | Fraction, int], ...] = (
    (1e39, MOST_RANK),
    (1e300, MOST_RANK),
    (-1e39, FLOAT32.low),
    (-1e300, FLOAT32.low),
    (1e-60, 0),
    (-1e-60, -1),
    (Fraction(1) + Fraction(2) ** -24 + Fraction(2) ** -70, bits_of(1.0)),
    (Fraction(1) + Fraction(2) ** -24 - Fraction(2) ** -70, bits_of(1.0)),
    (Fraction(1) + Fraction(3) * Fraction(2) ** -24 - Fraction(2) ** -70, bits_of(1 + 2.0**-23)),
)


@pytest.mark.parametrize(("score", "rank"), BEYOND)
def test_the_threshold_of_a_score_that_no_float32_shows(score: float | Fraction, rank: int) -> None:
    with np.errstate(over="raise"):
        assert raw_threshold(score, Quantisation(0.0, 0), FLOAT32) == rank


def test_a_threshold_of_zero_takes_both_zeros() -> None:
    threshold = raw_threshold(0.0, Quantisation(0.0, 0), FLOAT32)
    assert ranks(np.array([-0.0, 0.0, -1e-45], np.float32)).tolist() == [0, 0, -1]
    assert threshold == -1


def test_what_is_no_number_decides_nothing_and_leaves_the_state() -> None:
    threshold = raw_threshold(0.5, Quantisation(0.0, 0), FLOAT32)
    decide = Decide("argmax", 1, threshold, raw_threshold(0.25, Quantisation(0.0, 0), FLOAT32), labels=("no", "yes"))
    outputs = np.array([[0.1, 0.9], [np.nan, 0.9], [0.0, 0.3], [0.0, 0.2]], np.float32)
    stream = decide_all(outputs, decide, np.zeros(4, np.int64))
    assert stream.answer.tolist() == [1, -1, 1, -1]
    assert stream.reason[1] == DecisionReason.NOT_A_NUMBER
    assert (stream.winner[1], stream.score[1]) == (-1, 0)
    alone = decide_all(outputs, decide)
    assert alone.reason.tolist() == [0, 5, 1, 1]
    decider = Decider(decide)
    assert [decider.step(row).answer for row in outputs] == stream.answer.tolist()
    assert [each[1] for each in best(outputs)] == [-1, 0]


def test_a_budget_of_ulp_and_an_absolute_one_each_excuse_an_element() -> None:
    wanted = np.array([1.0, 1e-30, 0.0, np.nan], np.float32)
    given_ = np.array([np.nextafter(np.float32(1), np.float32(2)), 1e-29, 1e-6, np.nan], np.float32)
    assert Allowance(FLOAT32, 0).beyond(wanted, given_).tolist() == [True, True, True, False]
    assert Allowance(FLOAT32, 1).beyond(wanted, given_).tolist() == [False, True, True, False]
    assert Allowance(FLOAT32, 1, 1e-9).beyond(wanted, given_).tolist() == [False, False, True, False]
    assert Allowance(FLOAT32, 0, 1e-5).beyond(wanted, given_).tolist() == [False] * 4
    lost = np.array([np.nan, 1e-30, np.inf, 5.0], np.float32)
    assert Allowance(FLOAT32, 9, 1e3).beyond(wanted, lost).tolist() == [True, False, True, True]
    assert Allowance(FLOAT32, 0, 1e-5).worst(wanted, given_) == pytest.approx(1e-6)
    assert Allowance(INT8, 1).words == "within 1 LSB"
    assert Allowance(FLOAT32, 0).words == "bit for bit"
    assert Allowance(FLOAT32, 4, 0.001).words == "within 4 ULP or 0.001"
