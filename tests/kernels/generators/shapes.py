"""Shapes: what computes, changes or copies them."""

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


@generator("SHAPE")
def shape(random: Random) -> Trial:
    dims, tensor = shape_of(random, (1, 2, 3, 4, 5)), quantised(random, pick(random, *MOVED))
    options = schema.ShapeOptionsT()
    options.outType = schema.TensorType.INT32
    model = OneOperator("SHAPE", options).input(dims, *tensor).output([len(dims)], "INT32")
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("RESHAPE")
def reshape(random: Random) -> Trial:
    """With a constant shape, and with one that is an input of the model, as behind PACK."""
    dims, tensor = shape_of(random, (1, 2, 3, 4)), quantised(random, pick(random, "INT8", "INT16", "FLOAT32"))
    elements = int(np.prod(dims))
    out = [1, elements] if chance(random) else [*dims[::-1], 1]
    model = OneOperator("RESHAPE", schema.ReshapeOptionsT()).input(dims, *tensor)
    if chance(random):
        model.constant(int32(out)).output(out, *tensor)
        return Trial(model.build(), windows_of(random, (dims, tensor[0])))
    model.input([len(out)], "INT32").output(out, *tensor)
    return Trial(model.build(), [[values_of(random, dims, tensor[0]), int32(out)] for _ in range(WINDOWS)])


@generator("EXPAND_DIMS")
def expand_dims(random: Random) -> Trial:
    dims, tensor = shape_of(random, (1, 2, 3, 4)), quantised(random, pick(random, "INT8", "INT16", "FLOAT32"))
    axis = int(random.integers(-len(dims) - 1, len(dims) + 1))
    at = axis if axis >= 0 else axis + len(dims) + 1
    out = [*dims[:at], 1, *dims[at:]]
    model = OneOperator("EXPAND_DIMS", schema.ExpandDimsOptionsT()).input(dims, *tensor)
    model.constant(int32([axis])).output(out, *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("SQUEEZE")
def squeeze(random: Random) -> Trial:
    dims, tensor = shape_of(random, (2, 3, 4), 3), quantised(random, pick(random, "INT8", "INT16", "FLOAT32"))
    dims[int(random.integers(len(dims)))] = 1
    options = schema.SqueezeOptionsT()
    options.squeezeDims = [axis for axis, size in enumerate(dims) if size == 1]
    out = [size for size in dims if size != 1]
    model = OneOperator("SQUEEZE", options).input(dims, *tensor).output(out, *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("STRIDED_SLICE")
def strided_slice(random: Random) -> Trial:
    tensor = quantised(random, pick(random, "INT8", "INT16", "INT32", "FLOAT32", "BOOL"))
    dims = shape_of(random, (1, 2, 3, 4), 6)
    options = schema.StridedSliceOptionsT()
    masks, begins, ends, strides, out = [0, 0, 0], [], [], [], []
    for axis, size in enumerate(dims):
        stride = int(random.choice([-2, -1, 1, 2, 3]))
        begin, end = int(random.integers(-size, size)), int(random.integers(-size - 1, size + 2))
        bits = [chance(random, 0.2) for _ in masks]
        first = slice(None if bits[0] else begin, None if bits[1] else end, stride).indices(size)
        count = len(range(*first))
        if bits[2] or count == 0:  # one element, and the axis is dropped
            bits, stride, count = [False, bits[1], True], 1, 1
        else:
            out.append(count)
        masks = [mask | (int(bit) << axis) for mask, bit in zip(masks, bits, strict=True)]
        begins, ends, strides = [*begins, begin], [*ends, end], [*strides, stride]
    options.beginMask, options.endMask, options.shrinkAxisMask = masks
    model = OneOperator("STRIDED_SLICE", options).input(dims, *tensor)
    model.constant(int32(begins)).constant(int32(ends)).constant(int32(strides)).output(out, *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("PACK")
def pack(random: Random) -> Trial:
    """Scalars of int32 among them: the sizes of a shape."""
    tensor = quantised(random, pick(random, "INT8", "INT32", "FLOAT32"))
    dims, count = shape_of(random, (0, 1, 2, 3), 4), int(random.integers(1, 5))
    options = schema.PackOptionsT()
    options.valuesCount, options.axis = count, int(random.integers(len(dims) + 1))
    model = OneOperator("PACK", options)
    for _ in range(count):
        model.input(dims, *tensor)
    model.output([*dims[: options.axis], count, *dims[options.axis :]], *tensor)
    return Trial(model.build(), windows_of(random, *[(dims, tensor[0])] * count))
