"""Knows how many windows and scores of the harness's own a run can afford, by what they cost on its board."""

from __future__ import annotations

from dataclasses import dataclass

from hil.board.base import Board
from hil.case.cost import inference_cost
from hil.case.types import Case

_SECONDS = 0.13  # host time that small requests of one kind may take together
_BYTES_LIKE_A_REQUEST = 1000  # as long as these travel takes an empty request
_MULTIPLICATIONS = 4_000_000  # of the model, for all windows of the harness's own together

LONG = 260  # in a row: beyond what 8 bits count
SHORT = 70  # beyond 6 bits
SHORTEST = 20  # beyond 4 bits


@dataclass(frozen=True)
class Effort:
    """requests: as many small ones of a kind as take no time to speak of. inferences: valid windows of the harness's
    own. Both count by a nominal cost, so that every run of a case on a board sends the same.
    """

    requests: int
    inferences: int

    def windows(self, size: int) -> int:
        """How many windows of this many bytes, that the gate refuses, cost as much as all small requests."""
        return self.requests * _BYTES_LIKE_A_REQUEST // (_BYTES_LIKE_A_REQUEST + size)

    def row(self, size: int) -> int:
        """How long a row of refused windows of this many bytes may be."""
        return next((length for length in (LONG, SHORT) if 4 * length <= self.windows(size)), SHORTEST)


LEAST_INFERENCES, MOST_INFERENCES = 4, 200


def effort(case: Case, board: Board) -> Effort:
    """What a run of the case on this board can afford."""
    inferences = _MULTIPLICATIONS // inference_cost(case)
    return Effort(
        requests=int(_SECONDS / board.request_s),
        inferences=min(max(inferences, LEAST_INFERENCES), MOST_INFERENCES),
    )
