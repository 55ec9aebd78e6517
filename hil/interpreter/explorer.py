"""Looks into the tensors between a model's operators, with the tflite-micro wheel: which values they take, and whether
a kernel that clamps one of them short would show at the output.

For the latter the model is cut behind an operator: the rest of it, a model too, is run on the clamped tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.interpreter.carried import CarriedInputs
from hil.tensor import ROUNDED_TYPES, Elements, ElementType

ARENA_BYTES = 32 << 20  # no tensor shares its memory with another one here
MOST_TENSORS = 32
CLASSES = 256  # that the values of a tensor are told apart by: all of 8 bits, of others the highest 8 bits
_LOOKED_AT = {element.number: element for element in ROUNDED_TYPES}  # of the schema's numbers
# Operators that compute nothing: their tensors hold what another one holds.
_MOVES = frozenset(
    {"RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE"}
    | {"GATHER", "CONCATENATION", "PAD", "PADV2", "READ_VARIABLE"}
)


@dataclass(frozen=True)
class Look:
    """The output of an operator: the operator's index and name, the tensor's index, what it can hold at most, and its
    type.
    """

    operator: int
    name: str
    tensor: int
    low: int
    high: int
    element: ElementType

    def classes(self, values: Elements) -> NDArray[np.bool_]:
        """Which of the CLASSES there are among these values, the lowest first."""
        width = (self.element.high - self.element.low + 1) // CLASSES
        found = (values.ravel().astype(np.int32) - self.element.low) // width
        there: NDArray[np.bool_] = np.bincount(found, minlength=CLASSES) > 0
        return there


@dataclass
class _Rest:
    """What comes behind an operator: its interpreter, None behind the last one; the tensors that it begins with; the
    outputs of the model that it gives, by their places. Others are there by then.
    """

    interpreter: Any
    tensors: list[int]
    outputs: list[int]


@dataclass
class Explorer:
    """One model, open with all its tensors kept."""

    model: Any  # as objects of the schema
    interpreter: Any
    shapes: list[tuple[int, ...]]  # of the inputs
    carried: dict[int, Elements]  # what inputs that carry state begin a stream with, by their index
    outputs: list[int]  # tensors
    looks: list[Look]
    rests: dict[int, _Rest] = field(default_factory=dict)

    def invoke(self, tensors: Sequence[Elements]) -> list[Elements]:
        """The outputs, in the order of the model, for a tensor of each input that carries no state."""
        given = dict(zip(self._fed, tensors, strict=True)) | self.carried
        shaped = [given[index].reshape(shape) for index, shape in enumerate(self.shapes)]
        return _invoke(self.interpreter, shaped, len(self.outputs))

    @property
    def _fed(self) -> list[int]:
        return [index for index in range(len(self.shapes)) if index not in self.carried]

    def tensor(self, index: int) -> Elements:
        """What the last invoke left in a tensor."""
        found: Elements = self.interpreter.GetTensor(index, 0)["tensor_data"]
        return found

    def clamped(self, place: int, low: int, high: int) -> list[Elements]:
        """The outputs of the last invoke, had the operator looked at here clamped its own to [low, high]."""
        look = self.looks[place]
        rest = self._rest(look.operator)
        changed = np.clip(self.tensor(look.tensor), low, high).astype(look.element.dtype)

        def there(index: int) -> Elements:
            return changed if index == look.tensor else self.tensor(index)

        outputs = {place: there(self.outputs[place]).ravel() for place in self._places if place not in rest.outputs}
        if rest.interpreter is not None:
            given = _invoke(rest.interpreter, [there(each) for each in rest.tensors], len(rest.outputs))
            outputs |= dict(zip(rest.outputs, given, strict=True))
        return [outputs[place] for place in self._places]

    @property
    def _places(self) -> range:
        return range(len(self.outputs))

    def _rest(self, operator: int) -> _Rest:
        if operator not in self.rests:
            self.rests[operator] = _rest_behind(self.model, operator)
        return self.rests[operator]


def open_explorer(model: bytes, carried: Sequence[Sequence[Any]] = (), arena_bytes: int = ARENA_BYTES) -> Explorer:
    """carried: as in `CarriedInputs`. Raises what the wheel raises on a model that it refuses."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = read.subgraphs[0]
    looks = []
    for index, operator in enumerate(graph.operators):
        code = read.operatorCodes[operator.opcodeIndex]
        name = names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        if not len(operator.outputs):  # CALL_ONCE, ASSIGN_VARIABLE
            continue
        output = int(operator.outputs[0])
        element = _LOOKED_AT.get(graph.tensors[output].type)
        if name not in _MOVES and element is not None:
            low, high = _range(operator, graph.tensors[output], element, schema)
            looks.append(Look(index, name, output, low, high, element))
    count = min(len(looks), MOST_TENSORS)  # spread over the model where there are more
    interpreter = _interpreter(model, arena_bytes, keep=True)
    inputs = [interpreter.get_input_details(place) for place in range(len(graph.inputs))]
    shapes = [tuple(int(size) for size in each["shape"]) for each in inputs]
    chosen = [looks[place * len(looks) // count] for place in range(count)]
    state = CarriedInputs(carried, inputs)
    return Explorer(read, interpreter, shapes, state.values, [int(tensor) for tensor in graph.outputs], chosen)


def _range(operator: Any, tensor: Any, element: ElementType, schema: Any) -> tuple[int, int]:
    """What the operator's fused activation lets through."""
    activation = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    kinds, quantisation = schema.ActivationFunctionType, tensor.quantization
    bounds = {kinds.RELU: (0.0, np.inf), kinds.RELU6: (0.0, 6.0), kinds.RELU_N1_TO_1: (-1.0, 1.0)}.get(activation)
    if bounds is None or quantisation is None or quantisation.scale is None:
        return element.low, element.high
    real = np.array(bounds) / float(quantisation.scale[0]) + int(quantisation.zeroPoint[0])
    low, high = np.clip(real, element.low, element.high).round().astype(int).tolist()
    return low, high


def _rest_behind(model: Any, operator: int) -> _Rest:
    """The model behind an operator. It begins with every tensor that is there by then and still wanted. Resource
    variables are no tensors: what makes and fills them comes first.
    """
    graph = model.subgraphs[0]
    operators, inputs, outputs = graph.operators, graph.inputs, graph.outputs
    behind = operators[operator + 1 :]
    there = {int(tensor) for each in operators[: operator + 1] for tensor in each.outputs} | {int(i) for i in inputs}
    given = [place for place, tensor in enumerate(outputs) if int(tensor) not in there]
    if not behind or not given:
        return _Rest(None, [], [])
    variables = [each for each in operators[: operator + 1] if not len(each.inputs) or not len(each.outputs)]
    kept = [*variables, *behind]
    wanted = [int(tensor) for each in kept for tensor in each.inputs]
    there -= {int(tensor) for each in variables for tensor in each.outputs}
    begins = [tensor for tensor in dict.fromkeys(wanted) if tensor in there]
    graph.operators, graph.inputs, graph.outputs = kept, begins, [int(outputs[place]) for place in given]
    try:
        return _Rest(_interpreter(_written(model), ARENA_BYTES, keep=False), begins, given)
    finally:
        graph.operators, graph.inputs, graph.outputs = operators, inputs, outputs


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


def _invoke(interpreter: Any, inputs: list[Elements], outputs: int) -> list[Elements]:
    interpreter.reset()
    for number, tensor in enumerate(inputs):
        interpreter.set_input(np.ascontiguousarray(tensor), number)
    interpreter.invoke()
    return [interpreter.get_output(place).reshape(-1).copy() for place in range(outputs)]
