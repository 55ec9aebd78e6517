"""Trains a small network on numbers and writes it as .tflite: once in float, once in int8.

Layers are dense, all but the last with a ReLU. Post-training quantisation: ranges of the training data, weights
symmetric, one scale a layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from hil.model.rewrite import packed

Floats = NDArray[np.float64]
Layer = tuple[Floats, Floats]  # weights [outputs, inputs], bias [outputs]
_NAMES = ("statistics", "scores")  # of input and output
_STEPS, _RATE, _DECAY = 1500, 3e-3, 1e-3


@dataclass(frozen=True)
class Scale:
    """Of an int8 tensor: real = (q - zero_point) * scale."""

    scale: float
    zero_point: int

    @staticmethod
    def of(values: Floats) -> Scale:
        """The one that just holds these values, and zero."""
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        scale = float(np.float32((high - low) / 255))
        return Scale(scale, round(-128 - low / scale))


def train(values: Floats, labels: NDArray[np.int64], hidden: tuple[int, ...], seed: int) -> list[Layer]:
    """The layers for values [n, features], by Adam on all of them at once, softmax cross-entropy."""
    random = np.random.default_rng(seed)
    sizes = (values.shape[1], *hidden, int(labels.max()) + 1)
    flat = [
        part
        for inputs, outputs in pairwise(sizes)
        for part in (random.normal(0, np.sqrt(2 / inputs), (outputs, inputs)), np.zeros(outputs))
    ]
    first, second = [np.zeros_like(part) for part in flat], [np.zeros_like(part) for part in flat]
    for step in range(1, _STEPS + 1):
        for i, slope in enumerate(_slopes(flat, values, labels)):
            slope = slope + _DECAY * flat[i]
            first[i] = 0.9 * first[i] + 0.1 * slope
            second[i] = 0.999 * second[i] + 0.001 * slope**2
            flat[i] -= _RATE * (first[i] / (1 - 0.9**step)) / (np.sqrt(second[i] / (1 - 0.999**step)) + 1e-8)
    return list(zip(flat[::2], flat[1::2], strict=True))


def run(layers: list[Layer], values: Floats) -> list[Floats]:
    """What each layer gives, behind its ReLU."""
    found = []
    for place, (weights, bias) in enumerate(layers):
        values = values @ weights.T + bias
        values = np.maximum(values, 0) if place < len(layers) - 1 else values
        found.append(values)
    return found


def _slopes(flat: list[Floats], values: Floats, labels: NDArray[np.int64]) -> list[Floats]:
    layers = list(zip(flat[::2], flat[1::2], strict=True))
    outputs = run(layers, values)
    shares = np.exp(outputs[-1] - outputs[-1].max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1
    back, slopes = shares / len(labels), []
    for place in reversed(range(len(layers))):
        below = outputs[place - 1] if place else values
        slopes += [back.sum(axis=0), back.T @ below]
        back = (back @ layers[place][0]) * (below > 0) if place else back
    return slopes[::-1]


# ---- .tflite


def float_model(layers: list[Layer]) -> bytes:
    """The layers in float32."""
    file = _File(schema.TensorType.FLOAT32)
    return file.write([(w.astype(np.float32), b.astype(np.float32), None, None) for w, b in layers], None)


def int8_model(layers: list[Layer], values: Floats, source: Scale) -> bytes:
    """The layers in int8. values: what the ranges are taken from; source: the scale of the input."""
    file, scale, quantised = _File(schema.TensorType.INT8), source, []
    for (weights, bias), output in zip(layers, run(layers, values), strict=True):
        step = float(np.float32(np.abs(weights).max() / 127))
        whole = np.rint(weights / step).astype(np.int8)
        bias_scale = float(np.float32(scale.scale) * np.float32(step))
        own = Scale.of(output)
        quantised.append((whole, np.rint(bias / bias_scale).astype(np.int32), (step, bias_scale), own))
        scale = own
    return file.write(quantised, source)


@dataclass
class _File:
    """A .tflite of dense layers in the making. dtype: of the values that go through it."""

    dtype: int
    tensors: list[Any] = field(default_factory=list)
    buffers: list[bytes] = field(default_factory=lambda: [b""])

    def write(self, layers: list[tuple[Any, Any, Any, Any]], source: Scale | None) -> bytes:
        """layers: weights, bias, (scale of weights, of bias), Scale of the output; the scales None in float."""
        at = first = self._tensor(_NAMES[0], (1, layers[0][0].shape[1]), self.dtype, source)
        operators = []
        for place, (weights, bias, steps, scale) in enumerate(layers):
            last = place == len(layers) - 1
            parts = [
                self._constant(f"{kind}{place}", part, Scale(steps[i], 0) if steps else None)
                for i, (kind, part) in enumerate((("weights", weights), ("bias", bias)))
            ]
            name = _NAMES[1] if last else f"hidden{place}"
            output = self._tensor(name, (1, len(bias)), self.dtype, scale)
            operators.append(self._dense([at, *parts], output, relu=not last))
            at = output
        return self._pack(operators, first, at)

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: int, scale: Scale | None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), dtype
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale.scale], [scale.zero_point]
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _constant(self, name: str, values: NDArray[Any], scale: Scale | None) -> int:
        types = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}
        index = self._tensor(name, values.shape, types.get(values.dtype.name, schema.TensorType.FLOAT32), scale)
        self.buffers.append(values.tobytes())
        self.tensors[index].buffer = len(self.buffers) - 1
        return index

    def _dense(self, inputs: list[int], output: int, *, relu: bool) -> Any:
        operator = schema.OperatorT()
        operator.inputs, operator.outputs, operator.opcodeIndex = inputs, [output], 0
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        kind = schema.ActivationFunctionType
        operator.builtinOptions.fusedActivationFunction = kind.RELU if relu else kind.NONE
        return operator

    def _pack(self, operators: list[Any], source: int, output: int) -> bytes:
        code, graph, model = schema.OperatorCodeT(), schema.SubGraphT(), schema.ModelT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = 4 if self.dtype == schema.TensorType.INT8 else 1
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, operators, [source], [output]
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], []
        for data in self.buffers:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            model.buffers.append(buffer)
        return packed(model)
