"""Knows what sizes RESHAPE and EXPAND_DIMS may ask for: what they cannot give is planned as nonsense, or runs over."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hil.model.degenerate import CONVERT_FIX, SHAPE_FIX, place
from hil.model.graph import Graph, Operator, Tensor
from hil.problems import Problem

Shape = tuple[int, ...]


def unplannable(graph: Graph) -> Iterator[Problem]:
    """Faults of the sizes that the model states, told before memory is planned by them."""
    for operator in graph.operators:
        if operator.name not in ("RESHAPE", "EXPAND_DIMS") or not operator.inputs or not operator.outputs:
            continue
        source, output = graph.tensor(operator.inputs[0]), graph.tensor(operator.outputs[0])
        second = graph.tensor(operator.inputs[1]) if len(operator.inputs) > 1 else None
        if source is None or output is None or min((*source.shape, *output.shape), default=1) < 1:
            continue  # sizes that hold nothing are told of each tensor
        wanted = second.values if second is not None else ()
        judge = _reshape if operator.name == "RESHAPE" else _expand
        yield from judge(operator, source, output, wanted)


def _reshape(operator: Operator, source: Tensor, output: Tensor, wanted: Shape) -> Iterator[Problem]:
    if source.elements != output.elements:
        turns = f"it turns {list(source.shape)}, {source.elements} values, into {list(output.shape)}, {output.elements}"
        yield Problem(place(operator), turns, SHAPE_FIX)
        return
    asked = f"it asks for the shape {list(wanted)}"
    if min(wanted, default=0) < -1 or wanted.count(-1) > 1:
        yield Problem(place(operator), f"{asked}: one size at most may be open, as -1, and none below", SHAPE_FIX)
    elif wanted and 0 not in wanted and _resolved(wanted, source.elements) != output.shape:
        yield Problem(place(operator), f"{asked}, and its output has the shape {list(output.shape)}", CONVERT_FIX)


def _resolved(wanted: Shape, elements: int) -> Shape:
    """With the open size filled in; as it is when that cannot be done."""
    known = math.prod(size for size in wanted if size != -1)
    if -1 not in wanted or elements % known:
        return wanted
    return tuple(elements // known if size == -1 else size for size in wanted)


def _expand(operator: Operator, source: Tensor, output: Tensor, axis: Shape) -> Iterator[Problem]:
    if len(axis) != 1:
        return
    rank = len(source.shape)
    if not -rank - 1 <= axis[0] <= rank:
        problem = f"its axis is {axis[0]}, the tensor {list(source.shape)} takes {-rank - 1} to {rank}"
        yield Problem(place(operator), problem, CONVERT_FIX)
        return
    at = axis[0] % (rank + 1)
    wanted = (*source.shape[:at], 1, *source.shape[at:])
    if wanted != output.shape:
        problem = f"axis {axis[0]} makes {list(wanted)} of {list(source.shape)}, its output has {list(output.shape)}"
        yield Problem(place(operator), problem, CONVERT_FIX)
