"""Windows that lie elsewhere than the case's own: scaled, mixed, made of noise or steps, and small changes of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Vectors
from hil.records import GateReason
from hil.reference.gate import judge
from hil.session.stimuli.windows import Window, value_range

Real = NDArray[np.float64]


class Ventures:
    """Makes windows out of those of a case, as raw values that its gate accepts. The seed is fixed, so each run makes
    the same ones.
    """

    def __init__(self, case: Case, own: Window, seed: int) -> None:
        """own: windows of the case [n, ...] that the gate accepts, at least one."""
        self._case, self._random = case, np.random.default_rng(seed)
        self._dtype = np.dtype(case.window.dtype)
        self._shape = (case.window.samples, case.window.channels)
        # A window that says nothing lies at zero, which for a tensor is its zero point.
        self._rest = float(case.model.input.quantisation.zero_point) if case.prepare.id == "tensor" else 0.0
        self._own: Real = own.reshape(-1, *self._shape).astype(np.float64) - self._rest
        low, high = value_range(case, self._dtype)
        self._reach = min(max(abs(low - self._rest), abs(high - self._rest)), self._far())

    def fresh(self, count: int) -> Window:
        """Up to `count` new windows [m, ...] in the shape of the case's own."""
        makers: tuple[Callable[[], Real], ...] = (self._scaled, self._mixed, self._patched, self._noise, self._steps)
        return self._accepted([makers[number % len(makers)]() for number in range(count)])

    def near(self, window: Window, count: int) -> Window:
        """Up to `count` windows that a small change makes of this one."""
        base = window.reshape(self._shape).astype(np.float64) - self._rest
        changes = (self._louder, self._disturbed, self._replaced)
        return self._accepted([changes[number % len(changes)](base) for number in range(count)])

    def _far(self) -> float:
        """Twice what fills the tensor, where the stage knows; farther out, all elements look the same."""
        if self._case.prepare.id == "quantize":
            return 512.0 / self._case.prepare.factor
        return np.inf

    def _accepted(self, made: list[Real]) -> Window:
        low, high = value_range(self._case, self._dtype)
        values = np.clip(np.stack(made) + self._rest, low, high)
        values = values.round() if self._dtype.kind != "f" else values
        windows = values.astype(self._dtype).reshape(-1, *self._case.vectors.windows.shape[1:])
        accepted: Window = windows[judge(Vectors(windows), self._case) == GateReason.VALID]
        return accepted

    def _any(self) -> Real:
        one: Real = self._own[self._random.integers(len(self._own))]
        return one

    def _gain(self, low: float = -2.0, high: float = 4.0) -> float:
        return float(2.0 ** self._random.uniform(low, high))

    def _sign(self) -> float:
        return 1.0 if self._random.random() < 0.5 else -1.0

    def _scaled(self) -> Real:
        return self._any() * self._gain()

    def _mixed(self) -> Real:
        return self._any() * self._gain(-2, 2) + self._any() * self._gain(-2, 2) * self._sign()

    def _patched(self) -> Real:
        """Each channel is that of another window."""
        chosen = self._random.random(self._shape[1]) < 0.5
        return np.where(chosen, self._any() * self._gain(), self._any() * self._gain())

    def _noise(self) -> Real:
        level = self._reach * self._gain(-6, 0)
        return self._random.uniform(-level, level, self._shape)

    def _steps(self) -> Real:
        """Levels that hold for some samples."""
        samples = self._shape[0]
        length = int(self._random.integers(1, samples + 1))
        levels = self._random.uniform(-1, 1, (-(-samples // length), self._shape[1])) * self._reach * self._gain(-4, 0)
        held: Real = np.repeat(levels, length, axis=0)[:samples]
        return held

    def _louder(self, base: Real) -> Real:
        return base * self._gain(-0.7, 0.7)

    def _disturbed(self, base: Real) -> Real:
        level = float(np.abs(base).max()) * self._gain(-6, -1)
        return base + self._random.uniform(-level, level, self._shape)

    def _replaced(self, base: Real) -> Real:
        """Some samples of some channels are those of another window, louder or of the other sign."""
        changed = base.copy()
        start, stop = sorted(self._random.integers(0, self._shape[0] + 1, 2).tolist())
        rows = slice(start, max(stop, start + 1))
        channels = self._random.random(self._shape[1]) < 0.5
        other = self._any() * self._gain() * self._sign()
        changed[rows, channels] = other[rows, channels]
        return changed
