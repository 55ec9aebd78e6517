"""What one set of kernels can do, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AS_THEY_ARE = frozenset({"CAST"})  # what it takes are numbers, whatever a scale says


@dataclass(frozen=True)
class KernelLibrary:
    """What one set of kernels can do.

    types: operator -> the types it takes as its first input.
    further_types: (operator, type of its first input) -> types of each further input, by its place, that need not be
    the first one's and that its kernel asks for.
    output_types: (operator, input type) -> output types, where that is not the input's own.
    output_quantisation: operator -> the only int8 output (scale, zero point) that its kernel computes right.
    per_channel: operators whose int8 kernel reads one weight scale per output channel.
    same_quantisation: operators whose int8 kernel moves values without rescaling, so that all its int8 tensors must
    have one scale and zero point.
    flat: operators whose int8 kernel gets more than two output dimensions wrong.
    open_ends: operators that take the rest of an axis where a mask of its end meets one that drops the axis.
    custom: names of custom operators that it has.
    any_subgraphs: it runs models of several graphs (CALL_ONCE, IF, WHILE).
    unread_inputs: it gives memory to inputs of the model, and to outputs of operators, that no operator reads.
    grouped: convolutions that it computes in groups, each of which takes in a share of the input's channels.
    """

    name: str
    types: Mapping[str, frozenset[str]]
    output_types: Mapping[tuple[str, str], frozenset[str]]
    output_quantisation: Mapping[str, tuple[float, int]]
    per_channel: frozenset[str]
    same_quantisation: frozenset[str]
    further_types: Mapping[tuple[str, str], Mapping[int, frozenset[str]]] = field(default_factory=dict)
    flat: frozenset[str] = frozenset()
    open_ends: frozenset[str] = frozenset()
    custom: frozenset[str] = frozenset()
    any_subgraphs: bool = False
    unread_inputs: bool = False
    grouped: frozenset[str] = frozenset()

    @property
    def operators(self) -> frozenset[str]:
        return frozenset(self.types)
