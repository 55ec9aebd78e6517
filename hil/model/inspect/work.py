"""Knows what an operator computes: multiplications and additions of one inference, and the parameters it reads."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hil.model.degenerate import WEIGHTED
from hil.model.graph import Graph, Operator, Tensor

_NUMBERS = frozenset({"INT8", "UINT8", "INT16", "INT32", "FLOAT32", "FLOAT16", "INT4"})


def macs(graph: Graph, operator: Operator) -> int:
    """Multiply-accumulates of one inference, by the shapes in the file; 0 for operators that have none."""
    inputs = [graph.tensor(index) for index in operator.inputs]
    output = graph.tensor(operator.outputs[0]) if operator.outputs else None
    data, weights = (*inputs, None, None)[:2]
    if data is None or weights is None or output is None:
        return 0
    shape = weights.shape
    match operator.name:
        case "CONV_2D" | "CONV_3D" if len(shape) > 1:  # output channels first
            return output.elements * math.prod(shape[1:])
        case "DEPTHWISE_CONV_2D" if len(shape) == 4:  # [1, height, width, channels]
            return output.elements * shape[1] * shape[2]
        case "FULLY_CONNECTED" if shape:
            return output.elements * shape[-1]
        case "TRANSPOSE_CONV" if len(inputs) > 2 and inputs[2] is not None:
            return inputs[2].elements * math.prod(shape[:3])
        case "BATCH_MATMUL" if data.shape:
            return output.elements * data.shape[-1]
        case "SVDF" if len(inputs) > 2 and inputs[2] is not None:  # features and time of each filter
            return weights.elements + inputs[2].elements
        case "UNIDIRECTIONAL_SEQUENCE_LSTM":
            steps = data.elements // max(1, data.shape[-1]) if data.shape else 0
            matrices = inputs[1:9]  # two for each of four gates
            return steps * sum(each.elements for each in matrices if each is not None)
        case _:
            return 0


def parameters(graph: Graph, operator: Operator, seen: set[int]) -> int:
    """Elements of the constants that it computes with, but shapes and axes. seen: tensors that count elsewhere already,
    to which these are added.
    """
    mine = {index for index in operator.inputs if index >= 0 and is_parameter(operator, graph.tensors[index])} - seen
    seen |= mine
    return sum(graph.tensors[index].elements for index in mine)


def is_parameter(operator: Operator, tensor: Tensor) -> bool:
    """Weights, biases and constants of arithmetic. INT32 without a scale is a bias, or says a shape or axes."""
    if not tensor.constant or tensor.dtype not in _NUMBERS:
        return False
    return tensor.dtype != "INT32" or bool(tensor.scales) or operator.name in WEIGHTED


def live_bytes(graph: Graph, sizes: Iterable[int]) -> int:
    """The most that tensors hold at one time while the operators run in their order. sizes: bytes of each tensor.

    No interpreter can do with less, whatever the target; it adds its own bookkeeping.
    """
    born: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    dies: dict[int, int] = dict.fromkeys(graph.inputs, -1)
    for operator in graph.operators:
        for index in operator.outputs:
            born.setdefault(index, operator.index)
        for index in (*operator.inputs, *operator.outputs):
            dies[index] = operator.index
    dies |= dict.fromkeys(graph.outputs, len(graph.operators))
    held = {index: size for index, size in enumerate(sizes) if index in born and not graph.tensors[index].constant}
    always = sum(size for index, size in enumerate(sizes) if graph.tensors[index].variable and index not in born)
    steps = range(max(1, len(graph.operators)))
    return always + max(sum(size for i, size in held.items() if born[i] <= step <= dies[i]) for step in steps)
