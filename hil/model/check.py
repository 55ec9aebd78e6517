"""Which models the firmware runs right: refuses what it lacks, fails on or gets wrong, before anything is flashed. What
its kernels can do stands in `hil.model.kernels`.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hil.case.types import ModelFile
from hil.model.alignment import misplaced
from hil.model.batch import BATCH_FIX, grows, lost_blocks
from hil.model.cures import COMMAND
from hil.model.degenerate import impossible, place, weights_of
from hil.model.encoded import custom_fix, encoded
from hil.model.faults import gathered
from hil.model.graph import SCHEMA_VERSION, Graph, Operator, Tensor, read_graph, reading
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.kernels.tflm_2020 import TFLM_2020
from hil.model.kernels.upstream import UPSTREAM
from hil.model.sizes import unplannable
from hil.model.tflite import computes_in_float, parse_model
from hil.problems import Problem, raise_any
from hil.tensor import INPUT_TYPES, OUTPUT_TYPES, paired

SHOWN_PLACES = 3  # of what is misaligned
MOST_INPUTS, MOST_OUTPUTS = 4, 8  # firmware/pipeline/further.h


def kernels_of(engine: str) -> KernelLibrary:
    """What the kernels of an engine can do; engine: one of `hil.image.tflm`."""
    return UPSTREAM if engine == "upstream" else WITH_OWN


ARITHMETIC_PAIRS = frozenset({"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"})  # inputs 0 and 1 are of one type

INT8_FIX = (
    "convert with converter.optimizations = [tf.lite.Optimize.DEFAULT], a representative_dataset, "
    "target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], "
    "inference_input_type = tf.int8 and inference_output_type = tf.int8"
)
DENSE_FIX = (
    "convert with converter._experimental_disable_per_channel_quantization_for_dense_layers = True "
    "(this kernel reads the first scale only and gives wrong results without an error)"
)
UPSTREAM_FIX = "run it on today's TFLM, which can do this: --hil-tflm=upstream (docs/upstream.md)"
OPEN_BATCH_FIX = (
    "it comes from the open batch dimension (around Conv1D, Flatten, Reshape): "
    "build or clone the model with tf.keras.Input(batch_shape=(1, ...)) before converting"
)
OF_AN_OPEN_BATCH = frozenset({"SHAPE", "EXPAND_DIMS", "STRIDED_SLICE"})  # STRIDED_SLICE: of the shape, which is INT32
RESCALE_FIX = "convert with a current TFLiteConverter, which gives such tensors one scale"
OPERATOR_FIXES: Mapping[str, str] = {
    **{name: f"make it part of the layer before: activation={name.lower()!r} there" for name in ("RELU", "RELU6")},
    "SHAPE": f"it comes from a size that is only known when the model runs: give Reshape fixed sizes, and {BATCH_FIX}",
    "EXPAND_DIMS": "it comes from Conv1D: use Conv2D with a width of 1",
    "SQUEEZE": "it comes from Conv1D or a squeezed axis: use Conv2D with a width of 1, or Reshape to a fixed shape",
    "MEAN": "replace GlobalAveragePooling by AveragePooling2D over the whole feature map, followed by Flatten",
    "SUM": "replace the sum by AveragePooling2D and fold the factor into the next layer",
    "REDUCE_MAX": "replace GlobalMaxPooling by MaxPooling2D over the whole feature map, followed by Flatten",
    "TRANSPOSE": "lay the data out so that no transpose is needed (channels last)",
    "HARD_SWISH": "use relu6 as activation",
    "LEAKY_RELU": "use relu or PReLU as activation",
    "ELU": "use relu as activation",
    "GELU": "use relu as activation",
    "EXP": "use softmax or sigmoid, which this TFLM has",
    "DIV": "multiply by the reciprocal",
    "SPLIT_V": "split into equal parts (SPLIT)",
    "BATCH_MATMUL": "use Dense with constant weights",
    "TRANSPOSE_CONV": "use UpSampling2D (nearest) followed by Conv2D",
    "RESIZE_BILINEAR": "use nearest-neighbour resizing",
    "GATHER": "slice with fixed indices (STRIDED_SLICE)",
    "SLICE": "slice with fixed steps (STRIDED_SLICE)",
    "CAST": "keep one type through the model",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "use convolutions, or a streaming SVDF",
    "WHILE": "unroll the loop: RNN(..., unroll=True)",
    **{
        name: "it comes from a stateful layer: keep the state outside and make it part of the window"
        for name in ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
    },
}
AS_THEY_ARE = frozenset({"CAST"})  # what it takes are numbers, whatever a scale says
GENERAL_OPERATOR_FIX = "replace the layer that makes it by one of the operators in docs/case-format.md"


def check_model(
    data: bytes,
    file: Path,
    operators: frozenset[str] | None = None,
    kernels: KernelLibrary = WITH_OWN,
    all_float: bool = False,
) -> None:
    """Refuses the model bytes `data` (of `file`) when the target cannot run them right.

    `operators`: builtin operator names that the device's resolver holds (its `hello`); None before a board answered,
    then all that `kernels` has. `all_float`: the case says that its model computes in float32 throughout. Raises
    CaseError that lists every reason, with the operator or tensor and the converter option or model change that cures
    it; faults of one kind are one.
    """
    raise_any(file, gathered(faults_of(data, file, operators, kernels, all_float), file))


def faults_of(
    data: bytes,
    file: Path,
    operators: frozenset[str] | None = None,
    kernels: KernelLibrary = WITH_OWN,
    all_float: bool = False,
) -> list[Problem]:
    """Each fault by itself, for which check_model refuses a model. Raises CaseError when it cannot be read at all."""
    graph = read_graph(data, file)
    problems = _problems(graph, operators, kernels)
    if problems and kernels is not UPSTREAM and operators is None:
        elsewhere = {each.where for each in _problems(graph, None, UPSTREAM)}
        problems = [each if each.where in elsewhere else _upstream_can(each) for each in problems]
    with reading(file):
        problems += [*_arithmetic(graph, all_float), *encoded(data)]
    return list(dict.fromkeys([*problems, *_alignment(data, file), *_batch(graph, file)]))


def _problems(graph: Graph, operators: frozenset[str] | None, kernels: KernelLibrary) -> list[Problem]:
    """Of what depends on the kernels."""
    problems = [*_layout(graph, kernels), *_input_output(graph)]
    problems += [*_operators(graph, operators, kernels), *impossible(graph, kernels.operators)]
    for operator in graph.operators:
        if operator.name in kernels.types and operator.name in (operators or kernels.operators):
            problems += _variant(graph, operator, kernels)
    return problems


def _upstream_can(problem: Problem) -> Problem:
    """What the kernels of 2020 cannot do and today's can."""
    return replace(problem, fix=f"{problem.fix}; or {UPSTREAM_FIX}")


