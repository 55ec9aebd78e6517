"""Factors between two rows: what they are called, at the ends of an interval too, and which mistakes they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hil.contract.causes.factors import GRAVITY, Interval, cut_words, factor_between

INT8 = (-128.0, 127.0)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(-2.0, 0.5), "at most 2 times"),
        (Interval(-0.5, 2.0), "at most 2 times"),
        (Interval(0.0, 0.25), "at most 0.25 times"),
        (Interval(4.0, math.inf), "at least 4 times"),
        (Interval(0.5, math.inf), "at least 0.5 times"),
        (Interval(-math.inf, -3.0), "minus 3 times"),
        (Interval(9.8, 9.82), "9.81 times"),
        (Interval(99.98, 99.98), "100 times"),
        (Interval(100.25, 100.25), "100 times"),
        (Interval(1234.0, 1236.0), "1,235 times"),
    ],
)
def test_an_interval_is_told_as_one_factor_or_a_bound(interval: Interval, words: str) -> None:
    assert str(interval) == words


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(9.8, 9.82), "9.80665: m/s2 for g?"),
        (Interval(GRAVITY, GRAVITY), "9.80665: m/s2 for g?"),
        (Interval(3.99, 4.01), "2^2: a shift by 2 bits?"),
        (Interval(0.249, 0.251), "2^-2: a shift by 2 bits?"),
        (Interval(2.0**15, 2.0**15), "2^15: a shift by 15 bits?"),
        (Interval(2.0**16, 2.0**16), ""),
        (Interval(1.0, 1.0), ""),
        (Interval(100.0, 110.0), "1000/9.80665: mg for m/s2 or 100: hundredths of the unit?"),  # the first two, of one
        (Interval(100.0, 110.1), ""),  # too wide for anything but the usual ones
        (Interval(900.0, math.inf), "a unit factor such as 1000: thousandths of the unit, such as mg for g?"),
        (
            Interval(5.0, 2000.0),
            "a unit factor such as 9.80665: m/s2 for g or 1000: thousandths of the unit, such as "
            "mg for g or 180/pi: degrees for radians?",
        ),
        (Interval(-0.5, 0.0), ""),
        (Interval(-1.0, 0.002), "a unit factor such as 1/1000: thousands of the unit, such as g for mg?"),
    ],
)
def test_the_mistakes_of_units_in_an_interval(interval: Interval, words: str) -> None:
    assert interval.units() == words


def test_an_interval_holds_its_ends_and_meets_in_one_point() -> None:
    interval = Interval(2.0, 3.0)
    assert [interval.holds(factor) for factor in (1.99, 2.0, 2.5, 3.0, 3.01)] == [False, True, True, True, False]
    assert interval.meet(Interval(3.0, 4.0)) == Interval(3.0, 3.0)
    assert interval.meet(Interval(3.01, 4.0)) is None


def between(wanted: list[float], given: list[float], error: float = 0.5) -> Interval | None:
    return factor_between(np.array(wanted), np.array(given), INT8, error)


def test_every_element_narrows_the_factor() -> None:
    assert between([10.0, -20.0], [20.0, -40.0]) == Interval(1.975, 2.025)
    assert between([10.0, -20.0], [20.0, 40.0]) is None
    assert between([10.0], [20.0], 0.0) == Interval(2.0, 2.0)


def test_a_value_at_a_bound_says_only_that_the_factor_is_as_large() -> None:
    assert between([10.0], [127.0]) == Interval(12.65, math.inf)
    assert between([10.0], [-128.0]) == Interval(-math.inf, -12.75)
    assert between([-10.0], [-128.0]) == Interval(12.75, math.inf)


def test_nothing_turns_into_nothing_alone() -> None:
    """Elements that are 0 take any factor; where 0 became something there is none."""
    assert between([0.0, 0.0], [0.0, 0.5]) == Interval(-math.inf, math.inf)
    assert between([0.0, 10.0], [0.25, 20.0]) == Interval(1.95, 2.05)
    for something in (0.75, 1.25, -0.75, -1.25):
        assert between([0.0, 10.0], [something, 20.0]) is None


def test_a_cut_is_told_by_the_bounds_that_it_came_from() -> None:
    wanted = np.array([-100, 0, 120], np.int32)
    assert cut_words(wanted, -100, 120) == ""
    assert cut_words(wanted, -99, 120) == "-99"
    assert cut_words(wanted, -100, 119) == "119"
    assert cut_words(wanted, -99, 119) == "-99 and 119"
