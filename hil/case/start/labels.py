"""Guesses which output of a model holds scores of classes, and what the classes are called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from hil.case.schema import MAX_LABELS
from hil.case.types import ModelFile
from hil.model.graph import read_graph

_PROBABILITIES = (1 / 256, -128)  # scale and zero point of an int8 softmax or sigmoid


def guessed_labels(
    model: ModelFile, arrays: dict[str, NDArray[Any]]
) -> tuple[tuple[str, ...], str, dict[str, NDArray[Any]]]:
    """Labels, none where the output is no set of classes; by what they were guessed; the arrays that go with them."""
    count = model.output.elements
    given: NDArray[Any] | None = arrays.get("label")
    if not _probabilities(model) or not 1 <= count <= MAX_LABELS:
        if given is not None and given.dtype.kind == "U":
            del arrays["label"]
        return (), "", arrays
    by = f"the output holds probabilities, of {count} elements"
    if given is None or given.dtype.kind != "U":
        return tuple(f"class_{index}" for index in range(count)), by, arrays
    texts = sorted({text for text in given.tolist() if text})
    if len(texts) == count and "unknown" not in texts:
        return tuple(texts), f"{by}; the {count} labels of the vectors, in the order of the alphabet", arrays
    rest = {name: array for name, array in arrays.items() if name != "label"}
    why = f"{by}; the labels of the vectors ({', '.join(texts[:5])}) are left out: which is which is not known"
    return tuple(f"class_{index}" for index in range(count)), why, rest


def scores(model: ModelFile) -> int:
    """The first output that looks like scores of classes, else the first."""
    return next((index for index in range(len(model.outputs)) if _probabilities(replace(model, decided=index))), 0)


def _probabilities(model: ModelFile) -> bool:
    """Whether the output comes of a softmax or a sigmoid, or looks like it."""
    graph = read_graph(model.data, model.path)
    wanted, last = graph.outputs[model.decided], ""
    for operator in reversed(graph.operators):
        if wanted in operator.outputs:
            last = operator.name
            if last not in ("QUANTIZE", "DEQUANTIZE", "RESHAPE"):
                break
            wanted = operator.inputs[0]
    quantisation = model.output.quantisation
    looks = model.output.dtype == "INT8" and (quantisation.scale, quantisation.zero_point) == _PROBABILITIES
    return looks or last in ("SOFTMAX", "LOGISTIC")
