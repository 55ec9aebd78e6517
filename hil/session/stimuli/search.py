"""Searches for windows that bring the outputs of a model's operators where the case's own vectors do not bring them.

A goal is a clamp that a kernel might have too short: of an operator's output, at either end, by 1 or by 7 LSB. A window
meets it when the model's output changes with it by more than the case allows, so that a device with such a kernel fails
on that window. The search is random, climbs towards the goals that are left, and is bounded by a count of inferences.
Of a model with several inputs a window is one of each, and it meets a goal when any output changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case
from hil.contract.distance import allowed
from hil.reference.explorer import Clamp, Explorer, Operator, Sight
from hil.reference.prepare import prepare
from hil.session.stimuli.together import Together
from hil.session.stimuli.windows import Joint, Windows
from hil.tensor import Elements, TensorContract

Real = NDArray[np.float64]

SHORT_BY = (1, 7)  # LSB of 8 bits; of an int16 as many times 256
_SEED = 20204
_BLOCK = 64  # windows looked at in one request
_BATCH = 8  # windows made at a time
_TRIES = 4  # of a batch for one goal
_ELITE = 6  # windows that a goal keeps to climb from
_MARGIN = 8.0  # LSB between the two highest outputs that weigh as one LSB of the operator's
_SETTLED = 127  # LSB between the two highest, from which on more makes no difference
_NEAR_A_RAIL = 120  # of a single output, beyond which nothing shows


@dataclass
class Goal:
    """`by`: "vectors" or "probes" that meet it; "" while none does."""

    clamp: Clamp
    top: bool
    by: str = ""
    step: int = 1  # LSB of its type that count as one of 8 bits
    elite: list[tuple[float, Joint]] = field(default_factory=list)

    def beyond(self, sight: Sight) -> NDArray[np.int32]:
        """How far each window's values lie beyond the clamp, in LSB; at most 0: not at all."""
        place = self.clamp.place
        if self.top:
            return sight.high[:, place].astype(np.int32) - self.clamp.high
        return self.clamp.low - sight.low[:, place].astype(np.int32)


@dataclass(frozen=True)
class Found:
    """operators: those looked at; vectors, probes: bool [operators, 256], the classes of values that their outputs take
    on the case's vectors, and on these or windows of the harness's own. windows: those of the search that are worth
    sending. looked: vectors.
    """

    operators: tuple[Operator, ...]
    vectors: NDArray[np.bool_]
    probes: NDArray[np.bool_]
    goals: list[Goal]
    windows: list[Joint]
    looked: int


