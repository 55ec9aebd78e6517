"""Knows which vectors of a case belong together."""

from __future__ import annotations

from hil.case.types import Case


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
