"""What is wrong with a model's file and can be put right in a copy, without network or converter: one row each."""

from __future__ import annotations

from pathlib import Path

from hil.model.alignment import misplaced
from hil.model.batch import grows, right_shapes
from hil.model.degenerate import place
from hil.model.graph import read_graph, reading
from hil.model.padding import with_pads
from hil.model.rewrite import rewritten

COMMAND = "hil model fix"
SUFFIX = ".fixed.tflite"
SHOWN = 3  # tensors that one phrase names


def cured(data: bytes, file: Path) -> tuple[bytes, tuple[str, ...]]:
    """The model without the faults of `_CURES`, and a phrase for each that it had; the same bytes when it had none.

    Raises CaseError when it cannot be read, or one of them cannot be cured.
    """
    read_graph(data, file)  # refuses what is no model
    done = []
    for cure in _CURES:
        data, said = cure(data, file)
        if said:
            done.append(said)
    return data, tuple(done)


def _alignment(data: bytes, file: Path) -> tuple[bytes, str]:
    with reading(file):
        found = misplaced(data)
        if not found:
            return data, ""
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        return rewritten(data), f"alignment: {found[0]}{more}"


def _padding(data: bytes, file: Path) -> tuple[bytes, str]:
    data, split = with_pads(data, read_graph(data, file))
    return data, f"a PAD of its own before {', '.join(map(place, split))}" if split else ""


def _shapes(data: bytes, file: Path) -> tuple[bytes, str]:
    graph = read_graph(data, file)
    shapes = right_shapes(data, file) if grows(graph) else {}
    if not shapes:
        return data, ""
    shown = [f"tensor {index} {list(graph.tensors[index].shape)} is {list(shape)}" for index, shape in shapes.items()]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return rewritten(data, shapes), f"shapes of an open batch taken for 1: {', '.join(shown[:SHOWN])}{more}"


_CURES = (_alignment, _padding, _shapes)  # shapes are computed of the operators that will run
