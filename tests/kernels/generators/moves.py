"""Operators that move values and change none."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import (
    MOVED,
    WINDOWS,
    Random,
    chance,
    generator,
    int32,
    pick,
    quantised,
    shape_of,
    values_of,
    windows_of,
)


@generator("TRANSPOSE")
def transpose(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "INT16", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    order = [int(axis) for axis in random.permutation(len(dims))]
    model = OneOperator("TRANSPOSE", schema.TransposeOptionsT()).input(dims, *tensor).constant(int32(order))
    model.output([dims[axis] for axis in order], *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("SLICE")
def slice_(random: Random) -> Trial:
    """Indices of 32 and of 64 bits. The wheel takes -1 for "to the end", too."""
    tensor = quantised(random, pick(random, "INT8", "INT16", "INT32", "FLOAT32", "BOOL"))
    dims = shape_of(random, (1, 2, 3, 4, 5))
    begins = [int(random.integers(size)) for size in dims]
    sizes = [int(random.integers(1, size - begin + 1)) for size, begin in zip(dims, begins, strict=True)]
    said = [
        -1 if begin + size == whole and chance(random) else size
        for begin, size, whole in zip(begins, sizes, dims, strict=True)
    ]
    kind = np.int32 if chance(random) else np.int64
    model = OneOperator("SLICE", schema.SliceOptionsT()).input(dims, *tensor)
    model.constant(np.array(begins, kind)).constant(np.array(said, kind)).output(sizes, *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("GATHER")
def gather(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "FLOAT32")), shape_of(random, (1, 2, 3, 4), 4)
    axis, places = int(random.integers(len(dims))), shape_of(random, (0, 1, 2), 3)
    positions = random.integers(0, dims[axis], places).astype(np.int32)
    options = schema.GatherOptionsT()
    options.axis = axis - len(dims) if chance(random, 0.3) else axis
    out = [*dims[:axis], *places, *dims[axis + 1 :]]
    model = OneOperator("GATHER", options).input(dims, *tensor)
    if chance(random):
        model.constant(np.asarray(positions)).output(out, *tensor)
        return Trial(model.build(), windows_of(random, (dims, tensor[0])))
    model.input(places, "INT32").output(out, *tensor)
    return Trial(model.build(), [[values_of(random, dims, tensor[0]), np.asarray(positions)] for _ in range(WINDOWS)])


@generator("SPLIT_V")
def split_v(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, *MOVED)), shape_of(random, (1, 2, 3, 4))
    axis, parts = int(random.integers(len(dims))), [int(size) for size in random.integers(1, 5, random.integers(1, 5))]
    dims[axis] = sum(parts)
    options = schema.SplitVOptionsT()
    options.numSplits = len(parts)
    model = OneOperator("SPLIT_V", options).input(dims, *tensor).constant(int32(parts))
    model.constant(int32(axis - len(dims) if chance(random, 0.3) else axis))
    for part in parts:
        model.output([*dims[:axis], part, *dims[axis + 1 :]], *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])), len(parts))
