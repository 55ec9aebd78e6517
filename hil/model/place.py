"""Knows what lies at a byte of a .tflite file: whose values they are, and which operators read them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from hil.model.graph import OPERATOR_NAMES

_BUFFER_DATA = 4  # slot of Buffer.data in its table
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)


def place_in(data: bytes, offset: int) -> str:
    """As in `values of tensor 'conv/weights', input 1 of operator 3 CONV_2D`; data: a whole file, checked before.

    What lies in no tensor's values is the structure of the file: names, shapes, scales, options.
    """
    try:
        return next(_owners(data, offset), "the structure of the file: names, shapes, scales or options")
    except _DAMAGED:
        return "a place that cannot be told"


def _owners(data: bytes, offset: int) -> Iterator[str]:
    model = schema.Model.GetRootAs(data, 0)
    for number in range(model.BuffersLength()):
        table = model.Buffers(number)._tab
        field = table.Offset(_BUFFER_DATA)
        if not field:
            continue
        start = table.Vector(field)
        if start <= offset < start + table.VectorLen(field):
            yield f"byte {offset - start:,} of {_users(model, number) or f'buffer {number}, which no tensor has'}"


def _users(model: schema.Model, buffer: int) -> str:
    """The first tensor with this buffer, and what reads it."""
    for place in range(model.SubgraphsLength()):
        graph = model.Subgraphs(place)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            if tensor.Buffer() == buffer and buffer:
                return f"the values of tensor {_text(tensor.Name(), index)}{_reader(model, graph, index)}"
    return ""


def _text(name: bytes | None, index: int) -> str:
    return repr(name.decode("utf-8", "replace")) if name else f"#{index}"


def _reader(model: schema.Model, graph: schema.SubGraph, tensor: int) -> str:
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        inputs = [operator.Inputs(each) for each in range(operator.InputsLength())]
        if tensor in inputs:
            code = model.OperatorCodes(operator.OpcodeIndex())
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            name = OPERATOR_NAMES.get(builtin, f"code {builtin}")
            return f", input {inputs.index(tensor)} of operator {place} {name}"
    return ""
