"""The target as it is seen past its firmware: all of its RAM, and what counts the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hil.link.rtt import Memory

Answer = TypeVar("Answer")
Sent = Callable[[], None]  # called once a request lies in the ring
Request = Callable[[Sent | None], Answer]  # None: nobody waits for that


@dataclass(frozen=True)
class Spent:
    """Units of the board's clock that went by between a request and its answer, counted by the board, not the firmware.

    exact: it is what the firmware took for the request, to some hundred units. Otherwise idle time before and after
    it is in it, and it is an upper bound. travels: the time that request and answer take on a slow wire is in it too.
    """

    units: int
    exact: bool
    travels: bool = False


class Outside(Protocol):
    """A look past the firmware, for as long as a `with` lasts. Raises BoardError when the target is out of reach."""

    counter: str  # what `spent` counts with, in words; "" when this board has nothing to count with

    @property
    def memory(self) -> Memory | None:
        """All RAM of the target; an access may stop it for a moment. None: this board gives no memory."""

    @property
    def core_hz(self) -> int | None:
        """Rate of the core by its clock tree, as the chip's registers have it now; None where that is not known."""

    def spent(self, request: Request[Answer]) -> tuple[Spent, Answer]:
        """What one request took, and its answer. What the request raises goes through."""


class OnlyMemory:
    """A look at a board that gives its memory and nothing to count with."""

    counter = ""
    core_hz: int | None = None

    def __init__(self, memory: Memory | None) -> None:
        self.memory = memory

    def spent(self, request: Request[Answer]) -> tuple[Spent, Answer]:
        """Never: there is no counter."""
        raise NotImplementedError("this board has no counter")


class FreeRunning:
    """A look at a board whose counter can be read at any time, with `read`. wraps: how far it counts, 0 for ever."""

    def __init__(
        self, memory: Memory | None, counter: str, read: Callable[[], int], wraps: int = 0, core_hz: int | None = None
    ) -> None:
        self.memory, self.counter, self.core_hz = memory, counter, core_hz
        self._read, self._wraps = read, wraps

    def spent(self, request: Request[Answer]) -> tuple[Spent, Answer]:
        """An upper bound: from before the request was sent until its answer was seen."""
        before = self._read()
        answer = request(None)
        units = self._read() - before
        return Spent(units % self._wraps if self._wraps else units, exact=False), answer


class HostTime:
    """A look at a board behind a wire: there is nothing to read, but the host has a clock. hz: of the board's clock."""

    counter = "host time"
    memory: Memory | None = None
    core_hz: int | None = None

    def __init__(self, hz: int) -> None:
        self._hz = hz

    def spent(self, request: Request[Answer]) -> tuple[Spent, Answer]:
        """An upper bound: from before the request was sent until its answer was here."""
        before = time.perf_counter_ns()
        answer = request(None)
        units = (time.perf_counter_ns() - before) * self._hz // 1_000_000_000
        return Spent(units, exact=False, travels=True), answer
