"""Knows all that is told of a bare model: its tensors, operators and costs, and what speaks against running it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.model.carried import possible_pairs
from hil.model.check import faults_of
from hil.model.encoded import metadata_names
from hil.model.faults import Kind, kinds
from hil.model.graph import TYPE_BYTES, Graph, model_bytes, read_graph, reading
from hil.model.inspect.arena import Arena, ask_arena
from hil.model.inspect.settings import Setting, settings_of
from hil.model.inspect.work import live_bytes, macs, parameters
from hil.model.kernels.library import KernelLibrary
from hil.model.kernels.own import WITH_OWN
from hil.model.state import state_of
from hil.tensor import Quantisation, TensorContract

FORMAT = "hil-model/1"


@dataclass(frozen=True)
class TensorFacts:
    """role: input, output, constant, variable, or activation, which an operator writes. scales, zero_points: empty when
    it is not quantised, several when it is quantised per channel. constant_bytes: of its values in the file.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    role: str
    bytes: int
    constant_bytes: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]


@dataclass(frozen=True)
class OperatorFacts:
    """inputs, outputs: indices of tensors, -1 for an input that is left out."""

    index: int
    name: str
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    macs: int
    parameters: int


@dataclass(frozen=True)
class Refusal:
    """Faults of one kind, `count` of them; settings: what a person chose that led to it."""

    where: str
    problem: str
    fix: str
    count: int
    operators: tuple[int, ...]
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Engine:
    """What one engine says of the model; accepted: it gave no refusal."""

    name: str
    accepted: bool
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class ModelFacts:
    """Of the first subgraph. macs, parameters: of one inference, of all operators. state: what lasts from one inference
    to the next, a phrase each. pairs: indices of tensors, of an output and the input that it fits and that fits no
    other: state, perhaps, which the product carries.
    """

    file: str
    bytes: int
    sha256: str
    subgraphs: int
    metadata: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: tuple[TensorFacts, ...]
    operators: tuple[OperatorFacts, ...]
    macs: int
    parameters: int
    arena: Arena
    state: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    settings: tuple[Setting, ...]
    engines: tuple[Engine, ...]

    @property
    def accepted(self) -> bool:
        return any(engine.accepted for engine in self.engines)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"schema": FORMAT, **asdict(self)}


def inspect(path: Path, kernels: KernelLibrary = WITH_OWN) -> ModelFacts:
    """Everything about the model at `path`. Raises CaseError when it cannot be read as one."""
    data = model_bytes(path)
    graph = read_graph(data, path)
    with reading(path):
        metadata = tuple(metadata_names(data))
    tensors = tuple(_tensor(graph, index) for index in range(len(graph.tensors)))
    operators = _operators(graph)
    settings = tuple(settings_of(graph))
    refusals = tuple(_refusal(kind, settings) for kind in kinds(faults_of(data, path, kernels=kernels)))
    return ModelFacts(
        file=str(path),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        subgraphs=graph.subgraphs,
        metadata=metadata,
        inputs=graph.inputs,
        outputs=graph.outputs,
        tensors=tensors,
        operators=operators,
        macs=sum(each.macs for each in operators),
        parameters=sum(each.parameters for each in operators),
        arena=ask_arena(data, live_bytes(graph, [tensor.bytes for tensor in tensors])),
        state=state_of(graph),
        pairs=tuple(_pairs(graph)),
        settings=settings,
        engines=(Engine(kernels.name, not refusals, refusals),),
    )


def _pairs(graph: Graph) -> Iterator[tuple[int, int]]:
    def ends(indices: Sequence[int]) -> list[TensorContract]:
        tensors = [graph.tensors[index] for index in indices]
        affine = [Quantisation((*each.scales, 0.0)[0], (*each.zero_points, 0)[0]) for each in tensors]
        return [TensorContract(each.dtype, each.shape, one, 0) for each, one in zip(tensors, affine, strict=True)]

    for output, input in possible_pairs(ends(graph.inputs), ends(graph.outputs)):
        yield graph.outputs[output], graph.inputs[input]


def _tensor(graph: Graph, index: int) -> TensorFacts:
    tensor = graph.tensors[index]
    roles = {
        "input": index in graph.inputs,
        "output": index in graph.outputs,
        "constant": tensor.constant,
        "variable": tensor.variable,
    }
    return TensorFacts(
        index=index,
        name=tensor.name,
        type=tensor.dtype,
        shape=tensor.shape,
        signature=tensor.signature,
        role=next((role for role, holds in roles.items() if holds), "activation"),
        bytes=max(0, tensor.elements) * TYPE_BYTES.get(tensor.dtype, 0),
        constant_bytes=tensor.data_bytes,
        scales=tensor.scales,
        zero_points=tensor.zero_points,
    )


def _operators(graph: Graph) -> tuple[OperatorFacts, ...]:
    seen = set[int]()
    return tuple(
        OperatorFacts(
            index=each.index,
            name=each.name,
            custom=each.custom,
            inputs=each.inputs,
            outputs=each.outputs,
            macs=macs(graph, each),
            parameters=parameters(graph, each, seen),
        )
        for each in graph.operators
    )


def _refusal(kind: Kind, settings: tuple[Setting, ...]) -> Refusal:
    line, places = kind.line, {fault.where for fault in kind.faults}
    led = tuple(setting.setting for setting in settings if places & {*setting.where})
    return Refusal(line.where, line.problem, line.fix, len(kind.faults), kind.operators, led)
