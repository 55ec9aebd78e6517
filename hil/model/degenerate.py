"""What is degenerate in a model: what no interpreter can make sense of, and what an interpreter may stumble over."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from hil.model.graph import TYPE_BYTES, Graph, Operator, Tensor
from hil.model.kernels.own import OWN_KERNELS
from hil.problems import Problem

WEIGHTED = frozenset({"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "SVDF"})  # input 1 is the weights
SMALLEST_SCALE = 1e-7  # converters give a tensor that never held anything but zero a scale around 1e-8
MOST_BYTES = 1 << 24  # of one tensor; no microcontroller has that much memory
# Operators that need more than one input, and inputs that may be left out, which are biases.
LEAST_INPUTS: Mapping[str, int] = {
    **dict.fromkeys(("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"), 2),
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"), 2),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), 2),
    **dict.fromkeys(("PAD", "SPLIT", "ARG_MAX", "ARG_MIN", "MEAN", "RESIZE_NEAREST_NEIGHBOR"), 2),
    **dict.fromkeys(("LOGICAL_OR", "LOGICAL_AND"), 2),
    "PADV2": 3,
    "STRIDED_SLICE": 4,
    "CALL_ONCE": 0,
    "VAR_HANDLE": 0,
    "ASSIGN_VARIABLE": 2,
    **{kernel.operator: kernel.least for kernel in OWN_KERNELS},
}
OPTIONAL_INPUTS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"), (2,)),
    **{kernel.operator: kernel.optional for kernel in OWN_KERNELS if kernel.optional},
}
WITHOUT_OUTPUT = frozenset({"CALL_ONCE", "ASSIGN_VARIABLE"})
CONVERT_FIX = "convert the model again with a current TFLiteConverter"
SCALE_FIX = f"look at the data that the model was calibrated with, and {CONVERT_FIX}"
SHAPE_FIX = f"give every dimension a fixed size, tf.keras.Input(batch_shape=(1, ...)), and {CONVERT_FIX}"


def impossible(graph: Graph, operators: Collection[str]) -> Iterator[Problem]:
    """What no interpreter can run, whatever its kernels are. operators: those whose inputs are known here."""
    ends = {*graph.inputs, *graph.outputs}
    written, seen = set(graph.inputs), set[int]()
    for operator in graph.operators:
        if operator.name in operators:
            yield from _arguments(operator)
            yield from _unwritten(graph, operator, written)
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0 and index not in seen:
                seen.add(index)
                for text, fix in _tensor(graph.tensors[index], index in ends):
                    yield Problem(place(operator), text, fix)
        written.update(operator.outputs)
    for index in graph.outputs:
        if index not in written and not graph.tensors[index].constant:
            yield Problem(f"output tensor {graph.tensors[index].name!r}", "no operator writes it", CONVERT_FIX)


def _arguments(operator: Operator) -> Iterator[Problem]:
    least = LEAST_INPUTS.get(operator.name, 1)
    if len(operator.inputs) < least:
        yield Problem(place(operator), f"it has {len(operator.inputs)} of its {least} inputs", CONVERT_FIX)
    for position, index in enumerate(operator.inputs):
        if index < 0 and position not in OPTIONAL_INPUTS.get(operator.name, ()):
            yield Problem(place(operator), f"its input {position} is left out, and is no optional one", CONVERT_FIX)
    if min(operator.outputs, default=-1 if operator.name not in WITHOUT_OUTPUT else 0) < 0:
        yield Problem(place(operator), "it has no output", CONVERT_FIX)


def _unwritten(graph: Graph, operator: Operator, written: Collection[int]) -> Iterator[Problem]:
    """Values from nowhere: kernels read whatever lies in that memory."""
    for index in operator.inputs:
        tensor = graph.tensor(index)
        if tensor and tensor.elements and not tensor.constant and not tensor.variable and index not in written:
            problem = f"it reads tensor {tensor.name!r}, which has no data and which no operator before it writes"
            yield Problem(place(operator), problem, CONVERT_FIX)


def _tensor(tensor: Tensor, is_end: bool) -> Iterator[tuple[str, str]]:
    """Problem and fix. The ends of the model have further rules, by which their shapes and scales are judged."""
    name, shape = f"tensor {tensor.name!r}", list(tensor.shape)
    size = abs(tensor.elements) * TYPE_BYTES.get(tensor.dtype, 0)
    if not is_end and min(tensor.shape, default=1) < (0 if tensor.constant else 1):
        why = "which holds nothing" + (", and TFLM would plan memory for a size below 0" if min(shape) < 0 else "")
        yield f"{name} has the shape {shape}, {why}", SHAPE_FIX
    elif size > MOST_BYTES:
        yield f"{name} has the shape {shape}: {size:,} bytes, more than any microcontroller has", SHAPE_FIX
    elif tensor.sparse:
        yield (
            f"{name} is stored without its zeros, and kernels would read it as if they were there",
            ("convert without pruned weights in sparse form (no Optimize.EXPERIMENTAL_SPARSITY)"),
        )
    elif tensor.constant and tensor.dtype in TYPE_BYTES and tensor.data_bytes != size:
        yield f"{name} has {tensor.data_bytes:,} bytes of data, its shape {shape} needs {size:,}", CONVERT_FIX
    if not is_end and tensor.dtype in _QUANTISED:
        yield from ((f"{name} has {text}", SCALE_FIX) for text in _scales(tensor))


_QUANTISED = frozenset({"INT8", "UINT8", "INT16", "INT32"})


def _scales(tensor: Tensor) -> Iterator[str]:
    """Scales that stand for nothing. A zero is one that stands for zeros, and kernels do not read that of a bias."""
    for channel, scale in enumerate(tensor.scales):
        if not (scale >= 0 and math.isfinite(scale)):
            yield f"the scale {scale:g}{f' in channel {channel}' if len(tensor.scales) > 1 else ''}"
            return
    if tensor.scales and max(tensor.scales) == 0 and tensor.dtype != "INT32" and not tensor.zeros:
        yield "the scale 0, and other values than zero"


def dead_layers(graph: Graph) -> list[str]:
    """The operators whose weights are all zero, as in `operator 6 FULLY_CONNECTED (weights 'dense/MatMul')`."""
    found = []
    for operator in graph.operators:
        weights = weights_of(graph, operator)
        if weights is not None and weights.zeros:
            found.append(f"{place(operator)} (weights {weights.name!r})")
    return found


def oddities(graph: Graph, operator: Operator) -> list[str]:
    """What is unusual about the tensors of one operator, in words."""
    return [text for tensor in tensors_of(graph, operator) for text in _odd(tensor)]


def weights_of(graph: Graph, operator: Operator) -> Tensor | None:
    """The weights of an operator that has some."""
    if operator.name not in WEIGHTED or len(operator.inputs) < 2:
        return None
    return graph.tensor(operator.inputs[1])


def tensors_of(graph: Graph, operator: Operator) -> list[Tensor]:
    """Its inputs and outputs, without optional ones that are left out."""
    return [tensor for index in (*operator.inputs, *operator.outputs) if (tensor := graph.tensor(index))]


def place(operator: Operator) -> str:
    """How messages name an operator."""
    return f"operator {operator.index} {operator.name}"


def _odd(tensor: Tensor) -> Iterator[str]:
    for text in _scales(tensor):
        yield f"tensor {tensor.name!r} has {text}"
        return
    if tensor.scales and max(tensor.scales) < SMALLEST_SCALE:
        yield f"tensor {tensor.name!r} has the scale {max(tensor.scales):.3g}: it never held anything but zero"
