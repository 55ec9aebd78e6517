"""Knows, for each operator, how to make a model of it with shapes, types, scales and values drawn at random: one
generator for each, in a table by operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from numpy.typing import NDArray
from one_operator import DTYPES, OneOperator

Random = np.random.Generator
Generator = Callable[[Random], Trial]
GENERATORS: dict[str, Generator] = {}
ACTIVATIONS = (0, 1, 2, 3)  # none, relu, relu_n1_to_1, relu6
WINDOWS = 2  # of each model


def generator(operator: str) -> Callable[[Generator], Generator]:
    def enter(function: Generator) -> Generator:
        assert operator not in GENERATORS
        GENERATORS[operator] = function
        return function

    return enter


# ---- what all of them draw -------------------------------------------------------------------------------------------


def shape_of(random: Random, rank: int | Sequence[int], most: int = 5) -> list[int]:
    """Sizes of 1 to `most`, of `rank` axes or of a number of them that is among these."""
    axes = rank if isinstance(rank, int) else int(random.choice(rank))
    return [int(size) for size in random.integers(1, most + 1, axes)]


def scale_of(random: Random, least: float = 0.002, most: float = 2.0) -> float:
    """Below and above one, evenly over the orders of magnitude."""
    return float(np.float32(np.exp(random.uniform(np.log(least), np.log(most)))))


def zero_of(random: Random, dtype: str = "INT8") -> int:
    """The ends of the type, zero, or any other value. 16-bit tensors have none but zero."""
    if dtype in ("INT16", "INT32", "FLOAT32"):
        return 0
    low, high = (0, 255) if dtype == "UINT8" else (-128, 127)
    return int(random.choice([low, high, 0 if low < 0 else 128, int(random.integers(low, high + 1))]))


def values_of(random: Random, shape: Sequence[int], dtype: str = "INT8", most: float = 8.0) -> NDArray[np.generic]:
    """The whole range of an integer type, its ends among them; floats of up to +-`most`."""
    kind = DTYPES[dtype]
    if dtype == "FLOAT32":
        return random.uniform(-most, most, shape).astype(np.float32)
    if dtype == "BOOL":
        return random.integers(0, 2, shape).astype(np.bool_)
    limits = np.iinfo(kind)
    low, high = (limits.min, limits.max) if limits.bits <= 16 else (-1000, 1000)
    values = random.integers(low, high + 1, shape)
    if limits.bits <= 16 and random.random() < 0.3:
        values = random.choice([low, high], shape)
    return np.asarray(values).astype(kind)


def windows_of(random: Random, *tensors: tuple[Sequence[int], str]) -> list[list[NDArray[np.generic]]]:
    return [[values_of(random, shape, dtype) for shape, dtype in tensors] for _ in range(WINDOWS)]


def pick(random: Random, *choices: str) -> str:
    return str(random.choice(choices))


def chance(random: Random, of: float = 0.5) -> bool:
    return bool(random.random() < of)


def int32(values: object) -> NDArray[np.generic]:
    return np.asarray(values, np.int32)


# ---- shapes ----------------------------------------------------------------------------------------------------------

MOVED = ("INT8", "INT16", "INT32", "FLOAT32")


def quantised(random: Random, dtype: str) -> tuple[str, float | None, int]:
    """Type, scale and zero point of a tensor; no scale where the type has none."""
    return (
        (dtype, scale_of(random), zero_of(random, dtype)) if dtype in ("INT8", "UINT8", "INT16") else (dtype, None, 0)
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


# ---- dense -----------------------------------------------------------------------------------------------------------


@generator("FULLY_CONNECTED")
def fully_connected(random: Random) -> Trial:
    """int8 and int16; one scale and one for each output; with and without bias; kept dimensions."""
    dtype = pick(random, "INT8", "INT8", "INT16")
    rows, inputs, outputs = shape_of(random, (0, 1, 2), 3), int(random.integers(1, 24)), int(random.integers(1, 9))
    scales = [scale_of(random, 0.001, 0.1) for _ in range(outputs if chance(random, 0.7) else 1)]
    input_scale = scale_of(random) if dtype == "INT8" else scale_of(random, 1e-5, 1e-3)
    sizes = float(np.median(scales)) * input_scale * np.sqrt(inputs) * 60 * (70 if dtype == "INT8" else 20000)
    output_scale = float(np.float32(sizes / (128 if dtype == "INT8" else 32768) * random.uniform(0.3, 3)))
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    keep = len(rows) > 1
    options.keepNumDims = keep
    in_shape = [*rows, inputs] if rows else [1, inputs]
    out_shape = [*rows, outputs] if rows else [1, outputs]
    weights = values_of(random, [outputs, inputs], "INT8")
    model = OneOperator("FULLY_CONNECTED", options).input(in_shape, dtype, input_scale, zero_of(random, dtype))
    model.constant(weights, scales)
    if chance(random, 0.7):
        kind = np.int32 if dtype == "INT8" or chance(random, 0.3) else np.int64
        model.constant(random.integers(-20000, 20000, outputs).astype(kind), [each * input_scale for each in scales])
    elif chance(random):
        model.left_out()
    model.output(out_shape, dtype, output_scale, zero_of(random, dtype))
    return Trial(model.build(), windows_of(random, (in_shape, dtype)))


# ---- reductions ------------------------------------------------------------------------------------------------------


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


# ---- conversions -----------------------------------------------------------------------------------------------------

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


# ---- moves -----------------------------------------------------------------------------------------------------------


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


# ---- activations -----------------------------------------------------------------------------------------------------


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


# ---- two inputs ------------------------------------------------------------------------------------------------------


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


# ---- space -----------------------------------------------------------------------------------------------------------


def blocks(random: Random, operator: str, options: object) -> Trial:
    """The larger space and the smaller one with more batches, for either direction; with and without a width."""
    tensor = quantised(random, pick(random, "INT8", "FLOAT32"))
    axes = int(random.integers(1, 3))
    block = [int(size) for size in random.integers(1, 4, axes)]
    # TFLM pads with a value that it never wrote: such models have no oracle, and the check refuses them.
    most = 1 if operator == "SPACE_TO_BATCH_ND" else 3
    edge = [[int(size) for size in random.integers(0, most, 2)] for _ in range(axes)]
    batch, depth = int(random.integers(1, 3)), int(random.integers(1, 5))
    space = []
    for size, (before, behind) in zip(block, edge, strict=True):
        whole = int(random.integers(2, 8))
        while (whole + before + behind) % size:
            whole += 1
        space.append(whole)
    parts = [(whole + sum(pair)) // size for whole, pair, size in zip(space, edge, block, strict=True)]
    large, small = [batch, *space, depth], [batch * int(np.prod(block)), *parts, depth]
    first, second = (large, small) if operator == "SPACE_TO_BATCH_ND" else (small, large)
    model = OneOperator(operator, options).input(first, *tensor).constant(int32(block)).constant(int32(edge))
    model.output(second, *tensor)
    return Trial(model.build(), windows_of(random, (first, tensor[0])))


@generator("SPACE_TO_BATCH_ND")
def space_to_batch_nd(random: Random) -> Trial:
    return blocks(random, "SPACE_TO_BATCH_ND", schema.SpaceToBatchNDOptionsT())


@generator("BATCH_TO_SPACE_ND")
def batch_to_space_nd(random: Random) -> Trial:
    return blocks(random, "BATCH_TO_SPACE_ND", schema.BatchToSpaceNDOptionsT())


@generator("SPACE_TO_DEPTH")
def space_to_depth(random: Random) -> Trial:
    tensor, block = quantised(random, pick(random, "INT8", "FLOAT32")), int(random.integers(1, 4))
    batch, height, width, depth = shape_of(random, 4, 3)
    options = schema.SpaceToDepthOptionsT()
    options.blockSize = block
    large, deep = [batch, height * block, width * block, depth], [batch, height, width, depth * block * block]
    model = OneOperator("SPACE_TO_DEPTH", options).input(large, *tensor).output(deep, *tensor)
    return Trial(model.build(), windows_of(random, (large, tensor[0])))


@generator("DEPTH_TO_SPACE")
def depth_to_space(random: Random) -> Trial:
    tensor, block = quantised(random, pick(random, "INT8", "FLOAT32")), int(random.integers(1, 4))
    batch, height, width, depth = shape_of(random, 4, 3)
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = block
    large, deep = [batch, height * block, width * block, depth], [batch, height, width, depth * block * block]
    model = OneOperator("DEPTH_TO_SPACE", options).input(deep, *tensor).output(large, *tensor)
    return Trial(model.build(), windows_of(random, (deep, tensor[0])))


@generator("RESIZE_BILINEAR")
def resize_bilinear(random: Random) -> Trial:
    tensor = quantised(random, pick(random, "INT8", "INT8", "FLOAT32"))
    dims, size = shape_of(random, 4, 6), shape_of(random, 2, 12)
    options = schema.ResizeBilinearOptionsT()
    options.alignCorners = chance(random, 0.4)
    options.halfPixelCenters = not options.alignCorners and chance(random)
    model = OneOperator("RESIZE_BILINEAR", options).input(dims, *tensor).constant(int32(size))
    model.output([dims[0], *size, dims[3]], *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("MIRROR_PAD")
def mirror_pad(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    options = schema.MirrorPadOptionsT()
    options.mode = int(random.integers(2))  # reflect, symmetric
    most = [size - (1 if options.mode == 0 else 0) for size in dims]
    edges = [[int(random.integers(0, size + 1)) for _ in range(2)] for size in most]
    kind = np.int32 if chance(random) else np.int64
    model = OneOperator("MIRROR_PAD", options).input(dims, *tensor).constant(np.array(edges, kind))
    model.output([size + sum(edge) for size, edge in zip(dims, edges, strict=True)], *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


@generator("FILL")
def fill(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "INT32", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    model = OneOperator("FILL", schema.FillOptionsT()).constant(int32(dims)).input([], *tensor).output(dims, *tensor)
    return Trial(model.build(), windows_of(random, ([], tensor[0])))


@generator("ZEROS_LIKE")
def zeros_like(random: Random) -> Trial:
    tensor, dims = quantised(random, pick(random, "INT8", "INT32", "FLOAT32")), shape_of(random, (1, 2, 3, 4))
    model = OneOperator("ZEROS_LIKE", schema.ZerosLikeOptionsT()).input(dims, *tensor).output(dims, *tensor)
    return Trial(model.build(), windows_of(random, (dims, tensor[0])))


# ---- sums of products ------------------------------------------------------------------------------------------------


def output_scale_of(random: Random, scales: Sequence[float], count: int, dtype: str) -> float:
    """One with which the outputs of a sum of `count` products fill a good part of the type, or leave it."""
    spread = (70.0 if dtype == "INT8" else 19000.0) * 70.0 * np.sqrt(count) * float(np.prod(scales))
    return float(np.float32(spread / (128 if dtype == "INT8" else 32768) * random.uniform(0.3, 3)))


@generator("BATCH_MATMUL")
def batch_matmul(random: Random) -> Trial:
    dtype = pick(random, "INT8", "INT8", "INT16", "FLOAT32")
    rows, depth, columns = (int(size) for size in random.integers(1, 8, 3))
    batches, repeated, full = pair_of_shapes(random, 2) if chance(random, 0.6) else ([], [], [])
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = chance(random, 0.4), chance(random, 0.4)
    first = [*batches, depth, rows] if options.adjX else [*batches, rows, depth]
    second = [*repeated, columns, depth] if options.adjY else [*repeated, depth, columns]
    tensors = [quantised(random, dtype) for _ in range(2)]
    result = (dtype, None, 0)
    if dtype != "FLOAT32":
        scales = [float(tensor[1] or 0) for tensor in tensors]
        result = (
            dtype,
            output_scale_of(random, scales, depth, dtype) * (1 if dtype == "INT8" else 270),
            zero_of(random, dtype),
        )
    model = OneOperator("BATCH_MATMUL", options).input(first, *tensors[0]).input(second, *tensors[1])
    model.output([*full, rows, columns], *result)
    return Trial(model.build(), windows_of(random, (first, dtype), (second, dtype)))


@generator("TRANSPOSE_CONV")
def transpose_conv(random: Random) -> Trial:
    dtype = pick(random, "INT8", "INT8", "INT16")
    height, width, depth, channels = (int(size) for size in random.integers(1, 5, 4))
    window, stride = [int(size) for size in random.integers(1, 4, 2)], [int(size) for size in random.integers(1, 4, 2)]
    options = schema.TransposeConvOptionsT()
    options.padding = int(random.integers(2))  # same, valid
    options.strideH, options.strideW = stride
    out = [1]
    for size, step, over in zip((height, width), stride, window, strict=True):
        out.append(size * step if options.padding == 0 else (size - 1) * step + over)
    out.append(channels)
    input_scale = scale_of(random) if dtype == "INT8" else scale_of(random, 1e-5, 1e-3)
    scales = [scale_of(random, 0.001, 0.1) for _ in range(channels if chance(random, 0.7) else 1)]
    median = float(np.median(scales))
    model = OneOperator("TRANSPOSE_CONV", options).constant(int32(out))
    model.constant(values_of(random, [channels, *window, depth], "INT8"), scales)
    model.input([1, height, width, depth], dtype, input_scale, zero_of(random, dtype))
    if chance(random, 0.7):
        kind = np.int32 if dtype == "INT8" else np.int64
        model.constant(random.integers(-20000, 20000, channels).astype(kind), [each * input_scale for each in scales])
    reach = depth * window[0] * window[1] / stride[0] / stride[1]
    model.output(
        out, dtype, output_scale_of(random, [median, input_scale], max(reach, 1), dtype), zero_of(random, dtype)
    )
    return Trial(model.build(), windows_of(random, ([1, height, width, depth], dtype)))


@generator("LOG_SOFTMAX")
def log_softmax(random: Random) -> Trial:
    dtype, dims = pick(random, "INT8", "INT8", "FLOAT32"), shape_of(random, (1, 2, 3, 4), 8)
    tensor = quantised(random, dtype)
    result = (dtype, 16 / 256, 127) if dtype == "INT8" else tensor
    model = OneOperator("LOG_SOFTMAX", schema.LogSoftmaxOptionsT()).input(dims, *tensor).output(dims, *result)
    return Trial(model.build(), windows_of(random, (dims, dtype)))


# ---- 16-bit activations ----------------------------------------------------------------------------------------------


def window_of(random: Random, options: schema.Conv2DOptionsT | schema.DepthwiseConv2DOptionsT) -> tuple[list[int], ...]:
    """Sizes of image, window and output, with strides, dilation and padding set in `options`."""
    image, window = [int(size) for size in random.integers(3, 8, 2)], [int(size) for size in random.integers(1, 4, 2)]
    stride, apart = [int(size) for size in random.integers(1, 3, 2)], [1, 1]
    if chance(random, 0.3):
        apart = [int(size) for size in random.integers(1, 3, 2)]
    options.padding = int(random.integers(2))
    out = []
    for axis in range(2):
        reach = (window[axis] - 1) * apart[axis] + 1
        image[axis] = max(image[axis], reach)
        places = image[axis] if options.padding == 0 else image[axis] - reach + 1
        out.append((places + stride[axis] - 1) // stride[axis])
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = apart
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    return image, window, out


def wide_convolution(
    random: Random, operator: str, options: object, ends: tuple[list[int], list[int]], weights: list[int], axis: int
) -> Trial:
    """ends: shapes of input and output. axis: of the weights, that has the output channels."""
    channels, count = weights[axis], int(np.prod(weights)) // weights[axis]
    input_scale = scale_of(random, 1e-5, 1e-3)
    scales = [scale_of(random, 0.001, 0.1) for _ in range(channels if chance(random, 0.7) else 1)]
    model = OneOperator(operator, options).input(ends[0], "INT16", input_scale)
    model.constant(values_of(random, weights, "INT8"), scales, axis=axis)
    if chance(random, 0.8):
        kind = np.int64 if operator == "DEPTHWISE_CONV_2D" or chance(random, 0.7) else np.int32
        model.constant(random.integers(-200000, 200000, channels).astype(kind), [each * input_scale for each in scales])
    output_scale = output_scale_of(random, [float(np.median(scales)), input_scale], count, "INT16")
    model.output(ends[1], "INT16", output_scale)
    return Trial(model.build(), windows_of(random, (ends[0], "INT16")))


@generator("CONV_2D")
def conv_2d(random: Random) -> Trial:
    options = schema.Conv2DOptionsT()
    image, window, out = window_of(random, options)
    depth, channels = int(random.integers(1, 5)), int(random.integers(1, 6))
    ends = [1, *image, depth], [1, *out, channels]
    return wide_convolution(random, "CONV_2D", options, ends, [channels, *window, depth], 0)


@generator("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(random: Random) -> Trial:
    options = schema.DepthwiseConv2DOptionsT()
    image, window, out = window_of(random, options)
    depth, options.depthMultiplier = int(random.integers(1, 5)), int(random.integers(1, 3))
    channels = depth * options.depthMultiplier
    ends = [1, *image, depth], [1, *out, channels]
    return wide_convolution(random, "DEPTHWISE_CONV_2D", options, ends, [1, *window, channels], 3)


def pooling(random: Random, operator: str) -> Trial:
    sizes, options = schema.Conv2DOptionsT(), schema.Pool2DOptionsT()
    image, window, _ = window_of(random, sizes)
    options.padding, options.fusedActivationFunction = sizes.padding, sizes.fusedActivationFunction
    options.filterHeight, options.filterWidth = window
    options.strideH, options.strideW = sizes.strideH, sizes.strideW
    out = []
    for whole, over, step in zip(image, window, (sizes.strideH, sizes.strideW), strict=True):
        places = whole if options.padding == 0 else whole - over + 1
        out.append((places + step - 1) // step)
    ends, scale = ([1, *image, 3], [1, *out, 3]), scale_of(random, 1e-5, 1e-3)
    model = OneOperator(operator, options).input(ends[0], "INT16", scale).output(ends[1], "INT16", scale)
    return Trial(model.build(), windows_of(random, (ends[0], "INT16")))


@generator("MAX_POOL_2D")
def max_pool_2d(random: Random) -> Trial:
    return pooling(random, "MAX_POOL_2D")


@generator("AVERAGE_POOL_2D")
def average_pool_2d(random: Random) -> Trial:
    return pooling(random, "AVERAGE_POOL_2D")


def wide_pair(random: Random, operator: str, options: object, output: Callable[[float, float], float]) -> Trial:
    first, second, out = pair_of_shapes(random)
    scales = [scale_of(random, 1e-5, 1e-3) for _ in range(2)]
    result = float(np.float32(output(*scales) * random.uniform(0.4, 3)))
    model = OneOperator(operator, options).input(first, "INT16", scales[0]).input(second, "INT16", scales[1])
    return Trial(model.output(out, "INT16", result).build(), windows_of(random, (first, "INT16"), (second, "INT16")))


@generator("ADD")
def add(random: Random) -> Trial:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    return wide_pair(random, "ADD", options, max)


@generator("SUB")
def sub(random: Random) -> Trial:
    options = schema.SubOptionsT()
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    return wide_pair(random, "SUB", options, max)


@generator("MUL")
def mul(random: Random) -> Trial:
    options = schema.MulOptionsT()
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS))
    return wide_pair(random, "MUL", options, lambda first, second: first * second * 32768)


@generator("SOFTMAX")
def softmax(random: Random) -> Trial:
    options, dims = schema.SoftmaxOptionsT(), shape_of(random, (1, 2, 3, 4), 8)
    options.beta = float(random.choice([1.0, 1.0, 0.5, 2.0]))
    model = OneOperator("SOFTMAX", options).input(dims, "INT16", scale_of(random, 1e-5, 1e-3))
    return Trial(model.output(dims, "INT16", 1 / 32768).build(), windows_of(random, (dims, "INT16")))


def squashed(random: Random, operator: str) -> Trial:
    """Scales that are powers of two, and others."""
    dims = shape_of(random, (1, 2, 3, 4), 6)
    scale = (
        float(random.choice([1 / 4096, 1 / 2048, 1 / 8192])) if chance(random, 0.3) else scale_of(random, 1e-5, 2e-3)
    )
    model = OneOperator(operator).input(dims, "INT16", scale).output(dims, "INT16", 1 / 32768)
    return Trial(model.build(), windows_of(random, (dims, "INT16")))


@generator("LOGISTIC")
def logistic(random: Random) -> Trial:
    return squashed(random, "LOGISTIC")


@generator("TANH")
def tanh(random: Random) -> Trial:
    return squashed(random, "TANH")


# ---- what keeps a state ----------------------------------------------------------------------------------------------


@generator("UNIDIRECTIONAL_SEQUENCE_LSTM")
def lstm(random: Random) -> Trial:
    """Several steps, through which the state goes on; windows that begin anew, or go on too."""
    dtype = pick(random, "INT8", "INT8", "INT16")
    batches, steps, inputs, units = (int(size) for size in random.integers(1, 6, 4))
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = 4  # tanh
    options.timeMajor, options.cellClip = chance(random), float(random.choice([0.0, 0.0, 1.5, 10.0]))
    shape = [steps, batches, inputs] if options.timeMajor else [batches, steps, inputs]
    scale, zero = (
        scale_of(random, 0.005, 0.05) if dtype == "INT8" else scale_of(random, 1e-5, 2e-4),
        zero_of(random, dtype),
    )
    hidden = (float(np.float32(1 / 128)), zero_of(random)) if dtype == "INT8" else (float(np.float32(1 / 32768)), 0)
    model = OneOperator("UNIDIRECTIONAL_SEQUENCE_LSTM", options).input(shape, dtype, scale, zero)
    scales = [scale_of(random, 0.002, 0.02) for _ in range(8)]
    for gate in range(8):
        model.constant(values_of(random, [units, inputs if gate < 4 else units], "INT8"), scales[gate])
    for _ in range(3):
        model.left_out()
    for gate in range(4):
        kind = np.int32 if dtype == "INT8" else np.int64
        model.constant(random.integers(-3000, 3000, units).astype(kind), scales[gate] * scale)
    model.left_out().left_out().state([batches, units], dtype, *hidden)
    model.state([batches, units], "INT16", float(2.0 ** int(random.integers(-13, -8))), 0)
    for _ in range(4):
        model.left_out()
    if chance(random):
        for _ in range(5):
            model.intermediate(dtype, 0.01, 0)
    out = [steps, batches, units] if options.timeMajor else [batches, steps, units]
    model.output(out, dtype, *hidden)
    return Trial(model.build(), [[values_of(random, shape, dtype)] for _ in range(3)], stream=chance(random))


@generator("SVDF")
def svdf(random: Random) -> Trial:
    """Streams of windows that fill the memory, and windows that begin anew."""
    kind = pick(random, "INT8", "INT8", "INT16", "INT16", "FLOAT32")
    batches, inputs, units, memory, rank = (int(size) for size in random.integers(1, 6, 5))
    filters, dtype = units * rank, "FLOAT32" if kind == "FLOAT32" else "INT8"
    options = schema.SVDFOptionsT()
    options.rank = rank
    options.fusedActivationFunction = int(random.choice(ACTIVATIONS)) if dtype == "FLOAT32" else 1
    whole = dtype == "INT8"
    scale, features, times = (scale_of(random, 0.005, 0.5) if whole else None for _ in range(3))
    kept = (scale_of(random, 0.005, 0.5), zero_of(random, kind)) if whole else (None, 0)
    bias = kept[0] * times if kept[0] and times else None
    model = OneOperator("SVDF", options).input([batches, inputs], dtype, scale, zero_of(random, dtype))
    model.constant(values_of(random, [filters, inputs], dtype), features)
    model.constant(values_of(random, [filters, memory], kind), times)
    model.constant(values_of(random, [units], "INT32" if whole else dtype), bias)  # without one, TFLM crashes
    model.state([batches, filters * memory], kind, *kept)
    model.output([batches, units], dtype, scale_of(random, 0.05, 50.0) if whole else None, zero_of(random, dtype))
    windows = [[values_of(random, [batches, inputs], dtype)] for _ in range(6)]
    return Trial(model.build(), windows, stream=chance(random, 0.8))
