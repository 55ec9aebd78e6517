"""Knows the order in which vectors are run, and which of them meet no decision state."""

from __future__ import annotations

from collections.abc import Iterator

from hil.records import Status
from hil.session.state import SessionState


def steps(order: list[list[int]]) -> Iterator[tuple[int, bool]]:
    """Vector index, and whether the decision state starts afresh there."""
    for group in order:
        for place, index in enumerate(group):
            yield index, place == 0


def afresh(run: SessionState) -> Iterator[int]:
    """Vectors that were done and met no decision state: nothing before them in their group was done."""
    for group in run.groups:
        for index in group:
            if run.records.status[index] != Status.REJECTED:
                if run.records.status[index] == Status.DONE:
                    yield index
                break
