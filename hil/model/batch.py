"""Knows where a converter took an open batch for 1 although the batch grows inside the model, and the right shapes.

TensorFlow's converter writes -1 as 1. Between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND (a dilated layer), or behind a
RESHAPE to [-1, ...] (TimeDistributed), the batch is larger. TFLite computes shapes anew and runs such a model right;
TFLM takes them as they stand in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from hil.errors import CaseError
from hil.interpreter.process import InterpreterEnded, InterpreterProcess, InterpreterRefused
from hil.model.graph import Graph, Operator, read_graph

Shape = tuple[int, ...]
BATCH_FIX = "clone the model onto tf.keras.Input(batch_shape=(1, ...)) before converting"
_BLOCKS = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")


def lost_blocks(graph: Graph) -> Iterator[Operator]:
    """The operators whose larger tensor has fewer elements than its smaller one, as if there were no blocks."""
    for operator in graph.operators:
        if operator.name in _BLOCKS and len(operator.inputs) == 3 and operator.outputs:
            data, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
            if data is None or output is None:
                continue
            larger, smaller = (output, data) if operator.name == _BLOCKS[0] else (data, output)
            if larger.elements < smaller.elements:
                yield operator


def grows(graph: Graph) -> bool:
    """Whether the batch is open, and shapes are there that no batch of 1 can have."""
    return _open(graph) and (any(lost_blocks(graph)) or any(_resized(graph)))


def _open(graph: Graph) -> bool:
    return any(-1 in graph.tensors[index].signature[:1] for index in graph.inputs)


def _resized(graph: Graph) -> Iterator[Operator]:
    """RESHAPE with another number of elements behind it than before it."""
    for operator in graph.operators:
        if operator.name == "RESHAPE" and operator.inputs and operator.outputs:
            source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
            if source is not None and output is not None and source.elements != output.elements:
                yield operator


def right_shapes(data: bytes, file: Path) -> Mapping[int, Shape]:
    """Of the tensors whose shape is another one when the model runs at a batch of 1. Raises CaseError when LiteRT
    cannot run it, or when an end of the model would change.
    """
    graph = read_graph(data, file)
    process = InterpreterProcess()  # what the model does to it becomes a refusal
    try:
        shapes = [tuple(shape) for shape in process.ask("shapes_litert", {"model": data})["shapes"]]
    except (InterpreterRefused, InterpreterEnded) as refused:
        words = (refused.words or str(refused)).splitlines()[0]
        raise CaseError(file, "shapes", f"they cannot be computed: LiteRT says: {words}", BATCH_FIX) from None
    finally:
        process.close()
    changed = {index: shape for index, shape in enumerate(shapes) if shape != graph.tensors[index].shape}
    for index in (*graph.inputs, *graph.outputs):
        if index in changed:
            found = f"tensor {graph.tensors[index].name!r} is {list(changed[index])} at a batch of 1"
            raise CaseError(file, "shapes", f"{found}, and it is an end of the model", BATCH_FIX)
    return changed
