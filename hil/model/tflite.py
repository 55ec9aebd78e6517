"""Reads a .tflite file into a ModelFile: bytes, hash, operators and the contracts of its inputs and outputs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hil.case.types import ModelFile
from hil.errors import CaseError
from hil.model.degenerate import tensors_of
from hil.model.graph import TYPE_BYTES, Graph, Tensor, model_bytes, read_graph
from hil.model.state import state_of
from hil.tensor import Quantisation, TensorContract


def read_model(path: Path) -> ModelFile:
    """The model at `path`. Raises CaseError when it cannot be read or is not TFLite."""
    return parse_model(model_bytes(path), path)


def parse_model(data: bytes, path: Path) -> ModelFile:
    """The same for bytes already read; `path` is what messages and the value name."""
    graph = read_graph(data, path)
    for side, found in (("input", graph.inputs), ("output", graph.outputs)):
        if not found:
            raise CaseError(path, side, f"the model has no {side}", f"export a model with an {side}")
    return ModelFile(
        path=path,
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        operators=operator_names(graph),
        inputs=_contracts(graph, graph.inputs, path),
        outputs=_contracts(graph, graph.outputs, path),
        all_float=computes_in_float(graph),
        reach=_reach(graph),
        state=state_of(graph),
    )


def computes_in_float(graph: Graph) -> bool:
    """Whether real values go through the whole model: float32 is among its tensors, and no quantised ones."""
    tensors = [tensor for operator in graph.operators for tensor in tensors_of(graph, operator)]
    quantised = any(tensor.scales and tensor.dtype in ("INT8", "UINT8", "INT16") for tensor in tensors)
    return not quantised and any(tensor.dtype == "FLOAT32" for tensor in tensors)


_MOVES = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE", "PACK", "TRANSPOSE"})  # that change no value


def _reach(graph: Graph) -> float:
    """Largest magnitude of a value of the input that QUANTIZE converts in every build: its kernels turn value / scale
    into an int32 before they clamp, and what no int32 holds becomes the largest one here and the least there.
    """
    same, reach = set(graph.inputs), math.inf
    for operator in graph.operators:
        if not same & set(operator.inputs):
            continue
        output = graph.tensor(operator.outputs[0])
        if operator.name in _MOVES:
            same |= set(operator.outputs)
        elif operator.name == "QUANTIZE" and output is not None and output.scales:
            reach = min(reach, output.scales[0] * INT32_ROOM)
    return reach


INT32_ROOM = 2.0**30  # leaves room for any zero point


def operator_names(graph: Graph) -> tuple[str, ...]:
    """Distinct operators in order of first use; a custom one as `CUSTOM:code`."""
    names = (f"{each.name}:{each.custom}" if each.custom else each.name for each in graph.operators)
    return tuple(dict.fromkeys(names))


def _contracts(graph: Graph, indices: Sequence[int], path: Path) -> tuple[TensorContract, ...]:
    """Of one side of the model. What has no name, or that of another one, is called by its place: `#1`."""
    found = [_contract(graph.tensors[index], path) for index in indices]
    names = [each.name for each in found]
    return tuple(
        replace(each, name=each.name if each.name and names.count(each.name) == 1 else f"#{place}")
        for place, each in enumerate(found)
    )


def _contract(tensor: Tensor, path: Path) -> TensorContract:
    """Unquantised tensors (float32) get scale 0 and zero point 0, as the schema's defaults are."""
    if tensor.dtype not in TYPE_BYTES:
        fix = "convert with int8 inputs and outputs (inference_input_type=tf.int8)"
        raise CaseError(path, f"tensor {tensor.name!r}", f"has type {tensor.dtype}", fix)
    return TensorContract(
        dtype=tensor.dtype,
        shape=tensor.shape,
        quantisation=Quantisation(
            scale=tensor.scales[0] if tensor.scales else 0.0,
            zero_point=tensor.zero_points[0] if tensor.zero_points else 0,
        ),
        bytes=tensor.elements * TYPE_BYTES[tensor.dtype],
        name=tensor.name,
    )
