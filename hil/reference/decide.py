"""The decide stages of docs/pipeline.md, `argmax/1` and `none/1`, one window at a time and over a whole case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Decide
from hil.errors import UsageError
from hil.records import Decision, DecisionReason
from hil.tensor import INT8, Elements, ElementType, Quantisation, no_number, ranks

ARGMAX, NONE = "argmax/1", "none/1"
NO_LABEL = -1
NO_DECISION = Decision(NO_LABEL, 0, NO_LABEL, DecisionReason.NO_STAGE)
NO_NUMBER = Decision(NO_LABEL, 0, NO_LABEL, DecisionReason.NOT_A_NUMBER)
INT32_MIN = -(2**31)


@dataclass(frozen=True)
class Decisions:
    """The columns of n decisions: winner, score, answer int32 [n]; reason uint8 [n] (DecisionReason)."""

    winner: NDArray[np.int32]
    score: NDArray[np.int32]
    answer: NDArray[np.int32]
    reason: NDArray[np.uint8]

    @classmethod
    def none(cls, n: int) -> Decisions:
        """n rows without a decision."""
        return cls(
            winner=np.full(n, NO_LABEL, np.int32),
            score=np.zeros(n, np.int32),
            answer=np.full(n, NO_LABEL, np.int32),
            reason=np.full(n, DecisionReason.NO_STAGE, np.uint8),
        )


class Decider:
    """The state machine of one stream. Windows that the gate rejects are not given to it."""

    def __init__(self, decide: Decide) -> None:
        """Raises UsageError for a stage that is neither argmax/1 nor none/1."""
        if decide.name not in (ARGMAX, NONE):
            raise UsageError(f'decide stage "{decide.name}" is unknown\n  fix: use {ARGMAX} or {NONE}')
        self._decide = decide
        self.reset()

    def reset(self) -> None:
        """Forgets the stream, as `fresh` does on the device."""
        self._active = self._candidate = NO_LABEL
        self._run = self._cool = 0

    def step(self, scores: Sequence[int] | Elements) -> Decision:
        """The decision on the scores of the next window, one per label."""
        if self._decide.name == NONE:
            return NO_DECISION
        given = np.asarray(scores)
        if no_number(given).any():
            return NO_NUMBER
        ranked = ranks(given)
        winner = int(ranked.argmax())  # of equal scores the first
        score = int(ranked[winner])
        reason = self._judge(winner, score)
        if reason is not DecisionReason.ACCEPTED:
            return Decision(winner, score, NO_LABEL, reason)
        return Decision(winner, score, winner, reason, self._decide.labels[winner])

    def _judge(self, winner: int, score: int) -> DecisionReason:
        decide = self._decide
        cooling = self._cool > 0
        self._cool = max(self._cool - 1, 0)
        if score <= (decide.release if winner == self._active else decide.threshold):
            self._active = self._candidate = NO_LABEL  # so that the next run begins anew
            return DecisionReason.BELOW_THRESHOLD
        # `run` may go beyond `debounce` here: it is only ever compared with it.
        self._run = self._run + 1 if winner == self._candidate else 1
        self._candidate = winner
        if cooling:
            return DecisionReason.COOLDOWN
        if winner != self._active and self._run < decide.debounce:
            return DecisionReason.DEBOUNCE
        self._active = winner
        self._cool = decide.cooldown
        return DecisionReason.ACCEPTED


def decide_all(
    outputs: Elements,
    decide: Decide,
    sequence: NDArray[np.int64] | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> Decisions:
    """The decisions on raw outputs [n, scores].

    sequence: int [n], `Vectors.sequence`: -1 stands alone; rows of one number >= 0 are one stream in file order.
    valid: bool [n]; rows that are False were rejected by the gate: no decision, and the stream's state stays.
    """
    decisions = Decisions.none(len(outputs))
    if decide.own:  # what it must answer stands in the case
        return decisions
    decider = Decider(decide)
    if decide.name == NONE:
        return decisions
    rows = np.arange(len(outputs)) if valid is None else np.flatnonzero(valid)
    if sequence is None:
        _decide_alone(outputs, decide, rows, decisions)
        return decisions
    _decide_alone(outputs, decide, rows[sequence[rows] < 0], decisions)
    streamed = rows[sequence[rows] >= 0]
    stream = None
    for row in streamed[np.argsort(sequence[streamed], kind="stable")]:
        if sequence[row] != stream:
            stream = sequence[row]
            decider.reset()
        decision = decider.step(outputs[row])
        decisions.winner[row], decisions.score[row] = decision.winner, decision.score
        decisions.answer[row], decisions.reason[row] = decision.answer, decision.reason
    return decisions


def _decide_alone(outputs: Elements, decide: Decide, rows: NDArray[np.intp], decisions: Decisions) -> None:
    """The first step of a fresh state machine, for many rows at once."""
    if not len(rows):
        return
    winner, score = (column[rows] for column in best(outputs))
    above = DecisionReason.ACCEPTED if decide.debounce <= 1 else DecisionReason.DEBOUNCE
    reason = np.where(score > decide.threshold, above, DecisionReason.BELOW_THRESHOLD)
    reason = np.where(winner < 0, DecisionReason.NOT_A_NUMBER, reason)
    decisions.winner[rows], decisions.score[rows] = winner, score
    decisions.reason[rows] = reason
    decisions.answer[rows] = np.where(reason == DecisionReason.ACCEPTED, winner, NO_LABEL)


def best(outputs: Elements) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Index of the highest score of each row (of equal ones the lowest) and its rank, [n] each; -1 and 0 where a score
    is no number.
    """
    ranked, lost = ranks(outputs), no_number(outputs).any(axis=1)
    winner = ranked.argmax(axis=1)
    score = ranked[np.arange(len(ranked)), winner]
    return np.where(lost, NO_LABEL, winner).astype(np.int32), np.where(lost, 0, score).astype(np.int32)


def raw_threshold(score: float | str | Fraction, q: Quantisation, element: ElementType = INT8) -> int:
    """The rank for a real score: a score is accepted when its own is greater (docs/pipeline.md).

    That of the largest element whose real value is less than `score`, in exact arithmetic; one below the type's least
    element where that is none, as far as 32 bits hold it. A float is taken as the decimal it is written as: 0.6 is
    6/10. Raises ValueError for a score that is not a finite number.
    """
    exact = Fraction(repr(float(score))) if isinstance(score, float) else Fraction(score)
    if element.real:
        return _float_below(exact)
    raw = (exact / Fraction(float(q.scale)) if q.scale else exact) + (q.zero_point if q.scale else 0)
    return max(min(max(math.ceil(raw) - 1, element.low - 1), element.high), INT32_MIN)


def _float_below(score: Fraction) -> int:
    """Rank of the largest float32 that is less."""
    with np.errstate(over="ignore"):
        near = np.float32(float(score))  # the score, or one of the two float32 between which it lies
    below = score > float(near)
    return int(ranks(np.array([near]))[0]) - (not below)
