"""The tensors between a model's operators, seen from the harness: what they hold, what a clamp too short would do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.interpreter.process import InterpreterProcess
from hil.tensor import Elements, steps_between


@dataclass(frozen=True)
class Operator:
    """An operator whose output is looked at: its index in the model, its name, and what its output can hold at most."""

    index: int
    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Sight:
    """Of n windows: outputs [n, output elements] in the type of the output; the ends of what each operator's output
    holds, int8 [n, operators] each; seen bool [operators, 256], the values that it took on any of them, -128 first.
    """

    outputs: Elements
    low: NDArray[np.int8]
    high: NDArray[np.int8]
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Clamp:
    """The output of the operator in this place of `Explorer.operators`, clamped to [low, high]."""

    place: int
    low: int
    high: int


class Explorer:
    """One model. Every call raises InterpreterRefused or InterpreterEnded when the model cannot be looked into."""

    def __init__(self, model: bytes, process: InterpreterProcess) -> None:
        """process: one that holds no model yet."""
        self._process = process
        found = process.ask("open_tflm_tensors", {"model": model})["operators"]
        self.operators = tuple(Operator(*each) for each in found)

    def look(self, tensors: Elements) -> Sight:
        """What input tensors [n, input elements] make of the others."""
        answer = self._process.ask("look_tflm", {"tensors": np.ascontiguousarray(tensors)})
        return Sight(answer["outputs"], answer["low"], answer["high"], answer["seen"])

    def clamped(self, tensor: Elements, clamps: list[Clamp]) -> tuple[Elements, Elements]:
        """The output of one input tensor [input elements], and what it is with each clamp: [output elements] and
        [clamps, output elements].
        """
        values = {"tensor": np.ascontiguousarray(tensor), "clamps": [(c.place, c.low, c.high) for c in clamps]}
        answer = self._process.ask("clamp_tflm", values)
        return answer["output"], answer["clamped"]

    def distances(self, tensor: Elements, clamps: list[Clamp]) -> list[int]:
        """By how many steps of its type the output changes at most with each clamp; arguments as in `clamped`."""
        right, changed = self.clamped(tensor, clamps)
        return [int(steps_between(right, other).max()) for other in changed]
