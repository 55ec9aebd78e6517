"""Sums of products, and the logarithm of a softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import (
    Random,
    chance,
    generator,
    int32,
    pick,
    quantised,
    scale_of,
    shape_of,
    values_of,
    windows_of,
    zero_of,
)
from generators.pairs import pair_of_shapes


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


def real_transpose_conv(random: Random, options: object, image: list[int], window: list[int], out: list[int]) -> Trial:
    model = OneOperator("TRANSPOSE_CONV", options).constant(int32(out))
    model.constant(values_of(random, window, "FLOAT32")).input(image, "FLOAT32")
    if chance(random, 0.7):
        model.constant(values_of(random, [out[3]], "FLOAT32"))
    return Trial(model.output(out, "FLOAT32").build(), windows_of(random, (image, "FLOAT32")))


@generator("TRANSPOSE_CONV")
def transpose_conv(random: Random) -> Trial:
    dtype = pick(random, "INT8", "INT8", "INT16", "FLOAT32")
    height, width, depth, channels = (int(size) for size in random.integers(1, 5, 4))
    window, stride = [int(size) for size in random.integers(1, 4, 2)], [int(size) for size in random.integers(1, 4, 2)]
    options = schema.TransposeConvOptionsT()
    options.padding = int(random.integers(2))  # same, valid
    options.strideH, options.strideW = stride
    out = [1]
    for size, step, over in zip((height, width), stride, window, strict=True):
        out.append(size * step if options.padding == 0 else (size - 1) * step + over)
    out.append(channels)
    if dtype == "FLOAT32":
        return real_transpose_conv(random, options, [1, height, width, depth], [channels, *window, depth], out)
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
