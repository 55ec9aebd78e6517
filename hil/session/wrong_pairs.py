"""Finds which pairs of state the product carries wrongly: each is carried alone, while windows feed the other states as
the oracle has them. Nothing is done where device and oracle agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from hil.board.base import Board
from hil.bundle import build_bundle
from hil.case.types import Case, Gate, InputPart, Prepare, StatePair, Window
from hil.contract.blame import blame, comparable, outputs_beyond
from hil.contract.distance import allowed
from hil.contract.state import WrongPairs
from hil.contract.tensors import output_views
from hil.contract.types import Evidence
from hil.device import Device
from hil.image.elf import Image
from hil.model.ends import MOST_FED
from hil.records import GateReason, Status
from hil.reference.int8 import Int8Oracle
from hil.reference.models import carried_of
from hil.session.arena import arena_of
from hil.session.gate_probes import tensors_of
from hil.session.state import BREAKS
from hil.session.stimuli import split_windows
from hil.tensor import Elements, TensorContract

_LONGEST = 8  # windows of a stream


def wrong_pairs(evidence: Evidence, board: Board, image: Image) -> WrongPairs:
    """The pairs that are wrong when they are carried alone; none where outputs are right, where the board is spared,
    and of a model with more inputs than windows can feed.
    """
    case = evidence.case
    if evidence.faults or evidence.hello.bundle_status or not board.probe_bundles or not case.keeps_state:
        return WrongPairs()
    if not len(case.model.carried) > 1 or len(case.model.every_input) > MOST_FED:
        return WrongPairs()  # of one pair nothing is left to find
    stream = _stream(evidence)
    if len(stream) < 2:
        return WrongPairs()
    windows = [case.vectors.payload(vector) for vector in stream]
    with closing(Int8Oracle(case.model.data, str(case.model.path), carried=carried_of(case.model))) as oracle:
        wanted = oracle.answers(tensors_of(case, windows), np.arange(len(stream)) == 0)
    found = [pair for pair in case.model.carried if _Alone(case, pair, windows, wanted).wrong(board, image)]
    return WrongPairs(tuple(map(str, found)))


def _stream(evidence: Evidence) -> Sequence[int]:
    """The first vectors of a stream that the gate accepts, of one in which an output is not the oracle's."""
    case, sequence = evidence.case, evidence.case.vectors.sequence
    off = np.zeros(len(case.vectors), np.bool_)
    for view in output_views(evidence):
        off |= comparable(view) & outputs_beyond(view, allowed(view.case))
    off &= ~blame(evidence).before_invoke
    if sequence is None:
        return ()
    for vector in np.flatnonzero(off & (sequence >= 0)).tolist():
        valid = evidence.references.gate == GateReason.VALID
        rows = np.flatnonzero((sequence == sequence[vector]) & valid)
        if len(rows) > 1 and (rows[:_LONGEST] == vector).any():
            return [int(row) for row in rows[:_LONGEST]]
    return ()


@dataclass(frozen=True)
class _Alone:
    """One pair carried, and the other states fed. wanted: of each output of the model [windows, elements]."""

    case: Case
    pair: StatePair
    windows: Sequence[bytes]
    wanted: Sequence[Elements]

    def wrong(self, board: Board, image: Image) -> bool:
        case = self._case()
        try:
            board.provision(image, build_bundle(case, arena_of(case, image)))
            device = Device(board, case.model)
            if device.hello.bundle_status:
                return False
            return any(self._off(device, case, place) for place in range(len(self.windows)))
        except BREAKS:
            return True

    def _off(self, device: Device, case: Case, place: int) -> bool:
        record = device.run(self._payload(place), fresh=place == 0)
        outputs = zip(case.model.decided_first(case.model.outputs), (record.output, *record.outputs), strict=True)
        wanted = case.model.decided_first(self.wanted)
        if record.status != Status.DONE:
            return True
        return any(
            allowed(one).beyond(row[place], tensor.element.read(data)).any()
            for one, row, (tensor, data) in zip(self.case.of_outputs, wanted, outputs, strict=True)
        )

    def _case(self) -> Case:
        model = self.case.model
        parts = dict(zip(model.fed, self._fed_parts(), strict=True))
        alone = replace(model, inputs=model.every_input, carried=()).carrying([self.pair])
        first, *further = (
            parts.get(index) or _as_it_is(tensor) for index, tensor in zip(alone.fed, alone.inputs, strict=True)
        )
        return replace(
            self.case,
            model=alone,
            window=first.window,
            gate=first.gate,
            prepare=first.prepare,
            further=tuple(further),
            arena_bytes=None,
        )

    def _fed_parts(self) -> list[InputPart]:
        case = self.case
        return [InputPart(case.window, case.gate, case.prepare), *case.further]

    def _payload(self, place: int) -> bytes:
        """The window's own, and the other states as the window before it left them."""
        model = self.case.model
        given = dict(zip(model.fed, split_windows(self.case, self.windows[place]), strict=True))
        for pair in model.carried:
            if pair is not self.pair:
                tensor = pair.input_tensor
                zero = np.full(tensor.elements, tensor.quantisation.zero_point, tensor.element.dtype)
                state = self.wanted[pair.output][place - 1] if place else zero
                given[pair.input] = tensor.element.write(state.astype(tensor.element.dtype))
        return b"".join(given[index] for index in sorted(given))


def _as_it_is(tensor: TensorContract) -> InputPart:
    """A window that is the input tensor, whatever its values are."""
    rows = tensor.shape[1:] if len(tensor.shape) > 1 else (*tensor.shape, 1)
    window = Window(tensor.element.dtype.name, rows[0], math.prod(rows[1:]))
    largest = float(np.finfo(np.float32).max)
    low, high = (-largest, largest) if tensor.element.real else (tensor.element.low, tensor.element.high)
    return InputPart(window, Gate(low, high, 0.0), Prepare("tensor", 1))
