"""Knows a SPACE_TO_BATCH_ND that pads, as a dilated layer with padding="same" has it, and how to do without.

TFLite pads with the zero point. TFLM, the newest too, pads with a value that it never wrote; its PAD is right.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.model.graph import Graph, Operator
from hil.model.rewrite import packed

_AROUND = "SPACE_TO_BATCH_ND"
PAD_FIX = "pad before the layer with a layer of its own, as Keras' padding='causal' does"


def padding(graph: Graph) -> Iterator[Operator]:
    """The operators that pad, or may: their paddings are no zeros that stand in the file."""
    for operator in graph.operators:
        if operator.name == _AROUND and len(operator.inputs) == 3 and operator.outputs:
            paddings = graph.tensor(operator.inputs[2])
            if paddings is not None and not paddings.zeros:
                yield operator


def separable(graph: Graph, operator: Operator) -> bool:
    """Whether a PAD can do the padding of this one: it is written in the file, of axes that the tensor has."""
    source, paddings = graph.tensor(operator.inputs[0]), graph.tensor(operator.inputs[2])
    if source is None or paddings is None:
        return False
    pairs, rest = divmod(len(paddings.values), 2)
    return pairs > 0 and not rest and pairs < len(source.shape) and min(paddings.values) >= 0


def with_pads(data: bytes, graph: Graph) -> tuple[bytes, tuple[Operator, ...]]:
    """The model with a PAD before each of its operators that pad, and these; the same bytes when it has none. graph:
    of `data`.
    """
    found = tuple(operator for operator in padding(graph) if separable(graph, operator))
    if not found:
        return data, ()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    pad = _code_of_pad(model)
    for operator in reversed(found):  # the indices of those before it stay
        _split(model, graph, operator, pad)
    return packed(model), found


def _split(model: schema.ModelT, graph: Graph, operator: Operator, pad: int) -> None:
    source, paddings = graph.tensors[operator.inputs[0]], graph.tensors[operator.inputs[2]]
    axes = len(source.shape)
    inner = np.array(paddings.values, np.int32).reshape(-1, 2)
    whole = np.zeros((axes, 2), np.int32)
    whole[1 : 1 + len(inner)] = inner
    subgraph = model.subgraphs[0]
    of_source = subgraph.tensors[operator.inputs[0]]
    padded = schema.TensorT()
    padded.name, padded.type, padded.quantization = f"{source.name}/padded", of_source.type, of_source.quantization
    padded.hasRank = of_source.hasRank
    padded.shape = [size + int(added) for size, added in zip(source.shape, whole.sum(axis=1), strict=True)]
    if source.signature:
        signature = zip(source.signature, padded.shape, strict=True)
        padded.shapeSignature = [-1 if size < 0 else after for size, after in signature]
    behind, sizes = _added(subgraph, padded), _constant(model, f"{source.name}/paddings", whole)
    node = subgraph.operators[operator.index]
    before = schema.OperatorT()
    before.opcodeIndex, before.inputs, before.outputs = pad, [operator.inputs[0], sizes], [behind]
    before.builtinOptionsType, before.builtinOptions = schema.BuiltinOptions.PadOptions, schema.PadOptionsT()
    none = _constant(model, f"{source.name}/none", np.zeros_like(inner))
    node.inputs = [behind, operator.inputs[1], none]
    subgraph.operators.insert(operator.index, before)


def _code_of_pad(model: schema.ModelT) -> int:
    """Its index among the operator codes, of which a new one is the last."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.PAD
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _constant(model: schema.ModelT, name: str, values: np.ndarray) -> int:
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(values.astype("<i4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.name, tensor.type, tensor.shape = name, schema.TensorType.INT32, list(values.shape)
    tensor.buffer = len(model.buffers) - 1
    return _added(model.subgraphs[0], tensor)


def _added(subgraph: schema.SubGraphT, tensor: schema.TensorT) -> int:
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1