class Search:
    """One search in one model."""

    def __init__(self, case: Case, explorer: Explorer, inferences: int) -> None:
        """inferences: how many of the model the search may take beyond a look at the vectors."""
        self._case, self._explorer, self._left = case, explorer, inferences
        model = case.model
        self._order = model.decided_first(range(len(model.outputs)))  # of each of `allowances` its output
        self._allowances = [allowed(one) for one in case.of_outputs]
        self._goals = [goal for place, each in enumerate(explorer.operators) for goal in _goals(place, each)]
        self._met: dict[int, int] = {}  # index in _candidates: goals that it was the first to meet
        self._candidates: list[Joint] = []

    def run(self, own: Windows, prepared: Sequence[Elements], probes: Windows, most: int) -> Found:
        """own, prepared: the case's windows that the gate accepts, and their tensors, [n, ...] of each input. probes:
        windows that are sent anyway. most: further windows that may be sent.
        """
        by_vectors = self._look(own, prepared, "vectors")
        with_probes = by_vectors | self._look(probes, self._prepared(probes), "probes")
        ventures = Together(self._case, own, _SEED)
        turn = 0
        while self._left > 0 and (open_goals := [goal for goal in self._goals if not goal.by]):
            goal = open_goals[turn // 2 % len(open_goals)]
            made = (
                ventures.near(self._parent(goal, turn), _BATCH) if turn % 2 and goal.elite else ventures.fresh(_BATCH)
            )
            self._left -= _BATCH
            turn += 1
            if len(made):
                self._attend(made, "probes", _TRIES)
        windows = self._best(most)
        if windows:
            with_probes = with_probes | self._explorer.look(self._prepared(Windows.stacked(windows))).seen
        return Found(self._explorer.operators, by_vectors, with_probes, self._goals, windows, len(own))

    def _look(self, windows: Windows, tensors: Sequence[Elements], by: str) -> NDArray[np.bool_]:
        """At windows that are sent in any case; the values that they bring."""
        seen = np.zeros((len(self._explorer.operators), 256), np.bool_)
        for start in range(0, len(windows), _BLOCK):
            block = slice(start, start + _BLOCK)
            seen |= self._attend(windows[block], by, _TRIES, [each[block] for each in tensors]).seen
        return seen

    def _attend(self, windows: Windows, by: str, tries: int, tensors: Sequence[Elements] | None = None) -> Sight:
        """Look at windows, and see which open goals they meet, or come near to."""
        tensors = self._prepared(windows) if tensors is None else tensors
        sight = self._explorer.look(tensors)
        openness = _openness(sight.outputs[self._order[0]], self._case.model.output)
        wanted: dict[int, list[Goal]] = {}
        for goal in self._goals:
            if goal.by:
                continue
            beyond = goal.beyond(sight)
            score = 2.0 * np.minimum((beyond - 1) / goal.step, 0) + openness
            order = np.argsort(-score, kind="stable")
            ranked = [*goal.elite, *((float(score[row]), windows.row(row)) for row in order[:_ELITE])]
            goal.elite = sorted(ranked, key=lambda each: -each[0])[:_ELITE]
            for row in order[beyond[order] > 0][:tries]:
                wanted.setdefault(int(row), []).append(goal)
        for row, goals in wanted.items():
            self._try(windows.row(row), [each[row] for each in tensors], goals, by)
        return sight

    def _try(self, window: Joint, tensors: Sequence[Elements], goals: list[Goal], by: str) -> None:
        left = [goal for goal in goals if not goal.by]
        if not left or self._left <= 0:
            return
        self._left -= 1 + len(left)
        right, changed = self._explorer.clamped(tensors, [goal.clamp for goal in left])
        met = [goal for number, goal in enumerate(left) if self._shows(right, [each[number] for each in changed])]
        for goal in met:
            goal.by = by
        if met and by == "probes":
            self._met[len(self._candidates)] = len(met)
            self._candidates.append(window)

    def _shows(self, right: Sequence[Elements], other: Sequence[Elements]) -> bool:
        """Whether any output is farther off than the case allows."""
        pairs = zip(self._allowances, self._order, strict=True)
        return any(allowance.beyond(right[place], other[place]).any() for allowance, place in pairs)

    def _parent(self, goal: Goal, turn: int) -> Joint:
        return goal.elite[turn // 2 % len(goal.elite)][1]

    def _prepared(self, windows: Windows) -> list[Elements]:
        parts = zip(windows.parts, self._case.of_inputs, strict=True)
        return [prepare(part, one.prepare, one.model.input) for part, one in parts]

    def _best(self, most: int) -> list[Joint]:
        """The candidates that meet the most goals."""
        order = sorted(self._met, key=lambda index: (-self._met[index], index))
        return [self._candidates[index] for index in sorted(order[:most])]


def _goals(place: int, operator: Operator) -> Iterator[Goal]:
    step = operator.step
    for short in (number * step for number in SHORT_BY):
        if operator.high - operator.low > 2 * short:
            yield Goal(Clamp(place, operator.low, operator.high - short), top=True, step=step)
            yield Goal(Clamp(place, operator.low + short, operator.high), top=False, step=step)


def _openness(outputs: Elements, output: TensorContract) -> Real:
    """How little each output is decided already: a change within the model shows on one that hangs in the balance."""
    wide = _as_int8(outputs, output)
    if wide.shape[1] == 1:
        return np.asarray(np.minimum(_NEAR_A_RAIL - np.abs(wide[:, 0]), 0.0), np.float64)
    two = np.sort(wide, axis=1)[:, -2:]
    settled = np.minimum(two[:, 1] - two[:, 0], _SETTLED)
    return np.asarray(-settled / _MARGIN, np.float64)


def _as_int8(outputs: Elements, output: TensorContract) -> Real:
    """Outputs on the scale of an int8: of other integers the highest bits, of float32 256 steps between 0 and 1."""
    wide, element = outputs.astype(np.float64), output.element
    if element.real:
        return np.nan_to_num(wide * 256.0 - 128.0)
    return (wide - element.low) * (256.0 / (element.high - element.low + 1)) - 128.0
