"""Knows what the outputs of a model that keeps state look like when the state is not kept, or not set back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.contract.types import Evidence, Section
from hil.tensor import Elements

MOST_LOOKED_AT = 256  # windows of a share
_SHOWN = 2  # of what keeps state


@dataclass(frozen=True)
class OtherStates(Section):
    """What the oracle answers on these vectors [m] with other states than the right ones: `each` [m, output elements],
    the model forgets before every window; `never`, it forgets nothing from the session's first window on.
    """

    vectors: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    each: Elements | None = None
    never: Elements | None = None


def state_cause(evidence: Evidence, off: NDArray[np.intp], right: NDArray[np.intp]) -> str:
    """What makes the outputs of these vectors other than the oracle's, if it is the model's state; "" when that cannot
    be said. off: vectors that differ; right: those that do not.
    """
    case, others = evidence.case, evidence.section(OtherStates)
    if not case.keeps_state or others.each is None or others.never is None:
        return ""
    keepers = case.model.state
    state = ", ".join(keepers[:_SHOWN]) + (f" and {len(keepers) - _SHOWN} more" if len(keepers) > _SHOWN else "")
    known = np.isin(others.vectors, (*off, *right))
    observed = evidence.records.output[others.vectors[known]]
    if np.isin(others.vectors, off).any():
        if (observed == others.each[known]).all():
            return f"state cleared at every window: these are the outputs of a model that forgets; what resets {state}?"
        if (observed == others.never[known]).all():
            return f"state not reset where a stream begins: does `fresh` reach what is kept by {state}?"
    first = np.isin(off, _beginnings(evidence))
    if not first.any() and np.isin(right, _beginnings(evidence)).any():
        return (
            "right where a stream begins, and off only behind that: look at the state, is it cleared or written over? "
            f"It is kept by {state}"
        )
    return ""


def _beginnings(evidence: Evidence) -> NDArray[np.intp]:
    """The first vector of each stream that the gate accepts, and each lone one."""
    valid, sequence = np.flatnonzero(evidence.references.gate == 0), evidence.case.vectors.sequence
    if sequence is None:
        return valid
    alone, streamed = valid[sequence[valid] < 0], valid[sequence[valid] >= 0]
    return np.concatenate([alone, streamed[np.unique(sequence[streamed], return_index=True)[1]]])
