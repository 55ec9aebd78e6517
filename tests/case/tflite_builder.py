"""Builds small .tflite files with the schema's object API: real flatbuffers, always the same bytes."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "BOOL": np.bool_,
}


class ModelBuilder:
    """Tensors and operators of one subgraph, in the order of the calls."""

    def __init__(self) -> None:
        empty = schema.BufferT()
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "test"
        self.model.buffers = [empty]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, shape, dtype="INT8", scale=0.5, zero_point=0, data=None, signature=None):
        """`scale`: a number, a list (per channel) or None (not quantised). Returns the tensor's index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(schema.TensorType, dtype)
        tensor.shapeSignature = signature
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.ascontiguousarray(data, TYPES[dtype]).view(np.uint8).ravel()
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            scales = list(np.atleast_1d(scale))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, custom=None, options=None):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode, code.version = custom, 1
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:  # FullyConnectedOptionsT() and the like
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)
        return self

    def build(self, inputs, outputs) -> bytes:
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def dense_model(
    *,
    inputs: int = 8,
    outputs: int = 4,
    shape: tuple[int, ...] | None = None,
    weight_scale=0.01,
    input_scale: float | None = 0.5,
    output_scale: float | None = 1 / 256,
    output_zero_point: int = -128,
    weight_type: str = "INT8",
    activations: str = "INT8",
    signature=None,
) -> bytes:
    """FULLY_CONNECTED from `shape` (default [1, inputs]) to [1, outputs]; the weights count up."""
    m = ModelBuilder()
    quantised = activations == "INT8"
    shape = shape or (1, inputs)
    x = m.tensor("x", shape, activations, input_scale if quantised else None, 3, signature=signature)
    elements = int(np.prod(shape[1:]))
    weights = np.arange(outputs * elements).reshape(outputs, elements) % 11 - 5
    w = m.tensor("dense/weights", weights.shape, weight_type, weight_scale, data=weights)
    b = m.tensor("dense/bias", (outputs,), "INT32" if quantised else "FLOAT32", None, data=np.zeros(outputs))
    y = m.tensor("y", (1, outputs), activations, output_scale if quantised else None, output_zero_point)
    m.operator("FULLY_CONNECTED", [x, w, b], [y])
    return m.build([x], [y])


def float_model(**shape) -> bytes:
    """The same network in float32."""
    return dense_model(activations="FLOAT32", weight_type="FLOAT32", weight_scale=None, **shape)
