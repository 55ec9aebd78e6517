"""Knows what of a model lasts from one inference to the next, and which operators keep it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hil.model.degenerate import place
from hil.model.graph import Graph

_STREAMING = frozenset({"SVDF", "VAR_HANDLE"})  # made for streams; the state of an LSTM mostly lasts one window


def state_of(graph: Graph) -> tuple[str, ...]:
    """What keeps state, a phrase each: an operator with its variable tensors, or a resource variable's handle."""
    return tuple(_kept(graph))


def keeps_streams(operators: Collection[str]) -> bool:
    """Whether a model of these operators keeps state of a kind that is mostly meant to last from window to window."""
    return not _STREAMING.isdisjoint(operators)


def _kept(graph: Graph) -> Iterator[str]:
    for operator in graph.operators:
        if operator.name == "VAR_HANDLE":
            yield f"{place(operator)} (a resource variable)"
            continue
        indices = [index for index in operator.inputs if index >= 0 and graph.tensors[index].variable]
        if indices:
            shown = ", ".join(
                f"tensor {index}, {graph.tensors[index].dtype} {list(graph.tensors[index].shape)}" for index in indices
            )
            yield f"{place(operator)} ({shown})"
