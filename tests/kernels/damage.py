"""Knows how a model of one operator is damaged: a tensor or an option is another one than its kernel was made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from kernel_bench import Trial

from hil.model.check import own_operators
from hil.model.degenerate import impossible
from hil.model.graph import TENSOR_TYPE_NAMES, TYPE_BYTES, Graph, read_graph
from hil.model.kernels.own import OWN_KERNELS, WITH_OWN
from hil.model.kernels.tflm_2020 import TFLM_2020
from hil.model.rewrite import packed

FILE = Path("damaged.tflite")

Random = np.random.Generator
TYPES = ("FLOAT32", "INT8", "UINT8", "INT16", "INT32", "INT64", "BOOL")


def another_type(random: Random, graph: Any) -> None:
    _tensor(random, graph).type = getattr(schema.TensorType, str(random.choice(TYPES)))


def another_rank(random: Random, graph: Any) -> None:
    tensor = _tensor(random, graph)
    tensor.shape = [*tensor.shape, 2] if random.random() < 0.5 else list(tensor.shape)[1:]


def another_size(random: Random, graph: Any) -> None:
    tensor = _tensor(random, graph)
    if len(tensor.shape):
        sizes = [int(size) for size in tensor.shape]
        sizes[int(random.integers(len(sizes)))] += int(random.choice([-1, 1, 2]))
        tensor.shape = [max(size, 1) for size in sizes]


def an_input_less(random: Random, graph: Any) -> None:
    inputs = list(graph.operators[0].inputs)
    inputs[int(random.integers(len(inputs)))] = -1
    graph.operators[0].inputs = inputs


def an_input_more(random: Random, graph: Any) -> None:
    inputs = list(graph.operators[0].inputs)
    graph.operators[0].inputs = [*inputs, inputs[0]]


def no_constant(random: Random, graph: Any) -> None:
    _tensor(random, graph).buffer = 0


def another_scale(random: Random, graph: Any) -> None:
    quantisation = _tensor(random, graph).quantization
    if quantisation is not None:
        quantisation.scale = [float(random.choice([1e-3, 0.7, 30.0])) for _ in range(int(random.integers(1, 4)))]


def another_option(random: Random, graph: Any) -> None:
    options = graph.operators[0].builtinOptions
    names = [name for name, value in vars(options).items() if isinstance(value, int)] if options else []
    if names:
        name = str(random.choice(names))
        old = getattr(options, name)
        setattr(options, name, not old if isinstance(old, bool) else int(random.integers(0, 8)))


def another_number(random: Random, model: Any) -> None:
    """In a constant of whole numbers of 32 bits: a shape, an axis, a place."""
    kept = [tensor for tensor in model.subgraphs[0].tensors if tensor.buffer and tensor.type == schema.TensorType.INT32]
    if kept:
        buffer = model.buffers[kept[int(random.integers(len(kept)))].buffer]
        numbers = np.asarray(buffer.data, np.uint8).view("<i4").copy()
        numbers[int(random.integers(len(numbers)))] = int(random.integers(-8, 9))
        buffer.data = numbers.view(np.uint8)


DAMAGES: tuple[Callable[[Random, Any], None], ...] = (
    another_type,
    another_rank,
    another_size,
    an_input_less,
    an_input_more,
    no_constant,
    another_scale,
    another_option,
)


def damaged(trials: Sequence[Trial], random: Random) -> Iterator[tuple[Trial, int]]:
    """Of those that still are what no interpreter refuses and that go to a kernel of our own: the trial, and the bytes
    of its outputs for all windows.
    """
    for trial in trials:
        other, outputs = _damaged(trial, random)
        graph = read_graph(other.model, FILE)
        if not any(impossible(graph, WITH_OWN.operators)) and own_operators(other.model, FILE) and _is_ours(graph):
            yield other, outputs


def _is_ours(graph: Graph) -> bool:
    """Not a type of which the TFLM of 2020 has a kernel, and we have none."""
    (operator,) = graph.operators
    row = next(kernel for kernel in OWN_KERNELS if kernel.operator == operator.name)
    old, kind = TFLM_2020.types.get(operator.name, ()), graph.tensors[operator.inputs[0]].dtype
    return kind not in old or kind in {taken for taken, _ in row.pairs}


def _damaged(trial: Trial, random: Random) -> tuple[Trial, int]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(trial.model, 0))
    graph = model.subgraphs[0]
    for _ in range(int(random.integers(1, 3))):
        DAMAGES[int(random.integers(len(DAMAGES)))](random, graph)
    if random.random() < 0.2:
        another_number(random, model)
    for tensor in graph.tensors:  # a constant keeps as much data as it needs
        buffer = model.buffers[tensor.buffer]
        if buffer.data is not None and len(buffer.data):
            buffer.data = np.resize(buffer.data, _bytes(tensor))
    outputs = sum(_bytes(graph.tensors[index]) for index in graph.outputs)
    return replace(trial, model=packed(model)), outputs * len(trial.windows)


def _bytes(tensor: Any) -> int:
    return int(np.prod(tensor.shape, dtype=int)) * TYPE_BYTES[TENSOR_TYPE_NAMES[tensor.type]]


def _tensor(random: Random, graph: Any) -> Any:
    """One that the operator reads or writes."""
    operator = graph.operators[0]
    indices = [index for index in (*operator.inputs, *operator.outputs) if index >= 0]
    return graph.tensors[int(random.choice(indices))]
