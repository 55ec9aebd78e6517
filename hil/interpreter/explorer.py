"""Looks into the tensors between a model's operators, with the tflite-micro wheel: which values they take, and whether
a kernel that clamps one of them short would show at the output.

For the latter the model is cut behind an operator: the rest of it, a model too, is run on the clamped tensor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.tensor import INT8, Elements

ARENA_BYTES = 32 << 20  # no tensor shares its memory with another one here
MOST_TENSORS = 32
# Operators that compute nothing: their tensors hold what another one holds.
_MOVES = frozenset(
    {"RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE"}
    | {"GATHER", "CONCATENATION", "PAD", "PADV2"}
)


@dataclass(frozen=True)
class Look:
    """The output of an operator: the operator's index and name, the tensor's index, and what it can hold at most."""

    operator: int
    name: str
    tensor: int
    low: int
    high: int


@dataclass
class _Rest:
    """What comes behind an operator: its interpreter, None behind the last one, and the tensors that it begins with."""

    interpreter: Any
    tensors: list[int]


@dataclass
class Explorer:
    """One model, open with all its tensors kept."""

    model: Any  # as objects of the schema
    interpreter: Any
    shape: tuple[int, ...]
    looks: list[Look]
    rests: dict[int, _Rest] = field(default_factory=dict)

    def invoke(self, tensor: Elements) -> Elements:
        return _invoke(self.interpreter, [tensor.reshape(self.shape)])

    def tensor(self, index: int) -> NDArray[np.int8]:
        """What the last invoke left in a tensor."""
        found: NDArray[np.int8] = self.interpreter.GetTensor(index, 0)["tensor_data"]
        return found

    def clamped(self, place: int, low: int, high: int) -> Elements:
        """The output of the last invoke, had the operator looked at in this place clamped its output to [low, high]."""
        look = self.looks[place]
        rest = self._rest(look.operator)
        changed = np.clip(self.tensor(look.tensor), low, high).astype(np.int8)
        if rest.interpreter is None:
            return changed.ravel()
        inputs = [changed if each == look.tensor else self.tensor(each) for each in rest.tensors]
        return _invoke(rest.interpreter, inputs)

    def _rest(self, operator: int) -> _Rest:
        if operator not in self.rests:
            self.rests[operator] = _rest_behind(self.model, operator)
        return self.rests[operator]


def open_explorer(model: bytes, arena_bytes: int = ARENA_BYTES) -> Explorer:
    """Raises what the wheel raises on a model that it refuses."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = read.subgraphs[0]
    looks = []
    for index, operator in enumerate(graph.operators):
        code = read.operatorCodes[operator.opcodeIndex]
        name = names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        output = int(operator.outputs[0])
        if name not in _MOVES and graph.tensors[output].type == schema.TensorType.INT8:
            looks.append(Look(index, name, output, *_range(operator, graph.tensors[output], schema)))
    count = min(len(looks), MOST_TENSORS)  # spread over the model where there are more
    interpreter = _interpreter(model, arena_bytes, keep=True)
    shape = tuple(int(size) for size in interpreter.get_input_details(0)["shape"])
    return Explorer(read, interpreter, shape, [looks[place * len(looks) // count] for place in range(count)])


def _range(operator: Any, tensor: Any, schema: Any) -> tuple[int, int]:
    """What the operator's fused activation lets through."""
    activation = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    kinds, quantisation = schema.ActivationFunctionType, tensor.quantization
    bounds = {kinds.RELU: (0.0, np.inf), kinds.RELU6: (0.0, 6.0), kinds.RELU_N1_TO_1: (-1.0, 1.0)}.get(activation)
    if bounds is None or quantisation is None or quantisation.scale is None:
        return INT8.low, INT8.high
    real = np.array(bounds) / float(quantisation.scale[0]) + int(quantisation.zeroPoint[0])
    low, high = np.clip(real, INT8.low, INT8.high).round().astype(int).tolist()
    return low, high


def _rest_behind(model: Any, operator: int) -> _Rest:
    """The model behind an operator. It begins with every tensor that is there by then and still wanted."""
    graph = model.subgraphs[0]
    operators, inputs = graph.operators, graph.inputs
    behind = operators[operator + 1 :]
    if not behind:
        return _Rest(None, [])
    there = {int(tensor) for each in operators[: operator + 1] for tensor in each.outputs} | {int(i) for i in inputs}
    wanted = [int(tensor) for each in behind for tensor in each.inputs] + [int(tensor) for tensor in graph.outputs]
    begins = [tensor for tensor in dict.fromkeys(wanted) if tensor in there]
    graph.operators, graph.inputs = behind, begins
    try:
        return _Rest(_interpreter(_written(model), ARENA_BYTES, keep=False), begins)
    finally:
        graph.operators, graph.inputs = operators, inputs


def _written(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _interpreter(model: bytes, arena_bytes: int, *, keep: bool) -> Any:
    from tflite_micro import runtime

    kinds = runtime.InterpreterConfig
    kind = kinds.kPreserveAllTensors if keep else kinds.kAllocationRecording
    return runtime.Interpreter.from_bytes(model, arena_size=arena_bytes, intrepreter_config=kind)


def _invoke(interpreter: Any, inputs: list[Elements]) -> Elements:
    interpreter.reset()
    for number, tensor in enumerate(inputs):
        interpreter.set_input(np.ascontiguousarray(tensor), number)
    interpreter.invoke()
    output: Elements = interpreter.get_output(0).reshape(-1).copy()
    return output
