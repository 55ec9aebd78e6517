"""Estimates what one inference of a case costs, to deal work out; nothing is judged by it."""

from __future__ import annotations

from hil.case.types import Case
from hil.model.graph import Graph, Operator, read_graph

_WINDOW_COST = 2_000  # request, reply, gate and decide of one window, in multiplications


def inference_cost(case: Case) -> int:
    """About how many multiplications one window takes: those of the model's layers, and a share for the way to it."""
    graph = read_graph(case.model.data, case.model.path)
    layers = sum(_multiplications(graph, operator) for operator in graph.operators)
    return _WINDOW_COST + case.window.bytes + layers


def _multiplications(graph: Graph, operator: Operator) -> int:
    """Outputs times weights of one output; without weights one for each output."""
    outputs = sum(tensor.elements for index in operator.outputs if (tensor := graph.tensor(index)))
    constants = [tensor for index in operator.inputs if (tensor := graph.tensor(index)) and tensor.constant]
    weights = max(constants, key=lambda tensor: tensor.elements, default=None)
    if weights is None or not weights.shape:
        return outputs
    # Output channels are the first dimension of a filter, the last of a depthwise one (TFLite's schema).
    channels = weights.shape[-1 if operator.name == "DEPTHWISE_CONV_2D" else 0]
    return outputs * max(1, weights.elements // max(1, channels))
