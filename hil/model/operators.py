"""What is wrong with single operators of a model: kernels that are missing, refuse its types, or compute it wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hil.model.degenerate import place, weights_of
from hil.model.encoded import custom_fix
from hil.model.faults import either
from hil.model.fixes import DENSE_FIX, GENERAL_OPERATOR_FIX, INT8_FIX, OPEN_BATCH_FIX, OPERATOR_FIXES, RESCALE_FIX
from hil.model.graph import Graph, Operator, Tensor
from hil.model.kernels.library import AS_THEY_ARE, KernelLibrary
from hil.problems import Problem

ARITHMETIC_PAIRS = frozenset({"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"})  # inputs 0 and 1 are of one type

OF_AN_OPEN_BATCH = frozenset({"SHAPE", "EXPAND_DIMS", "STRIDED_SLICE"})  # STRIDED_SLICE: of the shape, which is INT32


def missing_operators(graph: Graph, operators: frozenset[str] | None, kernels: KernelLibrary) -> Iterator[Problem]:
    """Operators that the kernels, or the device's resolver (`operators`), do not have."""
    for operator in graph.operators:
        name = operator.name
        if name == "CUSTOM":
            if operator.custom in kernels.custom:
                continue
            problem = f"custom operator {operator.custom!r}, which the firmware does not have"
            yield Problem(place(operator), problem, custom_fix(operator.custom))
        elif operators is not None and name not in operators:
            if name in kernels.operators:
                fix = "add it to the resolver of the firmware (firmware/tflm) and build the image again"
            else:
                fix = _operator_fix(graph, name)
            yield Problem(place(operator), f"the firmware's resolver does not hold {name}", fix)
        elif operators is None and name not in kernels.operators:
            yield Problem(place(operator), f"{kernels.name} has no {name}", _operator_fix(graph, name))


def _operator_fix(graph: Graph, name: str) -> str:
    """How to do without the operator. A cure that the model has taken already is not offered."""
    if name in OF_AN_OPEN_BATCH and _open_batch(graph):
        return OPEN_BATCH_FIX
    return OPERATOR_FIXES.get(name, GENERAL_OPERATOR_FIX)


def _open_batch(graph: Graph) -> bool:
    """Whether an input leaves its batch open. The converter writes a signature only for what has an open dimension."""
    return any(-1 in graph.tensors[index].signature[:1] for index in graph.inputs)


def variant(graph: Graph, operator: Operator, kernels: KernelLibrary) -> Iterator[Problem]:
    """Faults of one operator whose kernel is there: types, hybrid weights, per-channel scales, output quantisation."""
    inputs = [graph.tensor(index) for index in operator.inputs]
    data = inputs[1] if operator.name == "SPLIT" and len(inputs) > 1 else (inputs or [None])[0]
    output = graph.tensor(operator.outputs[0]) if operator.outputs else None
    if data is None or output is None:
        return
    hybrid = list(integer_weights(graph, operator))
    if hybrid:
        yield from hybrid
        return
    yield from _types_of(graph, operator, data, output, kernels)
    yield from _further_inputs(operator, data, inputs, kernels)
    yield from _second_input(operator, data, inputs[1:2])
    yield from _quantised(operator, (*inputs, output))
    yield from _weight_scales(graph, operator, kernels)
    yield from _groups(operator, data, inputs[1:2], kernels)
    yield from _rescaled(graph, operator, kernels)
    if operator.name in kernels.flat and output.dtype == "INT8" and len(output.shape) > 2:
        problem = f"its kernel fills two output dimensions; tensor {output.name!r} has the shape {list(output.shape)}"
        yield Problem(place(operator), problem, "put a Flatten or a Reshape to two dimensions before the layer")
    if operator.name in kernels.open_ends and len(operator.options) == 2 and operator.options[0] & operator.options[1]:
        problem = "one index of an axis is wanted and the mask of the axis' end is set: its kernel takes all the rest"
        yield Problem(place(operator), problem, "slice with an explicit end, as in x[:, 3:4]")
    yield from _undefined(graph, operator)
    wanted = kernels.output_quantisation.get(operator.name)
    if wanted and output.dtype == "INT8" and output.scales and (output.scales[0], *output.zero_points[:1]) != wanted:
        found = f"scale {output.scales[0]:g}, zero point {(*output.zero_points, 0)[0]}"
        problem = (
            f"its kernel only computes scale {wanted[0]:g}, zero point {wanted[1]}; tensor {output.name!r} has {found}"
        )
        yield Problem(place(operator), problem, "convert with a current TFLiteConverter, which uses these values")