def own_operators(data: bytes, file: Path) -> tuple[str, ...]:
    """Of a model that check_model accepts: the operators that the TFLM of 2020 lacks or gets wrong, as this model has
    them. With any of these it wants the image that has the operators of our own.
    """
    graph = read_graph(data, file)
    found = [
        operator.name
        for operator in graph.operators
        if operator.name not in TFLM_2020.operators or any(_variant(graph, operator, TFLM_2020))
    ]
    return tuple(dict.fromkeys(found))


def check_float_model(data: bytes, file: Path, int8: ModelFile) -> None:
    """Refuses (CaseError) `data` as float reference of `int8`: hybrid, quantised, or other input or output shapes."""
    graph = read_graph(data, file)
    raise_any(file, [*_layout(graph, WITH_OWN), *_as_many(graph, int8), *impossible(graph, WITH_OWN.operators)])
    read, problems = parse_model(data, file), list[Problem]()
    for side, indices, given, wanted in (
        ("input", graph.inputs, read.inputs, int8.inputs),
        ("output", graph.outputs, read.outputs, int8.outputs),
    ):
        for other, tensor in zip(paired(wanted, given), wanted, strict=True):
            problems += _float_tensor(side, graph.tensors[indices[other]], tensor.shape)
    problems += [each for operator in graph.operators for each in _integer_weights(graph, operator)][:1]
    raise_any(file, problems)


