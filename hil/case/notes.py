"""What is legal about a case and looks like a mistake, or is not done yet: told, and left to a person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from hil.case.carried import wired
from hil.case.types import Decide, ModelFile, Vectors
from hil.model.carried import guessed


def arena_notes(arena_bytes: int | None) -> Iterator[str]:
    """What to know of a case that does not say yet how much arena its model may use."""
    if arena_bytes is None:
        yield (
            "[budget.memory] has no arena_bytes: the firmware gives the model all of its arena, a run on a target says "
            "which line to write, and hil gate refuses the case until it is there"
        )


def state_notes(said: object, model: ModelFile, vectors: Vectors) -> Iterator[str]:
    """What to know of a case whose model keeps state. said: [model] state, None where the case does not say."""
    pairs = guessed(model) if said is None else ()
    if pairs:
        yield (
            "outputs and inputs of the model fit each other as those of a recurrent model do, and windows feed all of "
            f"them: where it is state, wire it with [model] state = {wired(pairs)}, else say state = false"
        )
    if said is None and model.state:
        yield (
            f"the model keeps state ({shown_state(model.state)}), and each window is judged as the first one after a "
            "reset: say so with [model] state = false, or with true that the product keeps it from window to window"
        )
    if said and (vectors.sequence is None or bool((vectors.sequence < 0).all())):
        yield (
            f"[model] state = {'true' if said is True else '{ ... }'}, and no windows follow one another: give those "
            "of a stream one number in 'sequence' of the vectors"
        )


def shown_state(state: tuple[str, ...]) -> str:
    """What keeps state, in few words."""
    return f"{state[0]}{f', and {len(state) - 1} more' if len(state) > 1 else ''}"


def vector_notes(vectors: Vectors, decide: Decide) -> tuple[str, ...]:
    """Notes about windows that are copies of each other, a sentence each. Streams may well repeat theirs."""
    firsts = _firsts(vectors)
    return (*_copies(vectors, firsts), *_contradictions(vectors, decide, firsts))


def _firsts(vectors: Vectors) -> list[int]:
    """For each vector the first one that sends the same bytes."""
    seen: dict[bytes, int] = {}
    rows = range(len(vectors))
    return [seen.setdefault(hashlib.blake2b(vectors.payload(row), digest_size=16).digest(), row) for row in rows]


def _copies(vectors: Vectors, firsts: list[int]) -> Iterator[str]:
    alone = range(len(vectors)) if vectors.sequence is None else np.flatnonzero(vectors.sequence < 0).tolist()
    different = len({firsts[row] for row in alone})
    if len(alone) < 2 or 2 * different > len(alone):
        return
    few = f"only {different:,} of {len(alone):,} windows differ from each other"
    text = f"all {len(alone):,} windows are the same" if different == 1 else few
    yield f"{text}: was one window saved again and again?"


def _contradictions(vectors: Vectors, decide: Decide, firsts: list[int]) -> Iterator[str]:
    if vectors.label is None:
        return
    labels = vectors.label.tolist()
    wrong = [
        (first, row)
        for row, first in enumerate(firsts)
        if labels[row] != labels[first] and labels[row] >= 0 and labels[first] >= 0
    ]
    if wrong:
        first, row = wrong[0]
        said = [decide.labels[labels[each]] if decide.labels else str(labels[each]) for each in (first, row)]
        more = f", and so are {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        names = f"windows {vectors.name(first)} and {vectors.name(row)}"
        yield f"{names} are the same, and labelled {said[0]!r} and {said[1]!r}{more}"
