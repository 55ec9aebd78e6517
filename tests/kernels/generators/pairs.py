"""Two inputs, one value of each."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import (
    ACTIVATIONS,
    Random,
    chance,
    generator,
    pick,
    quantised,
    scale_of,
    shape_of,
    windows_of,
    zero_of,
)


def pair_of_shapes(random: Random, most_axes: int = 4) -> tuple[list[int], list[int], list[int]]:
    """Two that go together, and what they give."""
    out = shape_of(random, tuple(range(1, most_axes + 1)), 4)
    if chance(random, 0.4):
        return out, out, out
    shapes = [[1 if chance(random, 0.3) else size for size in out] for _ in range(2)]
    if chance(random, 0.3):
        shapes[1] = shapes[1][int(random.integers(len(out))) :]
    full = np.broadcast_shapes(*shapes)
    return shapes[0], shapes[1], [int(size) for size in full]


def pairwise(random: Random, operator: str, dtype: str, options: object, output_scale: float | None) -> Trial:
    first, second, out = pair_of_shapes(random)
    tensors = [quantised(random, dtype) for _ in range(2)]
    result = (dtype, output_scale, zero_of(random, dtype)) if tensors[0][1] is not None else (dtype, None, 0)
    model = OneOperator(operator, options).input(first, *tensors[0]).input(second, *tensors[1]).output(out, *result)
    return Trial(model.build(), windows_of(random, (first, dtype), (second, dtype)))


@generator("DIV")
def div(random: Random) -> Trial:
    """No divisor is zero, and the scales' ratio is 64 or more: below that TFLM shifts by more than 31 bits."""
    dtype = pick(random, "INT8", "INT8", "INT32", "FLOAT32")
    first, second, out = pair_of_shapes(random)
    tensors = [quantised(random, dtype) for _ in range(2)]
    options = schema.DivOptionsT()
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    result = (dtype, None, 0)
    if tensors[0][1] is not None and tensors[1][1] is not None:
        result = (dtype, tensors[0][1] / tensors[1][1] / random.uniform(64, 4000), zero_of(random))
    model = OneOperator("DIV", options).input(first, *tensors[0]).input(second, *tensors[1]).output(out, *result)
    windows = windows_of(random, (first, dtype), (second, dtype))
    for window in windows:
        divisor = window[1]
        window[1] = np.where(divisor == tensors[1][2], divisor + (1 if tensors[1][2] < 127 else -1), divisor).astype(
            divisor.dtype
        )
    return Trial(model.build(), windows)


@generator("SQUARED_DIFFERENCE")
def squared_difference(random: Random) -> Trial:
    dtype = pick(random, "INT8", "INT8", "INT16", "INT32", "FLOAT32")
    options = schema.SquaredDifferenceOptionsT()
    return pairwise(random, "SQUARED_DIFFERENCE", dtype, options, scale_of(random, 0.1, 10))
