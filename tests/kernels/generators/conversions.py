"""Conversions from one type, or scale, to another."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import (
    MOVED,
    WINDOWS,
    Random,
    chance,
    generator,
    pick,
    quantised,
    scale_of,
    shape_of,
    values_of,
    windows_of,
    zero_of,
)

REQUANTISED = [
    *(("INT8", "INT8"), ("INT8", "UINT8"), ("INT8", "INT16"), ("INT8", "INT32"), ("UINT8", "INT8")),
    *(("INT16", "INT8"), ("INT16", "INT16"), ("INT16", "INT32"), ("INT32", "INT8"), ("INT32", "INT16")),
    *(("FLOAT32", "INT8"), ("FLOAT32", "INT16")),
]


@generator("QUANTIZE")
def quantize(random: Random) -> Trial:
    kind, result = REQUANTISED[int(random.integers(len(REQUANTISED)))]
    dims = shape_of(random, (1, 2, 3, 4))
    scale = None if kind == "FLOAT32" else scale_of(random)
    out_scale = scale_of(random)
    if scale is not None and chance(random, 0.2):
        out_scale = scale
    zeros = zero_of(random, kind), zero_of(random, result)
    model = OneOperator("QUANTIZE").input(dims, kind, scale, zeros[0]).output(dims, result, out_scale, zeros[1])
    return Trial(model.build(), windows_of(random, (dims, kind)))


@generator("DEQUANTIZE")
def dequantize(random: Random) -> Trial:
    kind, dims = pick(random, "INT8", "UINT8", "INT16"), shape_of(random, (1, 2, 3, 4))
    model = OneOperator("DEQUANTIZE").input(dims, *quantised(random, kind)).output(dims, "FLOAT32")
    return Trial(model.build(), windows_of(random, (dims, kind)))


@generator("CAST")
def cast(random: Random) -> Trial:
    """Floats stay in the range of the integer, where the result is specified."""
    kind, result = pick(random, *MOVED, "BOOL"), pick(random, *MOVED)
    dims = shape_of(random, (1, 2, 3, 4))
    model = OneOperator("CAST", schema.CastOptionsT()).input(dims, *quantised(random, kind))
    model.output(dims, *quantised(random, result))
    most = 127.0 if result == "INT8" else 30000.0
    return Trial(model.build(), [[values_of(random, dims, kind, most)] for _ in range(WINDOWS)])
