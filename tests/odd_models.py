"""Small models of kinds that no converter gives by default, and somebody's tool nevertheless: a function each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

sys.path.insert(0, str(Path(__file__).parent / "case"))
from tflite_builder import ModelBuilder

CHANNELS = [0.01, 0.0, 0.02]  # one of them stands for nothing


class _Odd(ModelBuilder):
    def dense(self, x: int, inputs: int, name: str = "y", scales: float | list[float] = 0.01) -> int:
        """A Dense layer of int8 with 3 outputs."""
        weights = np.arange(3 * inputs).reshape(3, inputs) * 37 % 101 - 50
        w = self.tensor(f"{name}/weights", weights.shape, scale=scales, data=weights)
        y = self.tensor(name, (1, 3), scale=0.3, zero_point=2)
        self.operator("FULLY_CONNECTED", [x, w, -1], [y], options=schema.FullyConnectedOptionsT())
        return y

    def add(self, one: int, other: int, shape: Sequence[int]) -> int:
        y = self.tensor("sum", shape, scale=0.7)
        self.operator("ADD", [one, other], [y], options=schema.AddOptionsT())
        return y

    def quantized(self, x: int, shape: Sequence[int]) -> int:
        q = self.tensor("quantized", shape, scale=0.5, zero_point=3)
        self.operator("QUANTIZE", [x], [q], options=schema.QuantizeOptionsT())
        return q


def two_types() -> bytes:
    m = _Odd()
    sound, warmth = m.tensor("sound", (1, 8)), m.tensor("warmth", (1, 1), "FLOAT32", None)
    y = m.add(m.dense(sound, 8, "loud"), m.dense(m.quantized(warmth, (1, 1)), 1, "warm"), (1, 3))
    return m.build([sound, warmth], [y])


def output_that_is_used() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    hidden = m.dense(x, 8, "hidden")
    return m.build([x], [hidden, m.dense(hidden, 3)])


def input_as_output() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    return m.build([x], [x, m.dense(x, 8)])


def output_twice() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    y = m.dense(x, 8)
    return m.build([x], [y, y])


def constant_output() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    fixed = m.tensor("fixed", (1, 3), scale=0.1, data=[1, 2, 3])
    return m.build([x], [m.dense(x, 8), fixed])


def scalar_input() -> bytes:
    m = _Odd()
    x, s = m.tensor("x", (1, 8)), m.tensor("s", (), scale=0.5, zero_point=2)
    return m.build([x, s], [m.add(x, s, (1, 8))])


def one_dimension() -> bytes:
    m = _Odd()
    x, fixed = m.tensor("x", (4,)), m.tensor("fixed", (4,), data=[1, 2, 3, 4])
    return m.build([x], [m.add(x, fixed, (4,))])


def of_rank(*shape: int) -> Callable[[], bytes]:
    def model() -> bytes:
        m = _Odd()
        elements = int(np.prod(shape))
        x, flat = m.tensor("x", shape), m.tensor("flat", (1, elements))
        wanted = m.tensor("shape", (2,), "INT32", None, data=[1, elements])
        m.operator("RESHAPE", [x, wanted], [flat], options=schema.ReshapeOptionsT())
        return m.build([x], [m.dense(flat, elements)])

    return model


def dense_with_a_scale_of_zero() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    return m.build([x], [m.dense(x, 8, scales=CHANNELS)])


def convolution_with_a_scale_of_zero() -> bytes:
    m = _Odd()
    x, weights = m.tensor("x", (1, 4, 4, 2)), np.arange(3 * 2 * 2 * 2).reshape(3, 2, 2, 2) * 37 % 101 - 50
    w, y = m.tensor("w", weights.shape, scale=CHANNELS, data=weights), m.tensor("y", (1, 3, 3, 3), scale=0.3)
    b = m.tensor("b", (3,), "INT32", [0.5 * each for each in CHANNELS], data=[0, 0, 0])
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    return m.operator("CONV_2D", [x, w, b], [y], options=options).build([x], [y])


def int16_with_a_zero_point() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8), "INT16", 0.01, 7)
    return m.build([x], [m.dense(m.quantized(x, (1, 8)), 8)])


def one_name_for_all() -> bytes:
    m = _Odd()
    one, other, y = (m.tensor("t", (1, 8), scale=scale) for scale in (0.5, 0.5, 0.9))
    return m.operator("ADD", [one, other], [y], options=schema.AddOptionsT()).build([one, other], [y])


def unread_input() -> bytes:
    m = _Odd()
    x, unread = m.tensor("x", (1, 8)), m.tensor("unread", (1, 5))
    return m.build([x, unread], [m.dense(x, 8)])


def unread_output() -> bytes:
    m = _Odd()
    x, axis = m.tensor("x", (1, 8)), m.tensor("axis", (1,), "INT32", None, data=[1])
    halves = [m.tensor(name, (1, 4)) for name in ("used", "unread")]
    options = schema.SplitOptionsT()
    options.numSplits = 2
    m.operator("SPLIT", [axis, x], halves, options=options)
    return m.build([x], [m.dense(halves[0], 4)])


def convolution_in_groups() -> bytes:
    """Two groups: each output channel takes in two of the four input channels."""
    m = _Odd()
    x, weights = m.tensor("x", (1, 4, 4, 4)), np.arange(4 * 2 * 2 * 2).reshape(4, 2, 2, 2) * 37 % 101 - 50
    w, y = m.tensor("w", weights.shape, scale=[0.01] * 4, data=weights), m.tensor("y", (1, 3, 3, 4), scale=0.3)
    b = m.tensor("b", (4,), "INT32", [0.005] * 4, data=[0] * 4)
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    return m.operator("CONV_2D", [x, w, b], [y], options=options).build([x], [y])


def input_twice() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    return m.build([x, x], [m.dense(x, 8)])


def no_operators() -> bytes:
    m = _Odd()
    x = m.tensor("x", (1, 8))
    return m.build([x], [x])


RUN: tuple[Callable[[], bytes], ...] = (
    *(two_types, output_that_is_used, input_as_output, output_twice, constant_output, scalar_input, one_dimension),
    *(of_rank(1, 2, 2, 2, 3), of_rank(1, 2, 1, 2, 2, 3), dense_with_a_scale_of_zero, convolution_with_a_scale_of_zero),
    *(int16_with_a_zero_point, one_name_for_all),
)
REFUSED: Mapping[Callable[[], bytes], tuple[str, str]] = {  # where, and of what it is refused
    unread_input: ("input tensor 'unread'", "no operator reads it"),
    unread_output: ("operator 0 SPLIT", "nothing reads its output 'unread'"),
    convolution_in_groups: ("operator 0 CONV_2D", "a convolution in groups (weights for 2 of 4 input channels)"),
    input_twice: ("input tensor 'x'", "it is 2 inputs of the model: one tensor cannot hold several windows"),
    no_operators: ("operators", "the model has none: nothing would run"),
}
