"""What a .tflite flatbuffer holds, read with bounds checked: tensors, operators, inputs and outputs, no weights."""

from __future__ import annotations

import math
import shlex
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from hil.errors import CaseError
from hil.model.c_array import is_c_source
from hil.problems import reason_of


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TENSOR_TYPE_NAMES = _names(schema.TensorType)
TENSOR_TYPES = {name: value for value, name in TENSOR_TYPE_NAMES.items()}
TYPE_BYTES = {
    "FLOAT32": 4,
    "FLOAT16": 2,
    "INT32": 4,
    "UINT8": 1,
    "UINT32": 4,
    "INT64": 8,
    "UINT64": 8,
    "BOOL": 1,
    "INT16": 2,
    "INT8": 1,
    "FLOAT64": 8,
}
# Of which operators options are read: their table, and the fields.
OPTIONS_READ: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "STRIDED_SLICE": (schema.StridedSliceOptions, ("EndMask", "ShrinkAxisMask")),
}
IDENTIFIER = b"TFL3"  # of the file, which some tools leave out
SCHEMA_VERSION = 3
MOST_VALUES = 32  # of a constant that is read
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, MemoryError)


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph. `signature` is the shape with -1 for dynamic dimensions, empty when the file has none."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    scales: tuple[float, ...]  # float32 values; empty: not quantised
    zero_points: tuple[int, ...]
    data_bytes: int  # of its values in the file; 0: it has none
    zeros: bool  # it has values, and every one is zero
    variable: bool  # keeps its values from one inference to the next
    sparse: bool  # its zeros are left out of the file
    values: tuple[int, ...] = ()  # of a small INT32 constant: shapes, axes

    @property
    def constant(self) -> bool:
        return self.data_bytes > 0

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Operator:
    """One node: builtin name (`CUSTOM` with `custom`, its code), tensor indices; -1 is an optional input left out.
    options: the numbers among those of its kind that decide which kernels can run it (`OPTIONS_READ`).
    """

    index: int
    name: str
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """The first subgraph of a model, and how many there are."""

    schema_version: int
    subgraphs: int
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def tensor(self, index: int) -> Tensor | None:
        """The tensor, None for an optional input that is left out."""
        return self.tensors[index] if index >= 0 else None


def model_bytes(file: Path) -> bytes:
    """The bytes of a file that should be a model. Raises CaseError when it cannot be read."""
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        fix = "name a .tflite file that is there"
        raise CaseError(file, "", f"cannot be read ({reason_of(error)})", fix) from None


def read_graph(data: bytes, file: Path) -> Graph:
    """Reads the bytes of a .tflite file. Raises CaseError when they are no TFLite flatbuffer, damaged or cut short."""
    if data[:43] == b"version https://git-lfs.github.com/spec/v1\n":
        raise CaseError(file, "", "this is a Git LFS pointer, not the model", "fetch the file with: git lfs pull")
    if is_c_source(data):
        problem = "this is C source, with the model in an array"
        raise CaseError(file, "", problem, f"take it out with: hil model unpack {shlex.quote(str(file))}")
    named = data[4:8] == IDENTIFIER
    try:
        graph = _read(data)
        if named or (graph.schema_version == SCHEMA_VERSION and graph.operators):
            return graph  # interpreters do not look at the identifier
        raise ValueError("it has no operators")
    except _DAMAGED as error:
        if not named:
            problem = "this is no TFLite model (bytes 4 to 7 are not TFL3)"
            raise CaseError(file, "", problem, "name the .tflite file that the converter wrote") from None
        raise _damage(file, error) from None


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """What stumbles in here over a damaged flatbuffer is a CaseError of that file."""
    try:
        yield
    except _DAMAGED as error:
        raise _damage(file, error) from None


def _damage(file: Path, error: Exception) -> CaseError:
    problem = (
        f"this is no TFLite model: it begins like one but is damaged or cut short ({type(error).__name__}: {error})"
    )
    return CaseError(file, "", problem, "convert or copy the model again")