def _layout(graph: Graph, kernels: KernelLibrary) -> Iterator[Problem]:
    if graph.schema_version != SCHEMA_VERSION:
        yield Problem(
            "schema", f"version {graph.schema_version}, {SCHEMA_VERSION} is wanted", "convert the model again"
        )
    if graph.subgraphs != 1 and not kernels.any_subgraphs:
        problem = f"the model has {graph.subgraphs} subgraphs, the firmware's TFLM runs exactly one"
        yield Problem("subgraphs", problem, "export without control flow (If, While) and without stateful layers")


def _alignment(data: bytes, file: Path) -> Iterator[Problem]:
    """The target reads the flatbuffer where it lies; what lies across a boundary faults, or stops the sanitizer."""
    with reading(file):
        found = misplaced(data)
    if found:
        more = f", and {len(found) - SHOWN_PLACES} more" if len(found) > SHOWN_PLACES else ""
        problem = f"misaligned: {'; '.join(map(str, found[:SHOWN_PLACES]))}{more}"
        yield Problem("flatbuffer", problem, f"write it anew with: {COMMAND} {shlex.quote(str(file))}")


def _batch(graph: Graph, file: Path) -> Iterator[Problem]:
    """Shapes as they stand in the file are those that memory is planned by."""
    fix = f"it comes from a dilated layer with an open batch: {BATCH_FIX}"
    if grows(graph):
        cure = f"write it anew, with the shapes of a batch of 1: {COMMAND} {shlex.quote(str(file))}"
        fix = f"{cure}; or {BATCH_FIX}"
    for operator in lost_blocks(graph):
        output = graph.tensors[operator.outputs[0]]
        problem = (
            f"tensor {output.name!r} has the shape {list(output.shape)}, as if there were no blocks: TFLM, the newest "
            "too, takes it as it stands in the file, and reads memory that nobody wrote"
        )
        yield Problem(place(operator), problem, fix)
    for each in unplannable(graph):
        yield replace(each, fix=fix) if grows(graph) else each


def _as_many(graph: Graph, int8: ModelFile) -> Iterator[Problem]:
    for side, found, wanted in (
        ("input", len(graph.inputs), len(int8.inputs)),
        ("output", len(graph.outputs), len(int8.outputs)),
    ):
        if found != wanted:
            problem = f"the float model has {found} {side}s, the int8 model {wanted}"
            yield Problem(f"{side}s", problem, "convert both models from the same network")


def _input_output(graph: Graph) -> Iterator[Problem]:
    for side, found, most in (("input", graph.inputs, MOST_INPUTS), ("output", graph.outputs, MOST_OUTPUTS)):
        if not 1 <= len(found) <= most:
            fix = "concatenate some of them" if found else f"export a model with an {side}"
            yield Problem(f"{side}s", f"the model has {len(found)} {side}s, the firmware takes 1 to {most}", fix)
    for side, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            yield from _end(side, graph.tensors[index], numbers=_only_numbers(graph, index))


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
        wanted = _either(frozenset(each.name for each in _END_TYPES[side]))
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


def _arithmetic(graph: Graph, all_float: bool) -> Iterator[Problem]:
    """A model that is not quantised at all is mostly one that somebody forgot to quantise: the case says so or not."""
    if graph.operators and computes_in_float(graph) != all_float:
        if all_float:
            problem = "the case says all_float = true, and it has quantised operators"
            yield Problem("model", problem, "take all_float out of [model]")
        else:
            problem = "it computes in FLOAT32 throughout: no operator is quantised"
            fix = f"{INT8_FIX}; or, to judge the float model itself, write [model] all_float = true"
            yield Problem("model", problem, fix)


def _static_shape(where: str, tensor: Tensor) -> Iterator[Problem]:
    """A signature of -1 for the batch is usual and harmless as long as the stored shape says 1."""
    inner = [axis for axis, size in enumerate(tensor.signature) if size < 0 and axis > 0]
    if inner or any(size < 1 for size in tensor.shape):
        shape = tensor.signature or tensor.shape
        problem = f"its shape {list(shape)} is dynamic, TFLM plans its memory before the first run"
        yield Problem(where, problem, f"give every dimension a fixed size: {BATCH_FIX}")
    elif len(tensor.shape) > 1 and tensor.shape[0] != 1:
        yield Problem(where, f"its batch is {tensor.shape[0]}, 1 is wanted", BATCH_FIX)


