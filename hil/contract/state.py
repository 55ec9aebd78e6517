"""Knows what the outputs of a model that keeps state look like when the state is not kept, or not set back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hil.contract.types import Evidence, Section
from hil.tensor import Elements

MOST_LOOKED_AT = 256  # windows of a share
_SHOWN = 4  # of what keeps state


class Slip(StrEnum):
    """What a product can do to the state. RAW, SHORT, EXCHANGED: of a pair that carries it from an output to an
    input.
    """

    CLEARED = "cleared"
    NEVER = "never"
    RAW = "raw"
    SHORT = "short"
    EXCHANGED = "exchanged"


_WORDS = {
    Slip.CLEARED: "state cleared at every window: these are the outputs of a model that forgets; what resets {}?",
    Slip.NEVER: "state not reset where a stream begins: does `fresh` reach what is kept by {}?",
    Slip.RAW: "state begins with bytes of 0: these are the outputs when {} is set back to 0 and not to its zero point",
    Slip.SHORT: "state not carried whole: these are the outputs when the last byte of {} stays what it was; how many "
    "bytes are copied?",
    Slip.EXCHANGED: "state carried to the wrong inputs: these are the outputs when {} are exchanged",
}


@dataclass(frozen=True)
class OtherState:
    """What the oracle answers on these vectors [m] with a slip: outputs [m, elements] of each output, the one that is
    decided on first. what: the one part of the state that it happens to; "": to all that the model keeps.
    """

    slip: Slip
    what: str
    vectors: NDArray[np.intp]
    outputs: tuple[Elements, ...]


@dataclass(frozen=True)
class OtherStates(Section):
    """What the oracle answers with other states than the right ones."""

    states: tuple[OtherState, ...] = field(default=())

    def of_output(self, place: int) -> OtherStates:
        return OtherStates(tuple(replace(each, outputs=(each.outputs[place],)) for each in self.states))


@dataclass(frozen=True)
class WrongPairs(Section):
    """The pairs of state with which outputs are wrong when the product carries them alone."""

    pairs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"carried alone, it is wrong with {', '.join(self.pairs)}" if self.pairs else ""


def state_cause(evidence: Evidence, off: NDArray[np.intp], right: NDArray[np.intp]) -> str:
    """What makes the outputs of these vectors other than the oracle's, if it is the model's state; "" when that cannot
    be said. off: vectors that differ; right: those that do not.
    """
    case, others = evidence.case, evidence.section(OtherStates)
    if not case.keeps_state or not others.states:
        return ""
    keepers = case.model.state
    state = ", ".join(keepers[:_SHOWN]) + (f" and {len(keepers) - _SHOWN} more" if len(keepers) > _SHOWN else "")
    for other in others.states:
        if _is(evidence, other, off, right):
            return _WORDS[other.slip].format(other.what or state)
    first = np.isin(off, _beginnings(evidence))
    if not first.any() and np.isin(right, _beginnings(evidence)).any():
        where = str(evidence.section(WrongPairs)) or f"it is kept by {state}"
        return (
            f"right where a stream begins, and off only behind that: look at the state, is it cleared or written over; "
            f"{where}"
        )
    return ""


def _is(evidence: Evidence, other: OtherState, off: NDArray[np.intp], right: NDArray[np.intp]) -> bool:
    """Whether the outputs are those of this other state, some of those that are off among them."""
    known = np.isin(other.vectors, (*off, *right))
    observed = evidence.records.output[other.vectors[known]]
    return bool(np.isin(other.vectors, off).any() and (observed == other.outputs[0][known]).all())


def _beginnings(evidence: Evidence) -> NDArray[np.intp]:
    """The first vector of each stream that the gate accepts, and each lone one."""
    valid, sequence = np.flatnonzero(evidence.references.gate == 0), evidence.case.vectors.sequence
    if sequence is None:
        return valid
    alone, streamed = valid[sequence[valid] < 0], valid[sequence[valid] >= 0]
    return np.concatenate([alone, streamed[np.unique(sequence[streamed], return_index=True)[1]]])
