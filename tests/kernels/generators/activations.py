"""Activations: one value in, one out."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import Random, generator, pick, quantised, scale_of, shape_of, windows_of, zero_of


def elementwise(random: Random, operator: str, dtype: str, options: object, same: bool = False) -> Trial:
    dims, tensor = shape_of(random, (1, 2, 3, 4)), quantised(random, dtype)
    result = (
        tensor if same or tensor[1] is None else (dtype, tensor[1] * scale_of(random, 0.2, 5), zero_of(random, dtype))
    )
    model = OneOperator(operator, options).input(dims, *tensor).output(dims, *result)
    return Trial(model.build(), windows_of(random, (dims, dtype)))


@generator("RELU")
def relu(random: Random) -> Trial:
    return elementwise(random, "RELU", pick(random, "INT8", "INT16"), None)


@generator("RELU6")
def relu6(random: Random) -> Trial:
    return elementwise(random, "RELU6", "INT16", None, same=True)


@generator("LEAKY_RELU")
def leaky_relu(random: Random) -> Trial:
    options = schema.LeakyReluOptionsT()
    options.alpha = float(random.choice([0.01, 0.1, 0.3, 1.5, -0.2]))
    return elementwise(random, "LEAKY_RELU", pick(random, "INT8", "INT16", "FLOAT32"), options)


@generator("HARD_SWISH")
def hard_swish(random: Random) -> Trial:
    """The output's scale is never much finer than the input's, as the fixed point asks."""
    dtype, dims = pick(random, "INT8", "INT8", "FLOAT32"), shape_of(random, (1, 2, 3, 4))
    tensor = quantised(random, dtype)
    result = tensor if tensor[1] is None else (dtype, tensor[1] * scale_of(random, 0.1, 5), zero_of(random))
    model = OneOperator("HARD_SWISH", schema.HardSwishOptionsT()).input(dims, *tensor).output(dims, *result)
    return Trial(model.build(), windows_of(random, (dims, dtype)))


@generator("ELU")
def elu(random: Random) -> Trial:
    return elementwise(random, "ELU", pick(random, "INT8", "INT8", "FLOAT32"), None)


@generator("EXP")
def exp(random: Random) -> Trial:
    return elementwise(random, "EXP", "FLOAT32", schema.ExpOptionsT())