def _groups(
    operator: Operator, data: Tensor, weights: list[Tensor | None], kernels: KernelLibrary
) -> Iterator[Problem]:
    """A kernel that knows no groups reads weights that are not there, and reports no error."""
    window = weights[0].shape if weights and weights[0] is not None else ()
    if operator.name != "CONV_2D" or operator.name in kernels.grouped or len(window) != 4 or len(data.shape) != 4:
        return
    if window[3] != data.shape[3]:
        problem = f"it is a convolution in groups (weights for {window[3]} of {data.shape[3]} input channels)"
        fix = "use groups=1, or split the channels, convolve each part and concatenate the results"
        yield Problem(place(operator), f"{problem}, which {kernels.name} cannot compute", fix)


def unread_outputs(graph: Graph, kernels: KernelLibrary) -> Iterator[Problem]:
    """Outputs of operators that nothing reads, as the last step of an unrolled GRU leaves them."""
    if kernels.unread_inputs:
        return
    read = {*graph.outputs, *(index for operator in graph.operators for index in operator.inputs)}
    for operator in graph.operators:
        for index in operator.outputs:
            if index >= 0 and index not in read:
                problem = f"nothing reads its output {graph.tensors[index].name!r}, and {kernels.name}"
                fix = "leave out of the network what is not used, or make it an output of the model"
                yield Problem(place(operator), f"{problem} cannot plan memory for it", fix)


_ENDS_OF_A_CONVERSION = frozenset({"FLOAT32", "UINT8", "INT16"})  # that another conversion does without


def _types_of(
    graph: Graph, operator: Operator, data: Tensor, output: Tensor, kernels: KernelLibrary
) -> Iterator[Problem]:
    """Types that the kernel refuses, most of them only when it runs."""
    name, kind = operator.name, data.dtype
    taken = kernels.types[name]
    if kind not in taken:
        of_a_shape = name in OF_AN_OPEN_BATCH and kind == "INT32"
        quantising = name in ("QUANTIZE", "DEQUANTIZE")
        layer = of_a_shape or (kind not in _ENDS_OF_A_CONVERSION and not quantising)
        fix = _operator_fix(graph, name) if layer else None
        missing = f"{kernels.name} has no {name} of {kind} to {output.dtype}"
        problem = f"{missing} (tensor {data.name!r}); it takes {either(taken)}"
        yield Problem(place(operator), problem, fix or _type_fix(kind, name))
        return
    gives = kernels.output_types.get((name, kind), frozenset({kind}))
    if output.dtype not in gives:
        missing = f"{kernels.name} has no {name} of {kind} to {output.dtype}"
        problem = f"{missing} (tensor {output.name!r}); it gives {either(gives)}"
        outside = output.dtype not in (*_ENDS_OF_A_CONVERSION, "INT8")
        fix = _operator_fix(graph, name) if outside else _type_fix(output.dtype, name)
        yield Problem(place(operator), problem, fix)


def _type_fix(kind: str, name: str) -> str:
    if kind == "INT16":
        return f"quantise activations to 8 bits (no EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16): {INT8_FIX}"
    if name in ("QUANTIZE", "DEQUANTIZE"):
        return f"keep one type through the model, without an extra conversion: {INT8_FIX}"
    return INT8_FIX


def _further_inputs(
    operator: Operator, data: Tensor, inputs: list[Tensor | None], kernels: KernelLibrary
) -> Iterator[Problem]:
    for index, wanted in kernels.further_types.get((operator.name, data.dtype), {}).items():
        tensor = inputs[index] if index < len(inputs) else None
        if tensor is not None and tensor.dtype not in wanted:
            problem = f"its kernel takes {either(wanted)} as input {index}; tensor {tensor.name!r} is {tensor.dtype}"
            yield Problem(place(operator), problem, f"convert it with {either(wanted)} there, as TFLiteConverter does")


def _second_input(operator: Operator, data: Tensor, second: list[Tensor | None]) -> Iterator[Problem]:
    """The kernels read both inputs of an addition as one type, without looking."""
    other = second[0] if second else None
    if operator.name in ARITHMETIC_PAIRS and other is not None and other.dtype != data.dtype:
        yield Problem(
            place(operator), f"its inputs are {data.dtype} and {other.dtype} (tensor {other.name!r})", INT8_FIX
        )


