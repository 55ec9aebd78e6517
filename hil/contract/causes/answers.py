"""Knows what answers look like that are the right ones under other names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOVED = 2  # labels: one that is answered as another is a mistake of its own
_CLEAR = 0.5  # share of the vectors of a label that are answered alike
_SHOWN = 4


@dataclass(frozen=True)
class Answers:
    """Label indices wanted and given [n], -1 for none, over all vectors that were answered; labels: their names."""

    wanted: NDArray[np.int32]
    given: NDArray[np.int32]
    labels: tuple[str, ...]

    def name(self, index: int) -> str:
        return repr(self.labels[index]) if 0 <= index < len(self.labels) else "no label"


def permuted(answers: Answers) -> str:
    """Each label is always answered as one label, no two as the same, and some as another."""
    taken: dict[int, int] = {}
    for wanted, given in sorted(set(zip(answers.wanted.tolist(), answers.given.tolist(), strict=True))):
        if (wanted < 0) != (given < 0) or taken.setdefault(wanted, given) != given:
            return ""
    moved = {wanted: given for wanted, given in taken.items() if wanted != given}
    if len(moved) < _MOVED or len(set(taken.values())) < len(taken):
        return ""
    return _permuted_words(answers, moved)


def _permuted_words(answers: Answers, moved: dict[int, int]) -> str:
    shown = [f"{answers.name(wanted)} is answered as {answers.name(given)}" for wanted, given in moved.items()]
    return f"permuted labels: {', '.join(shown[:_SHOWN])}{', ...' if len(shown) > _SHOWN else ''}"


def mostly_permuted(answers: Answers) -> str:
    """Most vectors of each label are answered as one label, no two as the same, and some as another."""
    count = len(answers.labels)
    known = (answers.wanted >= 0) & (answers.wanted < count) & (answers.given >= 0) & (answers.given < count)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (answers.wanted[known], answers.given[known]), 1)
    there = np.flatnonzero(table.any(axis=1))
    taken = table.argmax(axis=1)[there]
    moved = there[taken != there]
    clear = (table[there, taken] > _CLEAR * table[there].sum(axis=1)).all()
    if len(moved) < _MOVED or len(set(taken.tolist())) < len(taken) or not clear:
        return ""
    return _permuted_words(answers, {int(label): int(table[label].argmax()) for label in moved})


def always(answers: Answers) -> str:
    """Every vector gets the same answer."""
    given = np.unique(answers.given)
    if len(given) != 1 or len(np.unique(answers.wanted)) < _MOVED:
        return ""
    return f"constant answer: every vector is answered {answers.name(int(given[0]))}"
