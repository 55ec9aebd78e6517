"""Knows which settings of a converter or a network leave which traces in a model, and so what a person chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hil.model.degenerate import place
from hil.model.graph import Graph, Operator, Tensor

_STATE = frozenset({"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
_OF_A_SHAPE = frozenset({"SHAPE", "EXPAND_DIMS", "STRIDED_SLICE", "PACK"})


@dataclass(frozen=True)
class Setting:
    """setting: what was chosen, or left as it is by default; where: the places in the model that it shows at."""

    setting: str
    where: tuple[str, ...]


def settings_of(graph: Graph) -> list[Setting]:
    """All that can be told from the model, those that concern the whole of it first."""
    found = [Setting(text, tuple(dict.fromkeys(rule(graph)))) for text, rule in _RULES.items()]
    return [setting for setting in found if setting.where]


def _edges(kind: str) -> Callable[[Graph], Iterator[str]]:
    def rule(graph: Graph) -> Iterator[str]:
        if not _quantised(graph):
            return
        for side, indices in (("input", graph.inputs), ("output", graph.outputs)):
            for index in indices:
                if graph.tensors[index].dtype == kind:
                    yield f"{side} tensor {graph.tensors[index].name!r}"
                    yield from (place(each) for each in graph.operators if _converts(graph, each, index))

    return rule


def _converts(graph: Graph, operator: Operator, edge: int) -> bool:
    """Whether it does nothing but turn the type of an edge."""
    return operator.name in ("QUANTIZE", "DEQUANTIZE") and edge in (*operator.inputs, *operator.outputs)


def _quantised(graph: Graph) -> bool:
    """Whether activations are whole numbers."""
    activations = (graph.tensors[index] for operator in graph.operators for index in operator.outputs if index >= 0)
    return any(tensor.dtype in ("INT8", "UINT8", "INT16") and tensor.scales for tensor in activations)


def _inputs(graph: Graph, operator: Operator) -> list[Tensor]:
    return [tensor for index in operator.inputs if (tensor := graph.tensor(index))]


def _not_quantised(graph: Graph) -> Iterator[str]:
    """A float model from end to end."""
    if _quantised(graph) or any(_hybrid(graph)):
        return
    for side, indices in (("input", graph.inputs), ("output", graph.outputs)):
        yield from (f"{side} tensor {graph.tensors[i].name!r}" for i in indices if graph.tensors[i].dtype == "FLOAT32")


def _hybrid(graph: Graph) -> Iterator[str]:
    for operator in graph.operators:
        output = graph.tensor(operator.outputs[0]) if operator.outputs else None
        constants = [each for each in _inputs(graph, operator) if each.constant and each.scales]
        small = any(each.dtype in ("INT8", "UINT8") for each in constants)
        if small and output is not None and output.dtype == "FLOAT32" and operator.name != "DEQUANTIZE":
            yield place(operator)


def _half(graph: Graph) -> Iterator[str]:
    for operator in graph.operators:
        if any(each.constant and each.dtype == "FLOAT16" for each in _inputs(graph, operator)):
            yield place(operator)


def _wide(graph: Graph) -> Iterator[str]:
    for operator in graph.operators:
        tensors = [graph.tensor(index) for index in (*operator.inputs[:1], *operator.outputs)]
        if any(each is not None and each.dtype == "INT16" and each.scales for each in tensors):
            yield place(operator)


def _dense_per_channel(graph: Graph) -> Iterator[str]:
    for operator in graph.operators:
        if operator.name == "FULLY_CONNECTED" and any(len(each.scales) > 1 for each in _inputs(graph, operator)[1:2]):
            yield place(operator)


def _open_batch(graph: Graph) -> Iterator[str]:
    if not any(-1 in graph.tensors[index].signature[:1] for index in graph.inputs):
        return
    yield from (
        place(each)
        for each in graph.operators
        if each.name in _OF_A_SHAPE and (each.name == "EXPAND_DIMS" or _of_shapes(graph, each))
    )


def _of_shapes(graph: Graph, operator: Operator) -> bool:
    output = graph.tensor(operator.outputs[0]) if operator.outputs else None
    return output is not None and output.dtype == "INT32" and not output.scales


def _named(names: frozenset[str]) -> Callable[[Graph], Iterator[str]]:
    return lambda graph: (place(each) for each in graph.operators if each.name in names)


def _custom(start: str) -> Callable[[Graph], Iterator[str]]:
    return lambda graph: (
        place(each)
        for each in graph.operators
        if each.name == "CUSTOM" and each.custom.startswith("Flex") == (start == "Flex")
    )


def _state(graph: Graph) -> Iterator[str]:
    yield from _named(_STATE)(graph)
    if graph.subgraphs > 1:
        yield "subgraphs"


def _sparse(graph: Graph) -> Iterator[str]:
    for operator in graph.operators:
        if any(each.sparse for each in _inputs(graph, operator)):
            yield place(operator)


_RULES: dict[str, Callable[[Graph], Iterator[str]]] = {
    "converter.optimizations is not set: nothing is quantised": _not_quantised,
    "converter.optimizations without a representative_dataset: weights are quantised, activations are not": _hybrid,
    "converter.target_spec.supported_types = [tf.float16]": _half,
    "OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8: activations have 16 bits": _wide,
    "converter.optimizations holds EXPERIMENTAL_SPARSITY": _sparse,
    "inference_input_type, inference_output_type are not set: their default is tf.float32": _edges("FLOAT32"),
    "inference_input_type or inference_output_type = tf.uint8": _edges("UINT8"),
    "_experimental_disable_per_channel_quantization_for_dense_layers is not set: Dense weights are quantised per "
    "channel by default": _dense_per_channel,
    "tf.keras.Input(shape=...) leaves the batch open; batch_shape=(1, ...) closes it": _open_batch,
    "a layer or a streaming export that keeps state from one inference to the next": _state,
    "tf.lite.OpsSet.SELECT_TF_OPS is allowed": _custom("Flex"),
    "converter.allow_custom_ops = True, or another tool wrote the model": _custom(""),
}
