"""Knows which outputs of a model can be its inputs at the next window, and guesses which are meant to be."""

from __future__ import annotations

from collections.abc import Sequence

from hil.case.types import ModelFile, StatePair
from hil.tensor import TensorContract

SAME_SCALE = 1e-6  # relative: converters give the two ends of a state scales that differ in their last bits


def difference(output: TensorContract, input: TensorContract) -> str:
    """In what the bytes of an output mean something else in an input, "" when they mean the same."""
    if output.dtype != input.dtype:
        return f"{output.dtype} and {input.dtype}"
    if _sizes(output) != _sizes(input):
        return f"shapes {list(output.shape)} and {list(input.shape)}"
    one, other = output.quantisation, input.quantisation
    if abs(one.scale - other.scale) > SAME_SCALE * other.scale:
        return f"scales {one.scale:.8g} and {other.scale:.8g}"
    if one.zero_point != other.zero_point:
        return f"zero points {one.zero_point} and {other.zero_point}"
    return ""


def possible_pairs(inputs: Sequence[TensorContract], outputs: Sequence[TensorContract]) -> tuple[tuple[int, int], ...]:
    """Indices of outputs and inputs that fit each other and nothing else, none when no input would be left."""
    fits = [
        (o, i) for o, output in enumerate(outputs) for i, input in enumerate(inputs) if not difference(output, input)
    ]
    alone = [(o, i) for o, i in fits if sum(o == each for each, _ in fits) == sum(i == each for _, each in fits) == 1]
    return tuple(alone) if len(alone) < len(inputs) else ()


def guessed(model: ModelFile) -> tuple[StatePair, ...]:
    """The pairs of a model whose state nobody named yet."""
    return tuple(
        StatePair(output, input, model.outputs[output], model.inputs[input])
        for output, input in possible_pairs(model.inputs, model.outputs)
    )


def _sizes(tensor: TensorContract) -> list[int]:
    """Its shape without the dimensions of 1, which say nothing of the order of the elements."""
    return [size for size in tensor.shape if size != 1]
