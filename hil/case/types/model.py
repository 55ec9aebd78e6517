"""What a model under test is, and the state that the product carries for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hil.tensor import TensorContract


@dataclass(frozen=True)
class StatePair:
    """An output that is an input at the next window of a stream: their indices among the model's, and what they are."""

    output: int
    input: int
    output_tensor: TensorContract
    input_tensor: TensorContract

    def __str__(self) -> str:
        return f"the pair {self.output_tensor.name!r} -> {self.input_tensor.name!r}"


@dataclass(frozen=True)
class ModelFile:
    """One .tflite file: bytes, SHA-256, and what the flatbuffer says of it.

    inputs, outputs: in the order of the model, one of each for most; inputs: those that windows feed. carried: the
    other inputs, each with the output that it gets. decided: index of the output that the case decides on.
    own_operators: those that only the image with operators of our own runs right, as this model has them. state: what
    of it lasts from one inference to the next, a phrase each.
    """

    path: Path
    data: bytes = field(repr=False)
    sha256: str
    operators: tuple[str, ...]  # distinct builtin operator names in order of first use
    inputs: tuple[TensorContract, ...]
    outputs: tuple[TensorContract, ...]
    all_float: bool = False  # no operator of it is quantised
    reach: float = math.inf  # largest magnitude of a float32 input that its QUANTIZE operators can convert
    own_operators: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    decided: int = 0
    carried: tuple[StatePair, ...] = ()

    def carrying(self, pairs: Sequence[StatePair]) -> ModelFile:
        """The model with these pairs as state that the product carries; its inputs are those that are left."""
        reached = {pair.input for pair in pairs}
        return replace(
            self,
            inputs=tuple(tensor for index, tensor in enumerate(self.inputs) if index not in reached),
            carried=tuple(pairs),
            state=(*self.state, *map(str, pairs)),
        )

    @property
    def every_input(self) -> tuple[TensorContract, ...]:
        """All of them, those that carry state among them, in the order of the model."""
        tensors = list(self.inputs)
        for pair in sorted(self.carried, key=lambda each: each.input):
            tensors.insert(pair.input, pair.input_tensor)
        return tuple(tensors)

    @property
    def fed(self) -> tuple[int, ...]:
        """Of `inputs`, their indices among the model's."""
        reached = {pair.input for pair in self.carried}
        return tuple(index for index in range(len(self.inputs) + len(reached)) if index not in reached)

    @property
    def input(self) -> TensorContract:
        """The first input that windows feed, for most the only one."""
        return self.inputs[0]

    @property
    def output(self) -> TensorContract:
        """The output that the case decides on, for most the only one."""
        return self.outputs[self.decided]

    @property
    def further_outputs(self) -> tuple[TensorContract, ...]:
        """Those beside `output`, in the order of the model."""
        return (*self.outputs[: self.decided], *self.outputs[self.decided + 1 :])

    def decided_first(self, outputs: Sequence[Any]) -> list[Any]:
        """What belongs to each output, in the order of the model: of `output` first, then of `further_outputs`."""
        return [outputs[self.decided], *outputs[: self.decided], *outputs[self.decided + 1 :]]

    @property
    def larger_image(self) -> bool:
        """Whether it wants the image that has operators of our own and takes several tensors."""
        return bool(self.own_operators) or self.several

    @property
    def several(self) -> bool:
        """Whether it has more than one input or output."""
        return len(self.inputs) > 1 or len(self.outputs) > 1 or bool(self.carried)
