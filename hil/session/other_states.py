"""What a model that keeps state would answer with states that are not the right ones: the oracle is asked, no board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.contract.state import MOST_LOOKED_AT, OtherStates
from hil.reference.streams import stretches
from hil.session.state import SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> OtherStates:
    ran = np.intersect1d(run.stimuli.valid, [index for group in run.groups for index in group])
    if not len(ran):
        return OtherStates()
    rows = np.concatenate([each.rows for each in stretches(run.case, ran, len(ran))])[:MOST_LOOKED_AT]
    prepared, oracle = run.stimuli.tensors, run.models.oracle
    opening = [vector for vector, _ in run.opening]
    order = np.concatenate([np.array(opening, np.intp), rows])
    fresh = np.arange(len(order)) == 0
    each = oracle.run(*(tensors[rows] for tensors in prepared))
    never = oracle.run(*(tensors[order] for tensors in prepared), fresh=fresh)
    return OtherStates(rows, each, never[len(opening) :])


def _merge(sections: Sequence[OtherStates]) -> OtherStates:
    told = [each for each in sections if each.each is not None and each.never is not None]
    if not told:
        return OtherStates()
    return OtherStates(
        np.concatenate([each.vectors for each in told]),
        np.concatenate([each.each for each in told if each.each is not None]),
        np.concatenate([each.never for each in told if each.never is not None]),
    )


STEP = Step(OtherStates, Scope.SHARE, _collect, _merge, applies=lambda case: case.keeps_state)
