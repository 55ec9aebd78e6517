"""The decision state machine: traces written by hand from docs/pipeline.md, and properties of every stream."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from hil.case.types import Decide
from hil.errors import UsageError
from hil.records import Decision, DecisionReason
from hil.reference.decide import Decider, Decisions, best, decide_all, raw_threshold
from hil.tensor import Quantisation

ACCEPTED, BELOW = DecisionReason.ACCEPTED, DecisionReason.BELOW_THRESHOLD
DEBOUNCE, COOLDOWN, NO_STAGE = DecisionReason.DEBOUNCE, DecisionReason.COOLDOWN, DecisionReason.NO_STAGE
A, B = (50, -50), (-50, 50)  # windows won clearly by a label
WEAK_A, NONE = (5, -50), (-60, -50)  # above release only; below both
LABELS = ("a", "b", "c")


def argmax(threshold: int = 10, release: int | None = None, debounce: int = 1, cooldown: int = 0) -> Decide:
    return Decide("argmax", 1, threshold, threshold if release is None else release, debounce, cooldown, LABELS)


def reasons(decide: Decide, scores: list[tuple[int, int]]) -> list[DecisionReason]:
    decider = Decider(decide)
    return [decider.step(score).reason for score in scores]


def test_the_lowest_of_equal_winners_wins() -> None:
    assert Decider(argmax()).step((3, 70, 70)) == Decision(1, 70, 1, ACCEPTED, "b")


def test_the_threshold_itself_is_not_accepted() -> None:
    assert Decider(argmax(threshold=10)).step((10, 9, -5)) == Decision(0, 10, -1, BELOW, "")
    assert Decider(argmax(threshold=10)).step((11, 9, -5)) == Decision(0, 11, 0, ACCEPTED, "a")


@pytest.mark.parametrize(
    ("decide", "scores", "expected"),
    [
        pytest.param(
            argmax(release=0), [WEAK_A, A, WEAK_A, WEAK_A, NONE, WEAK_A],
            [BELOW, ACCEPTED, ACCEPTED, ACCEPTED, BELOW, BELOW], id="release holds only an active label",
        ),
        pytest.param(
            argmax(release=0), [A, (-50, 5), WEAK_A],
            [ACCEPTED, BELOW, BELOW], id="release is not for another label, which also ends the active one",
        ),
        pytest.param(
            argmax(debounce=3), [A, A, A, A, B, B, A, B, B, B],
            [DEBOUNCE, DEBOUNCE, ACCEPTED, ACCEPTED, DEBOUNCE, DEBOUNCE, ACCEPTED, DEBOUNCE, DEBOUNCE, ACCEPTED],
            id="a new label must win in a row; the active one need not",
        ),
        pytest.param(
            argmax(debounce=2), [A, NONE, A, A], [DEBOUNCE, BELOW, DEBOUNCE, ACCEPTED], id="a weak window ends the run"
        ),
        pytest.param(
            argmax(cooldown=2), [A, A, A, A, NONE, B, B],
            [ACCEPTED, COOLDOWN, COOLDOWN, ACCEPTED, BELOW, COOLDOWN, ACCEPTED], id="weak windows cool down as well",
        ),
        pytest.param(
            argmax(debounce=2, cooldown=2), [A, A, B, B, B, B, A],
            [DEBOUNCE, ACCEPTED, COOLDOWN, COOLDOWN, ACCEPTED, COOLDOWN, COOLDOWN], id="the run grows in the cooldown",
        ),
    ],
)  # fmt: skip
def test_a_stream(decide: Decide, scores: list[tuple[int, int]], expected: list[DecisionReason]) -> None:
    assert reasons(decide, scores) == expected


def test_reset_forgets_the_stream() -> None:
    decider = Decider(argmax(release=0, cooldown=5))
    assert decider.step(A).reason is ACCEPTED
    decider.reset()
    assert decider.step(A).reason is ACCEPTED  # no cooldown left
    decider.reset()
    assert decider.step(WEAK_A).reason is BELOW  # no active label left


def test_no_stage_decides_nothing() -> None:
    assert Decider(Decide("none", 1)).step((1, 2, 3)) == Decision(-1, 0, -1, NO_STAGE, "")
    assert rows(decide_all(np.ones((2, 640), np.int8), Decide("none", 1))) == [(-1, 0, -1, NO_STAGE)] * 2


def test_an_unknown_stage_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="argmax/2"):
        Decider(Decide("argmax", 2))


# ---- properties

DECIDES = st.builds(
    lambda threshold, gap, debounce, cooldown: argmax(threshold, max(threshold - gap, -129), debounce, cooldown),
    st.integers(-129, 127), st.integers(0, 40), st.integers(1, 4), st.integers(0, 4),
)  # fmt: skip
STREAMS = arrays.arrays(np.int8, st.tuples(st.integers(0, 25), st.just(3)), elements=st.integers(-128, 127))
SEQUENCES = st.lists(st.integers(-1, 2), min_size=25, max_size=25)


def rows(decisions: Decisions) -> list[tuple[int, int, int, int]]:
    columns = (decisions.winner, decisions.score, decisions.answer, decisions.reason)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(DECIDES, STREAMS)
def test_every_stream_obeys_cooldown_debounce_and_bars(decide: Decide, scores: NDArray[np.int8]) -> None:
    decider = Decider(decide)
    decisions = [decider.step(row) for row in scores]
    accepted = [i for i, decision in enumerate(decisions) if decision.reason is ACCEPTED]
    for row, decision in zip(scores.tolist(), decisions, strict=True):
        assert (decision.winner, decision.score) == (row.index(max(row)), max(row))
        assert decision.answer == (decision.winner if decision.reason is ACCEPTED else -1)
        if decision.score > decide.threshold:
            assert decision.reason is not BELOW
        if decision.score <= decide.release:
            assert decision.reason is BELOW
    for earlier, later in pairwise(accepted):
        assert later - earlier > decide.cooldown
        renewed = any(decisions[i].reason is BELOW for i in range(earlier + 1, later))
        if renewed or decisions[earlier].winner != decisions[later].winner:
            run = decisions[max(later - decide.debounce + 1, 0) : later + 1]
            assert len(run) == decide.debounce
            assert {decision.winner for decision in run} == {decisions[later].winner}


@given(DECIDES, STREAMS, SEQUENCES, st.lists(st.booleans(), min_size=25, max_size=25))
def test_columns_equal_each_stream_on_its_own(
    decide: Decide, scores: NDArray[np.int8], sequence: list[int], valid: list[bool]
) -> None:
    """However streams are interleaved, and as if the rejected vectors were not there."""
    n = len(scores)
    expected: list[tuple[int, int, int, int]] = []
    deciders = {number: Decider(decide) for number in range(3)}
    for row, number, good in zip(scores, sequence[:n], valid[:n], strict=True):
        if not good:
            expected.append((-1, 0, -1, NO_STAGE))
            continue
        decision = deciders.get(number, Decider(decide)).step(row)
        expected.append((decision.winner, decision.score, decision.answer, decision.reason))
    found = decide_all(scores, decide, np.array(sequence[:n], np.int64), np.array(valid[:n], np.bool_))
    assert rows(found) == expected


@given(DECIDES, STREAMS)
def test_without_sequences_every_vector_is_fresh(decide: Decide, scores: NDArray[np.int8]) -> None:
    found = rows(decide_all(scores, decide))
    for row, (winner, score, answer, reason) in zip(scores, found, strict=True):
        decision = Decider(decide).step(row)
        assert (winner, score, answer, reason) == (decision.winner, decision.score, decision.answer, decision.reason)


# ---- thresholds

SOFTMAX = Quantisation(1 / 256, -128)
SCALES = st.floats(min_value=2.0**-20, max_value=16.0, width=32)


@pytest.mark.parametrize(
    ("score", "raw"),
    [(0.60, 25), (0.5, -1), ("0.5", -1), (Fraction(1, 2), -1), (0.0, -129), (-3.0, -129), (1.0, 127), (99.0, 127)],
)
def test_thresholds_of_a_softmax(score: float | str | Fraction, raw: int) -> None:
    """(q + 128) / 256 < score: 0.6 * 256 = 153.6, so 153 is the last below; 0.5 is raw 0, accepted above -1."""
    assert raw_threshold(score, SOFTMAX) == raw


@given(st.decimals(-2000, 2000, places=4), SCALES, st.integers(-128, 127))
def test_a_raw_score_is_above_the_threshold_when_its_real_value_reaches_the_score(
    score: object, scale: float, zero_point: int
) -> None:
    threshold = raw_threshold(str(score), Quantisation(scale, zero_point))
    assert -129 <= threshold <= 127
    for q in range(-128, 128):
        assert (q > threshold) == ((q - zero_point) * Fraction(scale) >= Fraction(str(score)))


def test_a_float_is_the_decimal_it_is_written_as() -> None:
    """The shortest decimal of a raw score's real value lies beside it; where above, that score is below it."""
    scale = float(np.float32(0.1))
    beside = [Fraction(repr(q * scale)) > q * Fraction(scale) for q in range(1, 128)]
    assert len(set(beside)) == 2  # both kinds occur
    found = [raw_threshold(q * scale, Quantisation(scale, 0)) for q in range(1, 128)]
    assert found == [q if above else q - 1 for q, above in zip(range(1, 128), beside, strict=True)]
    assert raw_threshold(np.float64(0.3), Quantisation(scale, 0)) == raw_threshold("0.3", Quantisation(scale, 0)) == 2


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "high"])
def test_a_threshold_that_is_no_number_is_refused(score: float | str) -> None:
    with pytest.raises(ValueError, match="Invalid literal"):
        raw_threshold(score, SOFTMAX)


def test_columns_have_the_types_of_the_records() -> None:
    outputs = np.zeros((3, 2), np.int8)
    for decide in (Decide("none", 1), Decide("argmax", 1, labels=("a", "b"))):
        for sequence in (None, np.array([0, -1, 0])):
            found = decide_all(outputs, decide, sequence)
            types = [column.dtype.name for column in (found.winner, found.score, found.answer, found.reason)]
            assert types == ["int32", "int32", "int32", "uint8"]
    assert [column.dtype.name for column in best(outputs)] == ["int32", "int32"]
