"""Whether every number in a model lies where its type wants it: a flatbuffer is read in place, on the target too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from hil.model.graph import TENSOR_TYPE_NAMES, TYPE_BYTES

# Fields that TFLM reads, as offsets into the field list of their table (schema.fbs): 4 is the first, 6 the second.
_VERSION, _CODES, _GRAPHS, _BUFFERS = 4, 6, 8, 12
_INPUTS, _OUTPUTS, _TENSORS, _OPERATORS = 6, 8, 4, 10
_SHAPE, _SIGNATURE = 4, 18
_SCALES, _ZERO_POINTS = 8, 10
_OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _INTERMEDIATES = 6, 8, 20
_DATA = 4


@dataclass(frozen=True)
class Misplaced:
    """offset: in bytes from the start of the file; wanted: what it must be a multiple of."""

    what: str
    offset: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.what} at byte {self.offset:,}, which is no multiple of {self.wanted}"


def misplaced(data: bytes) -> tuple[Misplaced, ...]:
    """All tables and vectors that lie at a wrong offset. data: of a model that hil.model.graph could read."""
    return tuple(_walk(schema.Model.GetRootAs(data, 0)))


def _walk(model: Any) -> Iterator[Misplaced]:
    yield from _table(model, "the model")
    for slot, what in ((_CODES, "operator codes"), (_GRAPHS, "subgraphs"), (_BUFFERS, "buffers")):
        yield from _vector(model, slot, 4, f"the list of {what}")
    for index in range(model.OperatorCodesLength()):
        yield from _table(model.OperatorCodes(index), f"operator code {index}")
    owners: dict[int, tuple[int, str]] = {}  # of each buffer: size of its elements, and whose they are
    for index in range(model.SubgraphsLength()):
        yield from _graph(model.Subgraphs(index), owners)
    for index in range(model.BuffersLength()):
        size, owner = owners.get(index, (1, f"buffer {index}"))
        yield from _table(model.Buffers(index), f"buffer {index}")
        yield from _vector(model.Buffers(index), _DATA, size, f"the data of {owner}")


def _graph(graph: Any, owners: dict[int, tuple[int, str]]) -> Iterator[Misplaced]:
    yield from _table(graph, "a subgraph")
    for slot, what in ((_INPUTS, "inputs"), (_OUTPUTS, "outputs"), (_TENSORS, "tensors"), (_OPERATORS, "operators")):
        yield from _vector(graph, slot, 4, f"the list of {what}")
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        name = f"tensor {(tensor.Name() or b'').decode('utf-8', 'replace')!r}"
        yield from _tensor(tensor, name)
        size = TYPE_BYTES.get(TENSOR_TYPE_NAMES.get(tensor.Type(), ""), 1)
        owners[tensor.Buffer()] = max(owners.get(tensor.Buffer(), (0, "")), (size, name))
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        yield from _table(operator, f"operator {index}")
        if options := operator.BuiltinOptions():
            yield from _place(f"the options of operator {index}", options.Pos, 4)
        for slot in (_OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _INTERMEDIATES):
            yield from _vector(operator, slot, 4, f"a list of operator {index}")


def _tensor(tensor: Any, name: str) -> Iterator[Misplaced]:
    yield from _table(tensor, name)
    for slot, what in ((_SHAPE, "shape"), (_SIGNATURE, "signature")):
        yield from _vector(tensor, slot, 4, f"the {what} of {name}")
    if quantisation := tensor.Quantization():
        yield from _table(quantisation, f"the quantisation of {name}")
        yield from _vector(quantisation, _SCALES, 4, f"the scales of {name}")
        yield from _vector(quantisation, _ZERO_POINTS, 8, f"the zero points of {name}")


def _table(table: Any, what: str) -> Iterator[Misplaced]:
    yield from _place(what, table._tab.Pos, 4)


def _vector(table: Any, slot: int, size: int, what: str) -> Iterator[Misplaced]:
    """Its length stands in the four bytes before its elements."""
    offset = table._tab.Offset(slot)
    if offset and table._tab.VectorLen(offset):
        yield from _place(what, table._tab.Vector(offset), max(size, 4))


def _place(what: str, offset: int, wanted: int) -> Iterator[Misplaced]:
    if offset % wanted:
        yield Misplaced(what, offset, wanted)
