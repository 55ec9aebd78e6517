"""What a model that keeps state would answer with states that are not the right ones: the oracle is asked, no board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hil.case.types import ModelFile
from hil.contract.state import MOST_LOOKED_AT, OtherState, OtherStates, Slip
from hil.interpreter.carried import CLEARED, NEVER, SHORT
from hil.reference.interpreted import Carried
from hil.reference.models import carried_of
from hil.reference.streams import stretches
from hil.session.state import SessionState
from hil.session.step import Scope, Step
from hil.tensor import Elements

Rows = NDArray[np.intp]
_OF_A_PAIR = {Slip.CLEARED: CLEARED, Slip.NEVER: NEVER, Slip.SHORT: SHORT}


def _collect(run: SessionState) -> OtherStates:
    ran = np.intersect1d(run.stimuli.valid, [index for group in run.groups for index in group])
    if not len(ran):
        return OtherStates()
    pieces = [*stretches(run.case, ran, len(ran))]
    rows = np.concatenate([each.rows for each in pieces])[:MOST_LOOKED_AT]
    fresh = np.concatenate([each.fresh for each in pieces if each.fresh is not None])[:MOST_LOOKED_AT]
    opening = np.array([vector for vector, _ in run.opening], np.intp)
    order = np.concatenate([opening, rows])
    states = [
        OtherState(Slip.CLEARED, "", rows, _answers(run, rows, np.ones(len(rows), np.bool_))),
        OtherState(Slip.NEVER, "", rows, _behind(opening, _answers(run, order, np.arange(len(order)) == 0))),
    ]
    if run.case.model.carried and not _right(run, rows, fresh):
        begins = np.concatenate([np.ones(len(opening), np.bool_), fresh])
        states += [
            OtherState(slip, what, rows, _behind(opening, _answers(run, order, begins, carried)))
            for slip, what, carried in _slips(run.case.model)
        ]
    return OtherStates(tuple(states))


def _answers(
    run: SessionState, rows: Rows, fresh: NDArray[np.bool_], carried: Sequence[Carried] | None = None
) -> tuple[Elements, ...]:
    """Of each output, in the order of `OtherState`."""
    tensors = [each[rows] for each in run.stimuli.tensors]
    return tuple(run.case.model.decided_first(run.models.oracle.answers(tensors, fresh, carried)))


def _behind(opening: Rows, outputs: Sequence[Elements]) -> tuple[Elements, ...]:
    return tuple(each[len(opening) :] for each in outputs)


def _right(run: SessionState, rows: Rows, fresh: NDArray[np.bool_]) -> bool:
    """Whether the device's outputs are the oracle's, so that nobody will ask what is wrong with the state."""
    observed = (run.records.output, *run.records.outputs)
    pairs = zip(observed, _answers(run, rows, fresh), strict=True)
    return all(bool((seen[rows] == wanted).all()) for seen, wanted in pairs)


def _slips(model: ModelFile) -> Iterator[tuple[Slip, str, tuple[Carried, ...]]]:
    """What can go wrong with one of the pairs, or between two of them."""
    carried = carried_of(model)
    for place, pair in enumerate(model.carried):
        for slip, mistake in _OF_A_PAIR.items():
            yield slip, str(pair), carried_of(model, {place: mistake})
    if any(each.zero for each in carried):
        named = ", ".join(str(pair) for pair, each in zip(model.carried, carried, strict=True) if each.zero)
        yield Slip.RAW, named, tuple(replace(each, zero=0) for each in carried)
    for one, other in combinations(range(len(carried)), 2):
        if model.carried[one].input_tensor.bytes == model.carried[other].input_tensor.bytes:
            exchanged = [*carried]
            exchanged[one] = replace(carried[one], output=carried[other].output)
            exchanged[other] = replace(carried[other], output=carried[one].output)
            yield Slip.EXCHANGED, f"{model.carried[one]} and {model.carried[other]}", tuple(exchanged)


def _merge(sections: Sequence[OtherStates]) -> OtherStates:
    """The same slips of several shares as one."""
    merged: dict[tuple[Slip, str], OtherState] = {}
    for state in (state for section in sections for state in section.states):
        first = merged.get((state.slip, state.what))
        merged[state.slip, state.what] = state if first is None else _joined(first, state)
    return OtherStates(tuple(merged.values()))


def _joined(one: OtherState, other: OtherState) -> OtherState:
    pairs = zip(one.outputs, other.outputs, strict=True)
    outputs = tuple(np.concatenate(pair) for pair in pairs)
    return replace(one, vectors=np.concatenate([one.vectors, other.vectors]), outputs=outputs)


STEP = Step(OtherStates, Scope.SHARE, _collect, _merge, applies=lambda case: case.keeps_state and not case.prepare.own)
