"""Reductions over axes."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import Random, chance, generator, int32, pick, quantised, scale_of, shape_of, windows_of, zero_of


def reduction(random: Random, operator: str, dtype: str, same: bool) -> Trial:
    dims = shape_of(random, (1, 2, 3, 4), 6)
    axes = random.permutation(len(dims))[: int(random.integers(1, len(dims) + 1))]
    if len(dims) == 4 and chance(random):
        axes = np.array([1, 2])
    keep = chance(random)
    kept = [size for axis, size in enumerate(dims) if axis not in axes or keep]
    out = [1 if keep and axis in axes else size for axis, size in enumerate(dims) if keep or axis not in axes]
    assert len(out) == len(kept)
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    tensor = quantised(random, dtype)
    result = (
        tensor if same or tensor[1] is None else (dtype, tensor[1] * scale_of(random, 0.3, 30), zero_of(random, dtype))
    )
    signed = [int(axis) - len(dims) if chance(random, 0.3) else int(axis) for axis in axes]
    model = OneOperator(operator, options).input(dims, *tensor).constant(int32(signed)).output(out, *result)
    return Trial(model.build(), windows_of(random, (dims, dtype)))


@generator("MEAN")
def mean(random: Random) -> Trial:
    return reduction(random, "MEAN", pick(random, "INT8", "INT8", "INT16", "FLOAT32"), chance(random, 0.3))


@generator("SUM")
def sum_(random: Random) -> Trial:
    return reduction(random, "SUM", pick(random, "INT8", "INT8", "INT16", "FLOAT32"), chance(random, 0.3))


@generator("REDUCE_MAX")
def reduce_max(random: Random) -> Trial:
    return reduction(random, "REDUCE_MAX", pick(random, "INT8", "FLOAT32"), same=True)


@generator("REDUCE_MIN")
def reduce_min(random: Random) -> Trial:
    return reduction(random, "REDUCE_MIN", pick(random, "INT8", "FLOAT32"), same=True)
