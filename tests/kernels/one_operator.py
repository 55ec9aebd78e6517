"""Knows how a model of one operator is written: a real .tflite from shapes, types, scales, constants and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

DTYPES = {
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
}
_ALIGNMENT = 16


@dataclass
class OneOperator:
    """Tensors in the order of the calls; those of the operator, and of the model where they have no data."""

    name: str
    options: object | None = None
    model_inputs: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    intermediates: list[int] = field(default_factory=list)
    _tensors: list[schema.TensorT] = field(default_factory=list)
    _buffers: list[bytes] = field(default_factory=lambda: [b""])

    def input(
        self, shape: Sequence[int], dtype: str = "INT8", scale: float | None = None, zero_point: int = 0
    ) -> OneOperator:
        """An input of the operator and of the model."""
        index = self._tensor(shape, dtype, [scale] if scale is not None else [], zero_point)
        self.inputs.append(index)
        self.model_inputs.append(index)
        return self

    def constant(
        self,
        values: NDArray[np.generic],
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> OneOperator:
        """An input that the model holds. scale: one, or one for each index of `axis`."""
        dtype = next(name for name, kind in DTYPES.items() if values.dtype == kind)
        scales = [] if scale is None else [float(each) for each in np.atleast_1d(scale)]
        index = self._tensor(values.shape, dtype, scales, zero_point, axis)
        self._buffers.append(np.ascontiguousarray(values).tobytes())
        self._tensors[index].buffer = len(self._buffers) - 1
        self.inputs.append(index)
        return self

    def left_out(self) -> OneOperator:
        """An optional input that is not there."""
        self.inputs.append(-1)
        return self

    def state(self, shape: Sequence[int], dtype: str, scale: float | None, zero_point: int) -> OneOperator:
        """An input that the operator keeps from run to run."""
        index = self._tensor(shape, dtype, [scale] if scale is not None else [], zero_point)
        self._tensors[index].isVariable = True
        self.inputs.append(index)
        return self

    def intermediate(self, dtype: str, scale: float, zero_point: int) -> OneOperator:
        """A tensor that only tells a scale."""
        self.intermediates.append(self._tensor((0,), dtype, [scale], zero_point))
        return self

    def output(
        self, shape: Sequence[int], dtype: str = "INT8", scale: float | None = None, zero_point: int = 0
    ) -> OneOperator:
        index = self._tensor(shape, dtype, [scale] if scale is not None else [], zero_point)
        self.outputs.append(index)
        return self

    def build(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        model = schema.ModelT()
        model.version = 3
        model.buffers = [_Buffer(data) for data in self._buffers]
        model.operatorCodes = [self._code()]
        model.subgraphs = [self._graph()]
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, shape: Sequence[int], dtype: str, scales: list[float], zero_point: int, axis: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name = f"tensor {len(self._tensors)}"
        tensor.shape = [int(size) for size in shape]
        tensor.type = getattr(schema.TensorType, dtype)
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [int(zero_point)] * len(scales)
            tensor.quantization.quantizedDimension = axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _code(self) -> schema.OperatorCodeT:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, self.name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        return code

    def _graph(self) -> schema.SubGraphT:
        operator = schema.OperatorT()
        operator.opcodeIndex = 0
        operator.inputs, operator.outputs = self.inputs, self.outputs
        operator.intermediates = self.intermediates
        if self.options is not None:
            operator.builtinOptions = self.options
            kind = type(self.options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, [operator]
        graph.inputs, graph.outputs = self.model_inputs, self.outputs
        return graph


@dataclass
class _Buffer:
    """Written as schema.fbs asks: aligned, where the generated code does not."""

    data: bytes

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the generated code calls it so)
        vector = None
        if self.data:
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))
