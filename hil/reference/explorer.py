"""The tensors between a model's operators, seen from the harness: what they hold, what a clamp too short would do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.interpreter.messages import Values, numbered
from hil.interpreter.process import InterpreterProcess
from hil.reference.interpreted import Carried
from hil.tensor import ELEMENT_TYPES, Elements, steps_between


@dataclass(frozen=True)
class Operator:
    """An operator whose output is looked at: its index in the model, its name, what its output can hold at most, and of
    which type that is.
    """

    index: int
    name: str
    low: int
    high: int
    dtype: str = "INT8"

    @property
    def step(self) -> int:
        """How many values are one class, of the 256 that the values of its output are told apart by."""
        element = ELEMENT_TYPES[self.dtype]
        return (element.high - element.low + 1) // 256

    def class_of(self, value: int) -> int:
        return (value - ELEMENT_TYPES[self.dtype].low) // self.step

    def values(self, number: int) -> tuple[int, int]:
        """The lowest and the highest value of a class."""
        low = ELEMENT_TYPES[self.dtype].low + number * self.step
        return low, low + self.step - 1


@dataclass(frozen=True)
class Sight:
    """Of n windows: outputs, of each output of the model [n, output elements] in its type; the ends of what each
    operator's output holds, [n, operators] each; seen bool [operators, 256], the classes of values that it took on any
    of them, the lowest first.
    """

    outputs: tuple[Elements, ...]
    low: NDArray[np.integer[Any]]
    high: NDArray[np.integer[Any]]
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Clamp:
    """The output of the operator in this place of `Explorer.operators`, clamped to [low, high]."""

    place: int
    low: int
    high: int


class Explorer:
    """One model. Every call raises InterpreterRefused or InterpreterEnded when the model cannot be looked into."""

    def __init__(self, model: bytes, process: InterpreterProcess, carried: Sequence[Carried] = ()) -> None:
        """process: one that holds no model yet. carried: the inputs that carry state; each window begins a stream."""
        self._process = process
        state = {"carried": [each.value for each in carried]} if carried else {}
        found = process.ask("open_tflm_tensors", {"model": model, **state})["operators"]
        self.operators = tuple(Operator(*each) for each in found)

    def look(self, tensors: Sequence[Elements]) -> Sight:
        """What tensors [n, input elements] of each input make of the others."""
        answer = self._process.ask("look_tflm", numbered("tensors", [np.ascontiguousarray(each) for each in tensors]))
        return Sight(_every(answer, "outputs"), answer["low"], answer["high"], answer["seen"])

    def clamped(
        self, tensors: Sequence[Elements], clamps: list[Clamp]
    ) -> tuple[tuple[Elements, ...], tuple[Elements, ...]]:
        """The outputs of one tensor [input elements] of each input, and what they are with each clamp: of each output
        of the model [output elements] and [clamps, output elements].
        """
        given = numbered("tensor", [np.ascontiguousarray(each) for each in tensors])
        values = {**given, "clamps": [(c.place, c.low, c.high) for c in clamps]}
        answer = self._process.ask("clamp_tflm", values)
        return _every(answer, "output"), _every(answer, "clamped")

    def distances(self, tensors: Sequence[Elements], clamps: list[Clamp]) -> list[int]:
        """By how many steps of its type any output changes at most with each clamp; arguments as in `clamped`."""
        pairs = [*zip(*self.clamped(tensors, clamps), strict=True)]
        return [
            max(int(steps_between(right, other[place]).max()) for right, other in pairs) for place in range(len(clamps))
        ]


def _every(answer: Values, name: str) -> tuple[Elements, ...]:
    """What `numbered` made values of, among others."""
    further = itertools.takewhile(answer.__contains__, (f"{name}_{index}" for index in itertools.count(1)))
    return (answer[name], *(answer[each] for each in further))
