"""Knows what the ends of a model may be: the tensors that the product fills and reads."""

from __future__ import annotations

from collections.abc import Iterator

from hil.model.batch import BATCH_FIX
from hil.model.faults import either
from hil.model.fixes import INT8_FIX
from hil.model.graph import Graph, Tensor
from hil.model.kernels.library import AS_THEY_ARE, KernelLibrary
from hil.problems import Problem
from hil.tensor import INPUT_TYPES, OUTPUT_TYPES

MOST_FED, MOST_CARRIED = 4, 12  # inputs that windows feed, that carry state: firmware/pipeline/further.h, carried.h
MOST_INPUTS, MOST_OUTPUTS = MOST_FED + MOST_CARRIED, 1 + MOST_CARRIED


def input_output(graph: Graph, kernels: KernelLibrary) -> Iterator[Problem]:
    """Faults of the inputs and outputs of a model: how many, of which type, quantisation and shape."""
    for side, found, most in (("input", graph.inputs, MOST_INPUTS), ("output", graph.outputs, MOST_OUTPUTS)):
        if not 1 <= len(found) <= most:
            fix = "concatenate some of them" if found else f"export a model with an {side}"
            yield Problem(f"{side}s", f"the model has {len(found)} {side}s, the firmware takes 1 to {most}", fix)
    for side, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            yield from _end(side, graph.tensors[index], numbers=_only_numbers(graph, index))
    read = {index for operator in graph.operators for index in operator.inputs}
    for index in dict.fromkeys(graph.inputs):
        where = f"input tensor {graph.tensors[index].name!r}"
        if graph.inputs.count(index) > 1:
            problem = f"it is {graph.inputs.count(index)} inputs of the model: one tensor cannot hold several windows"
            yield Problem(where, problem, "list it once, or give each input a tensor of its own, and convert again")
        if index not in read and graph.operators and not kernels.unread_inputs:
            problem = f"no operator reads it, and {kernels.name} gives it no memory"
            yield Problem(where, problem, "leave the input out of the network, and convert again")


_END_TYPES = {"input": INPUT_TYPES, "output": OUTPUT_TYPES}


def _only_numbers(graph: Graph, index: int) -> bool:
    """Whether the operators that make and take a tensor are all of a kind to which its scale means nothing."""
    around = [operator for operator in graph.operators if index in (*operator.inputs, *operator.outputs)]
    return bool(around) and all(operator.custom or operator.name in AS_THEY_ARE for operator in around)


def _end(side: str, tensor: Tensor, *, numbers: bool) -> Iterator[Problem]:
    """A tensor that the product fills or reads. numbers: it needs no quantisation."""
    where = f"{side} tensor {tensor.name!r}"
    element = next((each for each in _END_TYPES[side] if each.name == tensor.dtype), None)
    if element is None:
        wanted = either(frozenset(each.name for each in _END_TYPES[side]))
        fix = f"convert with inference_{side}_type = tf.int8"
        yield Problem(where, f"its type is {tensor.dtype}, {wanted} is wanted", fix)
    elif not tensor.scales:
        if element.dtype.itemsize == 1 and not numbers:
            yield Problem(where, "it has no quantisation (scale and zero point)", INT8_FIX)
    elif (
        len(tensor.scales) != 1
        or not 0 < tensor.scales[0] < float("inf")
        or not (element.real or element.low <= (*tensor.zero_points, 0)[0] <= element.high)
    ):
        found = f"scales {tensor.scales[:3]}, zero points {tensor.zero_points[:3]}"
        ends = f"{element.low}..{element.high}"
        yield Problem(where, f"one positive scale and one zero point in {ends} are wanted, found {found}", INT8_FIX)
    yield from _static_shape(where, tensor)


def _static_shape(where: str, tensor: Tensor) -> Iterator[Problem]:
    """A signature of -1 for the batch is usual and harmless as long as the stored shape says 1."""
    inner = [axis for axis, size in enumerate(tensor.signature) if size < 0 and axis > 0]
    if inner or any(size < 1 for size in tensor.shape):
        shape = tensor.signature or tensor.shape
        problem = f"its shape {list(shape)} is dynamic, TFLM plans its memory before the first run"
        yield Problem(where, problem, f"give every dimension a fixed size: {BATCH_FIX}")
    elif len(tensor.shape) > 1 and tensor.shape[0] != 1:
        yield Problem(where, f"its batch is {tensor.shape[0]}, 1 is wanted", BATCH_FIX)
