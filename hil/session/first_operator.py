"""Finds the operator with which the device leaves the oracle: the model is cut off behind ever fewer operators, and
each piece runs on both, on a window that they disagree on. Nothing is done where they agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from hil.board.base import Board
from hil.bundle import build_bundle
from hil.case.types import Case, Decide
from hil.contract.blame import blame, comparable, outputs_beyond
from hil.contract.coverage import Coverage
from hil.contract.distance import allowed
from hil.contract.operators import FirstOperator
from hil.contract.sent import GateProbes
from hil.contract.tensors import output_views
from hil.contract.types import Evidence
from hil.device import FRAME_OVERHEAD_BYTES, Device
from hil.errors import CaseError, UsageError
from hil.image.elf import Image
from hil.model.ends import MOST_OUTPUTS
from hil.model.graph import TYPE_BYTES, Graph, Operator, read_graph
from hil.model.rewrite import cut
from hil.model.tflite import parse_model
from hil.records import Status
from hil.reference.int8 import Int8Oracle
from hil.session.arena import arena_of
from hil.session.gate_probes import tensors_of
from hil.session.state import BREAKS
from hil.tensor import OUTPUT_TYPES, steps_between

_STARTS = 2  # of each piece: the arena is painted with another pattern each time
_REPLY_BYTES = 3000  # of an operator's outputs, which the smallest port's reply still holds
_INTEGERS = frozenset(element.name for element in OUTPUT_TYPES if not element.real)


class _Untold(Exception):
    """A piece of the model says nothing: it does not start, or its gate refuses the window."""


def first_operator(evidence: Evidence, board: Board, image: Image) -> FirstOperator:
    """The operator on one window that the device and the oracle disagree on; nothing where they agree, where the board
    is spared, and where the disagreement does not come again when that window runs alone.
    """
    case = evidence.case
    spared = case.own_stages or not board.probe_bundles  # it builds bundles, which know no stage of the product's own
    if evidence.faults or evidence.hello.bundle_status or spared or case.model.carried:
        return FirstOperator()
    found = _disagreement(evidence)
    if found is None:
        return FirstOperator()
    name, window = found
    search = _Search(case, board, image, read_graph(case.model.data, case.model.path), window)
    return FirstOperator(name, tuple((each.index, each.name) for each in search.culprits()))


def _disagreement(evidence: Evidence) -> tuple[str, bytes] | None:
    """Name and bytes of a window that stands alone: the first of the case's vectors, else one of the harness's own."""
    case, before = evidence.case, blame(evidence).before_invoke
    beginnings = np.ones(len(case.vectors), np.bool_)
    if case.keeps_state and case.vectors.sequence is not None:
        sequence = case.vectors.sequence
        beginnings[:] = sequence < 0
        beginnings[np.unique(sequence, return_index=True)[1]] = True
    for view in output_views(evidence):
        off = comparable(view) & ~before & beginnings & outputs_beyond(view, allowed(view.case))
        if off.any():
            row = int(off.argmax())
            return case.vectors.name(row), case.vectors.payload(row)
    sent = (*evidence.section(GateProbes).outputs, *evidence.section(Coverage).sent.outputs)
    return next(((probe.name, probe.window) for probe in sent if probe.window), None)


@dataclass
class _Search:
    """By the number of operators that a piece has: whether it differs, None where that cannot be told."""

    case: Case
    board: Board
    image: Image
    graph: Graph
    window: bytes
    known: dict[int, bool | None] = field(default_factory=dict)

    def culprits(self) -> Sequence[Operator]:
        """The operator that gives another output for inputs that are right, and those before it that cannot be told
        from it; none when the window alone shows nothing.
        """
        end = len(self.graph.operators)
        if not self._differs(end):
            return ()
        pieces = [*self._pieces(), end]
        first, last = -1, len(pieces) - 1
        while last - first > 1:
            middle = (first + last) // 2
            differs = self._differs(pieces[middle])
            if differs is None:
                pieces.pop(middle)
                last -= 1
            elif differs:
                last = middle
            else:
                first = middle
        end = pieces[last]
        # Where ways join, a piece may be right although one before it, on another way, is not.
        while wrong := [piece for piece in self._before(end) if piece in pieces and self._differs(piece)]:
            end = wrong[0]
        return [self.graph.operators[piece - 1] for piece in sorted({end, *self._unknown_before(end, pieces)})]

    def _unknown_before(self, end: int, pieces: Sequence[int]) -> Iterator[int]:
        for piece in self._before(end):
            if piece not in pieces or self._differs(piece) is None:
                yield piece
                yield from self._unknown_before(piece, pieces)

    def _before(self, piece: int) -> list[int]:
        """The pieces that end with an operator whose values the last one of this piece takes."""
        inputs = set(self.graph.operators[piece - 1].inputs)
        values = self._values()
        return [each.index + 1 for each in self.graph.operators[: piece - 1] if inputs & values & set(each.outputs)]

    def _values(self) -> set[int]:
        """The tensors that depend on the windows' values, not on their shape alone."""
        values = set(self.graph.inputs)
        for operator in self.graph.operators:
            if operator.name != "SHAPE" and values & set(operator.inputs):
                values |= set(operator.outputs)
        return values

    def _pieces(self) -> Iterator[int]:
        """Behind how many operators the model can be cut so that the last one tells: integers that a reply holds. Every
        input of the model must be used by then, as an engine has no memory for one that is not.
        """
        used, values = set[int](), self._values()
        for operator in self.graph.operators[:-1]:
            used |= set(operator.inputs)
            outputs = [self.graph.tensors[index] for index in operator.outputs]
            told = all(each.dtype in _INTEGERS for each in outputs) and values & set(operator.outputs)
            size = sum(each.elements * TYPE_BYTES[each.dtype] for each in outputs) if told else 0
            if told and size <= _REPLY_BYTES and len(outputs) <= MOST_OUTPUTS and set(self.graph.inputs) <= used:
                yield operator.index + 1

    def _differs(self, operators: int) -> bool | None:
        """Whether the device's outputs of the last of the first so many operators are not the oracle's, at one start of
        the firmware or another.
        """
        if operators not in self.known:
            try:
                self.known[operators] = self._try(operators)
            except (_Untold, CaseError, UsageError):
                self.known[operators] = None
        return self.known[operators]

    def _try(self, operators: int) -> bool:
        case = self.case if operators == len(self.graph.operators) else self._piece(operators)
        wanted = self._oracle(case)
        try:
            self.board.provision(self.image, build_bundle(case, arena_of(case, self.image)))
            device = Device(self.board, case.model)
            for start in range(_STARTS):
                hello = device.restart() if start else device.hello
                if hello.bundle_status or len(self.window) > hello.frame_bytes - FRAME_OVERHEAD_BYTES:
                    raise _Untold
                record = device.run(self.window)
                if record.status == Status.REJECTED:
                    raise _Untold
                if record.status != Status.DONE or self._off(case, wanted, (record.output, *record.outputs)):
                    return True
        except BREAKS:
            return True
        return False

    def _piece(self, operators: int) -> Case:
        outputs = self.graph.operators[operators - 1].outputs
        outputs = outputs if self.image.facts().own_kernels else outputs[:1]
        data = cut(self.case.model.data, operators, outputs)
        model = parse_model(data, self.case.model.path)
        return replace(self.case, model=model, decide=Decide("none", 1), keeps_state=False, arena_bytes=None)

    def _oracle(self, case: Case) -> Sequence[np.ndarray]:
        with closing(Int8Oracle(case.model.data, str(case.model.path))) as oracle:
            return case.model.decided_first(oracle.answers(tensors_of(case, [self.window])))

    def _off(self, case: Case, wanted: Sequence[np.ndarray], outputs: Sequence[bytes]) -> bool:
        """Inside the model as far as the budget of an output of integers goes; an output as far as its own does."""
        for place, (tensor, given) in enumerate(
            zip(case.model.decided_first(case.model.outputs), outputs, strict=True)
        ):
            observed = tensor.element.read(given)
            row = wanted[place][0]
            if len(observed) != len(row):
                return True
            if case is self.case:
                if allowed(case.of_outputs[place]).beyond(row, observed).any():
                    return True
            elif int(steps_between(row, observed).max()) > self.case.contracts.lsb:
                return True
        return False