def _read(data: bytes) -> Graph:
    model = schema.Model.GetRootAs(data, 0)
    buffers = [_buffer(model.Buffers(i)) for i in _range(model.BuffersLength(), data)]
    codes = [_operator_code(model.OperatorCodes(i)) for i in _range(model.OperatorCodesLength(), data)]
    subgraphs = model.SubgraphsLength()
    if subgraphs < 1:
        raise ValueError("it has no subgraph")
    graph = model.Subgraphs(0)
    tensors = tuple(_tensor(graph.Tensors(i), buffers) for i in _range(graph.TensorsLength(), data))
    operators = tuple(_operator(i, graph.Operators(i), codes) for i in _range(graph.OperatorsLength(), data))
    inputs, outputs = _ints(graph.InputsAsNumpy), _ints(graph.OutputsAsNumpy)
    used = [*inputs, *outputs, *(t for op in operators for t in (*op.inputs, *op.outputs))]
    if any(not -1 <= index < len(tensors) for index in used) or min((*inputs, *outputs), default=0) < 0:
        raise ValueError("an operator names a tensor that is not there")
    return Graph(model.Version(), subgraphs, tensors, operators, inputs, outputs)


def _range(length: int, data: bytes) -> range:
    """Indices of a vector of offsets; a length that the file cannot hold is damage."""
    if length * 4 > len(data):
        raise ValueError(f"a list claims {length} entries")
    return range(length)


def _buffer(buffer: Any) -> NDArray[np.uint8]:
    """The bytes that a buffer holds; numpy refuses (ValueError) one that reaches past the end of the file."""
    if buffer.Offset() > 1:  # data behind the flatbuffer, as in models above 2 GB
        raise ValueError("weights lie outside the flatbuffer")
    values = buffer.DataAsNumpy()
    return values if isinstance(values, np.ndarray) else np.empty(0, np.uint8)


def _operator_code(code: Any) -> tuple[str, str]:
    """Name and custom code; codes above 127 live in a newer field than the old int8 one."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    return OPERATOR_NAMES.get(number, f"BUILTIN_{number}"), _text(code.CustomCode())


def _operator(index: int, operator: Any, codes: list[tuple[str, str]]) -> Operator:
    name, custom = codes[operator.OpcodeIndex()]
    inputs, outputs = _ints(operator.InputsAsNumpy), _ints(operator.OutputsAsNumpy)
    return Operator(index, name, custom, inputs, outputs, _options(name, operator.BuiltinOptions()))


def _options(name: str, table: Any) -> tuple[int, ...]:
    if name not in OPTIONS_READ or table is None:
        return ()
    kind, fields = OPTIONS_READ[name]
    options = kind()
    options.Init(table.Bytes, table.Pos)
    return tuple(int(getattr(options, field)()) for field in fields)


def _tensor(raw: Any, buffers: list[NDArray[np.uint8]]) -> Tensor:
    quantisation, values = raw.Quantization(), buffers[raw.Buffer()]
    return Tensor(
        name=_text(raw.Name()),
        dtype=TENSOR_TYPE_NAMES.get(raw.Type(), f"TYPE_{raw.Type()}"),
        shape=_ints(raw.ShapeAsNumpy),
        signature=_ints(raw.ShapeSignatureAsNumpy),
        scales=tuple(float(v) for v in _vector(quantisation.ScaleAsNumpy)) if quantisation else (),
        zero_points=_ints(quantisation.ZeroPointAsNumpy) if quantisation else (),
        data_bytes=len(values),
        zeros=len(values) > 0 and not values.any(),
        variable=bool(raw.IsVariable()),
        sparse=raw.Sparsity() is not None,
        values=_whole_numbers(raw.Type(), values),
    )


def _whole_numbers(kind: int, values: NDArray[np.uint8]) -> tuple[int, ...]:
    """What a constant that says a shape or axes holds; empty for everything else."""
    if kind != TENSOR_TYPES["INT32"] or len(values) > MOST_VALUES * 4 or len(values) % 4:
        return ()
    return tuple(np.frombuffer(values.tobytes(), "<i4").tolist())


def _vector(read: Callable[[], Any]) -> list[Any]:
    values = read()
    return values.tolist() if isinstance(values, np.ndarray) else []


def _ints(read: Callable[[], Any]) -> tuple[int, ...]:
    return tuple(_vector(read))


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
