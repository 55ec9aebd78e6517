"""Knows how a run is interrupted: Ctrl-C, and SIGTERM, by which a CI system ends a job, leave by one door, once."""

from __future__ import annotations

import logging
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

# Functions of Python that take something between two instructions. An exception that comes there leaves a lock locked
# for good, and a thread that wants it waits for ever: a whole run hung because a Ctrl-C came into an import. A
# file that was opened just then stays open.
_TAKING: dict[str, frozenset[str] | None] = {  # by the code's file; None: all of its functions
    "<frozen importlib._bootstrap>": None,
    threading.__file__: frozenset(("__enter__", "__exit__", "_acquire_restore", "notify", "notify_all", "set")),
    logging.__file__: frozenset(("_acquireLock", "_releaseLock", "acquire", "release")),
    pathlib.__file__: frozenset(("open", "read_bytes", "read_text", "touch", "write_bytes", "write_text")),
}
_AGAIN_S = 1.0  # between two signals that both raise; an exception is under way for less than that


class Interruption:
    """The first signal raises KeyboardInterrupt where the main thread is, or at the next place where that leaves no
    lock and no open file of Python's own behind. What is released on the way out must not be interrupted in its turn,
    so a second signal raises nothing while the first one's exception is being handled, nor after `leave`.

    Python drops what a handler raises in some places, such as a finalizer. `check`, called at every step of the work,
    raises it again there, and so does a further signal.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._signal: signal.Signals | None = None
        self._raised_at = 0.0
        self._leaving = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def came(self) -> bool:
        """Whether there was a signal."""
        return self._signal is not None

    def guard(self) -> None:
        """Take the signals over; one that is ignored, as in a shell's background job, stays so. Safe to call twice."""
        for number in (signal.SIGTERM, signal.SIGINT):
            if number not in self._before and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal came. Called by work that goes on all the same."""
        if self._signal is not None and not self._leaving:
            raise KeyboardInterrupt(self._signal.name)

    def leave(self) -> None:
        """From now on everything is being released: signals are noted, and raise nothing."""
        self._leaving = True

    def give_back(self) -> None:
        """Let the signals do what they did before; after an interruption they stay without effect, to the very end."""
        while self._before and not self.came:
            signal.signal(*self._before.popitem())

    def _take(self, number: int, frame: FrameType | None) -> None:
        again = self.came
        self._signal = signal.Signals(number)
        if self._leaving or (again and (_is_under_way() or self._clock() < self._raised_at + _AGAIN_S)):
            return
        self._raised_at = self._clock()
        if not _takes_something(frame):
            raise KeyboardInterrupt(self._signal.name)
        self._raise_behind(self._signal)

    def _raise_behind(self, number: signal.Signals) -> None:
        """Raise at the first call or return outside the functions that take something."""
        before = sys.getprofile()

        def look(frame: FrameType, event: str, argument: Any) -> None:
            if not _takes_something(frame):
                sys.setprofile(before)
                raise KeyboardInterrupt(number.name)

        sys.setprofile(look)


def _takes_something(frame: FrameType | None) -> bool:
    if frame is None or frame.f_code.co_filename not in _TAKING:
        return False
    functions = _TAKING[frame.f_code.co_filename]
    return functions is None or frame.f_code.co_name in functions


def _is_under_way() -> bool:
    """Whether the code that was interrupted handles a KeyboardInterrupt, in a `finally` for instance."""
    error = sys.exception()
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False
