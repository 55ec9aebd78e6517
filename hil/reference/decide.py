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
from hil.tensor import INT8_MAX, INT8_MIN, Quantisation

ARGMAX, NONE = "argmax/1", "none/1"
NO_LABEL = -1
NO_DECISION = Decision(NO_LABEL, 0, NO_LABEL, DecisionReason.NO_STAGE)


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

    def step(self, scores: Sequence[int] | NDArray[np.int8]) -> Decision:
        """The decision on the raw scores of the next window, one score per label."""
        if self._decide.name == NONE:
            return NO_DECISION
        winner = int(np.argmax(scores))  # of equal scores the first
        score = int(scores[winner])
        reason = self._judge(winner, score)
        if reason is not DecisionReason.ACCEPTED:
            return Decision(winner, score, NO_LABEL, reason)
        return Decision(winner, score, winner, reason, self._decide.labels[winner])

    def _judge(self, winner: int, score: int) -> DecisionReason:
        decide = self._decide
        cooling = self._cool > 0
        self._cool = max(self._cool - 1, 0)
        if score <= (decide.release if winner == self._active else decide.threshold):
            self._active = self._candidate = NO_LABEL
            self._run = 0
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
    outputs: NDArray[np.int8],
    decide: Decide,
    sequence: NDArray[np.int64] | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> Decisions:
    """The decisions on raw outputs int8 [n, scores].

    sequence: int [n], `Vectors.sequence`: -1 stands alone; rows of one number >= 0 are one stream in file order.
    valid: bool [n]; rows that are False were rejected by the gate: no decision, and the stream's state stays.
    """
    decider = Decider(decide)
    decisions = Decisions.none(len(outputs))
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


def _decide_alone(outputs: NDArray[np.int8], decide: Decide, rows: NDArray[np.intp], decisions: Decisions) -> None:
    """The first step of a fresh state machine, for many rows at once."""
    if not len(rows):
        return
    winner = outputs.argmax(axis=1)[rows]
    score = outputs.max(axis=1)[rows]
    above = DecisionReason.ACCEPTED if decide.debounce <= 1 else DecisionReason.DEBOUNCE
    reason = np.where(score > decide.threshold, above, DecisionReason.BELOW_THRESHOLD)
    decisions.winner[rows], decisions.score[rows] = winner, score
    decisions.reason[rows] = reason
    decisions.answer[rows] = np.where(reason == DecisionReason.ACCEPTED, winner, NO_LABEL)


def raw_threshold(score: float | str | Fraction, q: Quantisation) -> int:
    """The raw value for a real score: a raw score is accepted when it is greater (docs/pipeline.md).

    The largest raw value whose real value is less than `score`, limited to [-129, 127], in exact arithmetic. A float is
    taken as the decimal it is written as: 0.6 is 6/10. Raises ValueError for a score that is not a finite number.
    """
    exact = Fraction(repr(float(score))) if isinstance(score, float) else Fraction(score)
    raw = exact / Fraction(float(q.scale)) + q.zero_point
    return min(max(math.ceil(raw) - 1, INT8_MIN - 1), INT8_MAX)
