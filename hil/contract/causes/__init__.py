"""Knows what the usual mistakes look like, and guesses the cause of a difference from what it looks like.

A guess is a small function that is given what was wanted and what came, and says what it looks like, or "" when it does
not. The first of a table that says something wins, so the most specific come first. A new front end brings the guesses
that only it needs with a row in `FRONT_ENDS`, and the values before its rounding in `source.SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from hil.contract.causes import answers, channels, outputs, tensors, values
from hil.contract.causes.answers import Answers
from hil.contract.causes.outputs import Outputs
from hil.contract.causes.pair import Pair, together
from hil.tensor import ElementType

Subject = TypeVar("Subject")

# A prepared tensor that is not the reference's: another one, or the right elements elsewhere. One window at a time.
SHAPES: tuple[Callable[[Pair], str], ...] = (
    tensors.stale,
    tensors.partly_stale,
    tensors.laid_out,
    tensors.shifted,
    tensors.sample_lost,
)
# Other values in the right places: what one window hides, several together show.
VALUES: tuple[Callable[[Pair], str], ...] = (
    tensors.taken_for,
    tensors.clamped,
    channels.swapped,
    values.other_offset,
    values.constant,
    values.negated,
    values.scaled,
    values.mean,
    tensors.empty,
    values.rounded,
)
# Values again, by prepare stage: asked before those of any.
FRONT_ENDS: Mapping[str, tuple[Callable[[Pair], str], ...]] = {"scale": (values.misread,)}

# Outputs of the model that are not the oracle's, over all vectors that are off, or over one of them.
OUTPUTS: tuple[Callable[[Outputs], str], ...] = (
    outputs.constant,
    outputs.still,
    outputs.late,
    outputs.input_memory,
    outputs.permuted,
    outputs.taken_for,
    outputs.clamped,
    outputs.offset,
    outputs.scaled,
    outputs.by_position,
    outputs.in_common,
    outputs.rounded,
)

# Of float32 outputs, whose numbers are ranks: what equality alone tells.
FLOAT_OUTPUTS: tuple[Callable[[Outputs], str], ...] = (
    outputs.constant,
    outputs.still,
    outputs.late,
    outputs.input_memory,
    outputs.permuted,
    outputs.in_common,
)


def guesses(element: ElementType) -> tuple[Callable[[Outputs], str], ...]:
    """The guesses at outputs of a type."""
    return FLOAT_OUTPUTS if element.real else OUTPUTS


# Answers of the decide stage, its texts, or the true labels of the vectors, that are not those of the reference.
ANSWERS: tuple[Callable[[Answers], str], ...] = (answers.permuted, answers.always)


def guess(table: Iterable[Callable[[Subject], str]], subject: Subject) -> str:
    """What it looks like, "" when it has no known shape."""
    return next(filter(None, (look(subject) for look in table)), "")


def tensor_cause(pair: Pair, stage: str, common: str = "") -> str:
    """What the difference between two prepared tensors looks like. stage: id of the prepare stage; common: what those
    of all windows look like at once, as `values_cause` has it.
    """
    return guess(SHAPES, pair) or common or values_cause([pair], stage)


def values_cause(pairs: Sequence[Pair], stage: str) -> str:
    """What the differences of several windows, at least one, look like at once."""
    if end := tensors.at_an_end(pairs):
        return end
    if pairs[0].element.real:
        return ""  # their numbers are ranks, of which no arithmetic says anything
    return guess((*FRONT_ENDS.get(stage, ()), *VALUES), together(pairs))


__all__ = [
    "ANSWERS",
    "FRONT_ENDS",
    "OUTPUTS",
    "SHAPES",
    "VALUES",
    "guess",
    "guesses",
    "tensor_cause",
    "values_cause",
]
