"""Which models the firmware runs right: refuses what it lacks, fails on or gets wrong, before anything is flashed. What
its kernels can do stands in `hil.model.kernels`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hil.case.types import ModelFile
from hil.model.alignment import misplaced
from hil.model.batch import BATCH_FIX, grows, lost_blocks
from hil.model.cures import COMMAND
from hil.model.degenerate import impossible, place
from hil.model.encoded import encoded
from hil.model.ends import input_output
from hil.model.faults import gathered
from hil.model.fixes import INT8_FIX, UPSTREAM_FIX
from hil.model.graph import SCHEMA_VERSION, Graph, Tensor, read_graph, reading
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.kernels.tflm_2020 import TFLM_2020
from hil.model.kernels.upstream import UPSTREAM
from hil.model.operators import integer_weights, missing_operators, unread_outputs, variant
from hil.model.padding import PAD_FIX, padding, separable
from hil.model.sizes import unplannable
from hil.model.tflite import computes_in_float, parse_model
from hil.problems import Problem, raise_any
from hil.tensor import paired

SHOWN_PLACES = 3  # of what is misaligned


def kernels_of(engine: str) -> KernelLibrary:
    """What the kernels of an engine can do; engine: one of `hil.image.tflm`."""
    return UPSTREAM if engine == "upstream" else WITH_OWN


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
    return list(dict.fromkeys([*problems, *_alignment(data, file), *_padding(graph, file), *_batch(graph, file)]))


def _problems(graph: Graph, operators: frozenset[str] | None, kernels: KernelLibrary) -> list[Problem]:
    """Of what depends on the kernels."""
    problems = [*_layout(graph, kernels), *input_output(graph, kernels)]
    problems += [*missing_operators(graph, operators, kernels), *impossible(graph, kernels.operators)]
    for operator in graph.operators:
        if operator.name in kernels.types and operator.name in (operators or kernels.operators):
            problems += variant(graph, operator, kernels)
    named = {each.where for each in problems}  # of an operator that is refused anyway this says nothing new
    return [*problems, *(each for each in unread_outputs(graph, kernels) if each.where not in named)]


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
        if operator.name not in TFLM_2020.operators or any(variant(graph, operator, TFLM_2020))
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
    problems += [each for operator in graph.operators for each in integer_weights(graph, operator)][:1]
    raise_any(file, problems)


def _as_many(graph: Graph, int8: ModelFile) -> Iterator[Problem]:
    for side, found, wanted in (
        ("input", len(graph.inputs), len(int8.inputs)),
        ("output", len(graph.outputs), len(int8.outputs)),
    ):
        if found != wanted:
            problem = f"the float model has {found} {side}s, the int8 model {wanted}"
            yield Problem(f"{side}s", problem, "convert both models from the same network")


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


def _layout(graph: Graph, kernels: KernelLibrary) -> Iterator[Problem]:
    if not graph.operators:
        yield Problem("operators", "the model has none: nothing would run", "name the model that the converter wrote")
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


def _padding(graph: Graph, file: Path) -> Iterator[Problem]:
    """What TFLM leaves to chance, the newest too: nobody can say what the right answer is."""
    for operator in padding(graph):
        problem = "it pads, and TFLM, the newest too, pads with a value that it never wrote"
        cure = f"write it anew, with a PAD before it: {COMMAND} {shlex.quote(str(file))}"
        yield Problem(place(operator), problem, cure if separable(graph, operator) else PAD_FIX)


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
