"""Operators with activations of 16 bits and more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial
from one_operator import OneOperator

from generators.draw import ACTIVATIONS, Random, chance, generator, scale_of, shape_of, values_of, windows_of
from generators.pairs import pair_of_shapes, pairwise
from generators.products import output_scale_of


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
    """Of 16 bits, or of whole numbers of 32."""
    if chance(random, 0.3):
        return pairwise(random, operator, "INT32", options, None)
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
