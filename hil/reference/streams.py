"""Knows which vectors of a case follow one another, and where a stream begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Stretch:
    """Vectors in the order in which they are run. fresh: bool [n], where the state that the model keeps begins anew;
    None where the model keeps none, so that each does.
    """

    rows: Rows
    fresh: NDArray[np.bool_] | None = None


def groups(case: Case) -> list[list[int]]:
    """Vectors that belong together, in file order: each stream is one group, each lone vector its own."""
    sequence = case.vectors.sequence
    if sequence is None:
        return [[index] for index in range(len(case.vectors))]
    streams: dict[int, list[int]] = {}
    ordered: list[list[int]] = []
    for index, number in enumerate(sequence.tolist()):
        if number < 0:
            ordered.append([index])
        elif number in streams:
            streams[number].append(index)
        else:
            streams[number] = [index]
            ordered.append(streams[number])
    return ordered


def stretches(case: Case, rows: Rows, most: int) -> Iterator[Stretch]:
    """These vectors, which the gate accepts, in pieces of `most` and, where the model keeps state, of whole streams."""
    if not case.keeps_state:
        for start in range(0, len(rows), most):
            yield Stretch(rows[start : start + most])
        return
    wanted = {*rows.tolist()}
    piece: list[int] = []
    fresh: list[bool] = []
    for group in groups(case):
        stream = [row for row in group if row in wanted]
        piece += stream
        fresh += [place == 0 for place in range(len(stream))]
        if len(piece) >= most:
            yield Stretch(np.array(piece, np.intp), np.array(fresh))
            piece, fresh = [], []
    if piece:
        yield Stretch(np.array(piece, np.intp), np.array(fresh))