def integer_weights(graph: Graph, operator: Operator) -> Iterator[Problem]:
    """Hybrid: constant integer weights meet float activations. This TFLM runs some of them, with wrong results."""
    inputs = [tensor for index in operator.inputs if (tensor := graph.tensor(index))]
    outputs = [tensor for index in operator.outputs if (tensor := graph.tensor(index))]
    floats = any(tensor.dtype == "FLOAT32" for tensor in (*inputs, *outputs))
    for tensor in inputs:
        if floats and tensor.constant and tensor.scales and tensor.dtype in ("INT8", "UINT8", "INT4"):
            problem = f"hybrid: its weights {tensor.name!r} are {tensor.dtype}, its activations FLOAT32"
            fix = "for the int8 model, " + INT8_FIX + "; for a float reference, convert without converter.optimizations"
            yield Problem(place(operator), problem, fix)


def _quantised(operator: Operator, tensors: tuple[Tensor | None, ...]) -> Iterator[Problem]:
    if operator.name in AS_THEY_ARE:
        return
    for tensor in tensors:
        if tensor is not None and tensor.dtype == "INT8" and not tensor.scales:
            yield Problem(
                place(operator), f"INT8 tensor {tensor.name!r} has no quantisation (scale and zero point)", INT8_FIX
            )


def _rescaled(graph: Graph, operator: Operator, kernels: KernelLibrary) -> Iterator[Problem]:
    """Copying kernels that would have to rescale and do not: wrong results without an error."""
    if operator.name not in kernels.same_quantisation:
        return
    tensors = [tensor for index in (*operator.inputs, *operator.outputs) if (tensor := graph.tensor(index))]
    scaled = [tensor for tensor in tensors if tensor.dtype == "INT8" and tensor.scales]
    for other in scaled[1:]:
        first = scaled[0]
        near = math.isclose(
            other.scales[0], first.scales[0], rel_tol=1e-6
        )  # the tolerance of TFLite's own pooling check
        if not near or other.zero_points[:1] != first.zero_points[:1]:
            differ = f"tensors {first.name!r} and {other.name!r} differ in scale or zero point"
            problem = f"its kernel copies values without rescaling, but {differ}: the results would be wrong"
            yield Problem(place(operator), problem, OPERATOR_FIXES.get(operator.name, RESCALE_FIX))
            return


LEAST_RATIO = 64  # of scales in a DIV: below it, TFLM shifts 32 bits by more than 31


def _undefined(graph: Graph, operator: Operator) -> Iterator[Problem]:
    """What TFLM leaves to chance, the newest too: nobody can say what the right answer is."""
    tensors = [graph.tensor(index) for index in (*operator.inputs, *operator.outputs)]
    known = [tensor for tensor in tensors if tensor is not None]
    if operator.name == "DIV" and len(known) == 3:
        yield from _division(operator, *known)


def _division(operator: Operator, first: Tensor, second: Tensor, output: Tensor) -> Iterator[Problem]:
    scales = [tensor.scales[:1] for tensor in (first, second, output)]
    if output.dtype == "INT8" and all(scales) and scales[0][0] < LEAST_RATIO * scales[1][0] * scales[2][0]:
        problem = f"TFLM, the newest too, is undefined for a ratio of scales below {LEAST_RATIO}"
        yield Problem(place(operator), problem, "multiply by the reciprocal")


def _weight_scales(graph: Graph, operator: Operator, kernels: KernelLibrary) -> Iterator[Problem]:
    weights = weights_of(graph, operator)
    if weights is None or weights.dtype != "INT8" or not weights.scales:
        return
    scales = len(weights.scales)
    if operator.name not in kernels.per_channel:
        if scales > 1:
            problem = (
                f"weights {weights.name!r} are quantised per channel ({scales} scales), its kernel takes one scale"
            )
            yield Problem(place(operator), problem, DENSE_FIX)
        return
    channels = weights.shape[3 if operator.name == "DEPTHWISE_CONV_2D" else 0] if len(weights.shape) in (2, 4) else 0
    if scales not in (1, channels):
        problem = (
            f"weights {weights.name!r} have {scales} scales, 1 or {channels} (one for each output channel) are wanted"
        )
        yield Problem(place(operator), problem, "convert the model again with a current TFLiteConverter")