def _operators(graph: Graph, operators: frozenset[str] | None, kernels: KernelLibrary) -> Iterator[Problem]:
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


def _variant(graph: Graph, operator: Operator, kernels: KernelLibrary) -> Iterator[Problem]:
    """Faults of one operator whose kernel is there: types, hybrid weights, per-channel scales, output quantisation."""
    inputs = [graph.tensor(index) for index in operator.inputs]
    data = inputs[1] if operator.name == "SPLIT" and len(inputs) > 1 else (inputs or [None])[0]
    output = graph.tensor(operator.outputs[0]) if operator.outputs else None
    if data is None or output is None:
        return
    hybrid = list(_integer_weights(graph, operator))
    if hybrid:
        yield from hybrid
        return
    yield from _types_of(graph, operator, data, output, kernels)
    yield from _further_inputs(operator, data, inputs, kernels)
    yield from _second_input(operator, data, inputs[1:2])
    yield from _quantised(operator, (*inputs, output))
    yield from _weight_scales(graph, operator, kernels)
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


def _types_of(
    graph: Graph, operator: Operator, data: Tensor, output: Tensor, kernels: KernelLibrary
) -> Iterator[Problem]:
    """Types that the kernel refuses, most of them only when it runs."""
    name, kind = operator.name, data.dtype
    taken = kernels.types[name]
    if kind not in taken:
        of_a_shape = name in OF_AN_OPEN_BATCH and kind == "INT32"
        layer = of_a_shape or (kind == "INT8" and name != "QUANTIZE")
        fix = _operator_fix(graph, name) if layer else None
        missing = f"{kernels.name} has no {name} of {kind} to {output.dtype}"
        problem = f"{missing} (tensor {data.name!r}); it takes {_either(taken)}"
        yield Problem(place(operator), problem, fix or _type_fix(kind, name))
        return
    gives = kernels.output_types.get((name, kind), frozenset({kind}))
    if output.dtype not in gives:
        missing = f"{kernels.name} has no {name} of {kind} to {output.dtype}"
        problem = f"{missing} (tensor {output.name!r}); it gives {_either(gives)}"
        yield Problem(place(operator), problem, _type_fix(output.dtype, name))


def _either(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))


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
            problem = f"its kernel takes {_either(wanted)} as input {index}; tensor {tensor.name!r} is {tensor.dtype}"
            yield Problem(place(operator), problem, f"convert it with {_either(wanted)} there, as TFLiteConverter does")


def _second_input(operator: Operator, data: Tensor, second: list[Tensor | None]) -> Iterator[Problem]:
    """The kernels read both inputs of an addition as one type, without looking."""
    other = second[0] if second else None
    if operator.name in ARITHMETIC_PAIRS and other is not None and other.dtype != data.dtype:
        yield Problem(
            place(operator), f"its inputs are {data.dtype} and {other.dtype} (tensor {other.name!r})", INT8_FIX
        )


def _integer_weights(graph: Graph, operator: Operator) -> Iterator[Problem]:
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
    elif operator.name == "SPACE_TO_BATCH_ND" and len(known) == 4 and not known[2].zeros:
        problem = "it pads, and TFLM, the newest too, pads with a value that it never wrote"
        yield Problem(place(operator), problem, "pad before the layer, as Keras' padding='causal' does")


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


def _float_tensor(side: str, tensor: Tensor, shape: tuple[int, ...]) -> Iterator[Problem]:
    where = f"{side} tensor {tensor.name!r}"
    if tensor.dtype != "FLOAT32":
        problem = f"its type is {tensor.dtype}; the reference must be a FLOAT32 model"
        yield Problem(
            where, problem, "convert the same model without converter.optimizations and without inference types"
        )
    if tensor.shape[1:] != shape[1:] or len(tensor.shape) != len(shape) or tensor.shape[0:1] not in ((1,), ()):
        problem = f"its shape is {list(tensor.shape)}, the int8 model's is {list(shape)}"
        yield Problem(where, problem, "convert both models from the same network, with a batch of 1")
