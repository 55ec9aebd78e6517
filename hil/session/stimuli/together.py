"""Windows of all inputs together that lie elsewhere than the case's own: new ones of one input beside known ones of the
others, and now and then new ones of all.
"""

from __future__ import annotations

import numpy as np

from hil.case.types import Case
from hil.session.stimuli.ventures import Ventures
from hil.session.stimuli.windows import Joint, Windows

_APART = 1000  # between the seeds of two inputs


class Together:
    """Ventures of every input. The seed is fixed, so each run makes the same ones."""

    def __init__(self, case: Case, own: Windows, seed: int) -> None:
        """own: windows of the case that the gate accepts, at least one."""
        self._own, self._random = own, np.random.default_rng(seed)
        parts = enumerate(zip(case.of_inputs, own.parts, strict=True))
        self._each = [Ventures(one, part, seed + _APART * place) for place, (one, part) in parts]

    def fresh(self, count: int) -> Windows:
        """Up to `count` new windows."""
        made = _alike([each.fresh(count) for each in self._each])
        if len(self._each) == 1:
            return made
        return self._beside(made, self._own[self._random.integers(len(self._own), size=len(made))])

    def near(self, window: Joint, count: int) -> Windows:
        """Up to `count` windows that small changes make of this one."""
        made = _alike([each.near(part, count) for each, part in zip(self._each, window, strict=True)])
        if len(self._each) == 1:
            return made
        return self._beside(made, Windows(tuple(np.repeat(part[None], len(made), axis=0) for part in window)))

    def _beside(self, made: Windows, known: Windows) -> Windows:
        """Row by row another input is new; behind the last one all of them are."""
        inputs = len(self._each)
        turn = np.arange(len(made)) % (inputs + 1)
        parts = []
        for place, (new, old) in enumerate(zip(made.parts, known.parts, strict=True)):
            is_new = ((turn == place) | (turn == inputs)).reshape(-1, *[1] * (new.ndim - 1))
            parts.append(np.where(is_new, new, old))
        return Windows(tuple(parts))


def _alike(parts: list[np.typing.NDArray[np.generic]]) -> Windows:
    """As many of each as there are of all."""
    count = min(map(len, parts))
    return Windows(tuple(part[:count] for part in parts))
