"""Finds the operator that an interpreter does not survive: its model is cut off after ever fewer operators, each piece
tried in a process of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from hil.errors import HilError
from hil.interpreter.messages import Values
from hil.interpreter.process import InterpreterEnded, InterpreterProcess, InterpreterRefused
from hil.model.degenerate import dead_layers, oddities
from hil.model.graph import Graph, Operator, read_graph

TRIAL_S = 10.0  # without an answer, in one trial
SHOWN_LAYERS = 3
_OUTPUTS, _OPERATORS = 8, 10  # fields of SubGraph in the schema, as offsets into its table


@dataclass(frozen=True)
class Culprit:
    """Where it ended, as in "operator 7 SOFTMAX", and the lines of advice."""

    where: str
    advice: str


def find_culprit(
    model: bytes,
    open_request: str,
    run_request: str,
    tensors: Values | None,
    options: Mapping[str, object],
) -> Culprit:
    """The operator in which an interpreter dies or hangs.

    tensors: the values of the request that it happened with; None when it happened while the model was being opened.
    Takes as many trials as the number of operators has binary digits.
    """

    def dies(piece: bytes) -> bool:
        process = InterpreterProcess()
        with closing(process):
            process.ask("ready", {})  # the start of a process on a busy machine is no part of the trial
            return ends_in(process, piece)

    def ends_in(process: InterpreterProcess, piece: bytes) -> bool:
        try:
            process.ask(open_request, {"model": piece, **options}, TRIAL_S)
            if tensors is not None:
                process.ask(run_request, dict(tensors), TRIAL_S)
        except InterpreterRefused:
            return False
        except InterpreterEnded:
            return True
        return False

    if not dies(model):
        return Culprit(
            "the whole model",
            "  it ran when it was tried again\n"
            "  next: look whether memory ran out, or something ends processes; then run it again",
        )
    try:
        graph = read_graph(model, Path())
        operator: Operator | None = _first(model, graph, dies)
    except (HilError, struct.error, ValueError, IndexError):  # damaged so that it cannot be cut either
        operator = None
    if operator is None:
        return Culprit(
            "no single operator", "  fix: convert the model again with a current TFLiteConverter, or leave layers out"
        )
    return Culprit(f"operator {operator.index} {operator.name}", _advice(graph, operator))


def _first(model: bytes, graph: Graph, dies: Callable[[bytes], bool]) -> Operator:
    """The operator behind which the first piece that dies is cut. A piece dies when a shorter one does.

    Raises IndexError for a model without operators.
    """
    low, high = 0, len(graph.operators)
    while high - low > 1:
        middle = (low + high) // 2
        if dies(cut_after(model, graph, middle)):
            high = middle
        else:
            low = middle
    return graph.operators[low]


def cut_after(model: bytes, graph: Graph, operators: int) -> bytes:
    """The model with only its first operators, the last of which gives the output: the same bytes but two or three."""
    piece = bytearray(model)
    table = schema.Model.GetRootAs(model).Subgraphs(0)._tab
    struct.pack_into("<I", piece, table.Vector(table.Offset(_OPERATORS)) - 4, operators)
    outputs = graph.operators[operators - 1].outputs
    at = table.Vector(table.Offset(_OUTPUTS))
    struct.pack_into("<Ii", piece, at - 4, 1, outputs[0])
    return bytes(piece)


def _advice(graph: Graph, operator: Operator) -> str:
    found = oddities(graph, operator)
    if dead := dead_layers(graph):
        more = f" and {len(dead) - SHOWN_LAYERS} more" if len(dead) > SHOWN_LAYERS else ""
        found.append(f"all weights are zero in {', '.join(dead[:SHOWN_LAYERS])}{more}")
        fix = "train the model, or look at why training left it with nothing but zeros, and convert it again"
    elif found:
        fix = "look at the data that the model was calibrated with, and convert it again"
    else:
        fix = "replace that layer, or convert the model again with a current TFLiteConverter"
    return "".join(f"  {line}\n" for line in found) + f"  fix: {fix}"
