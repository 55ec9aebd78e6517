"""Time-outs on a machine with more work than processors: time in which nobody could work does not count."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

_LOOK_S = 0.25  # between two looks; when more time lies between them, whoever looks stood still itself
_BEGIN_S = 0.01  # most answers come sooner, and never cost a look at the other side
_AGAIN_S = 0.05  # from one look at the turns to the next
_NS = 1e-9


class Turn(NamedTuple):
    """What a thread got of the machine's processors since it began."""

    ran: float  # seconds
    waited: float  # seconds in line for a processor, without the turn that it waits for now
    in_line: bool  # it runs, or waits for its turn


Turns = Callable[[], Mapping[int, Turn]]
_NEW = Turn(0.0, 0.0, False)


def turns_of(pid: int) -> dict[int, Turn]:
    """The turns of each thread of a process, by thread id.

    A thread that sleeps, or was stopped by a signal, does not wait. Empty when the process has ended, or when the
    kernel does not tell (Linux does, in /proc/PID/task/*/schedstat).
    """
    turns = {}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                ran, waited, *_ = file.read().split()
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
            turns[int(thread)] = Turn(int(ran) * _NS, int(waited) * _NS, state == b"R")
    except (OSError, IndexError, ValueError):
        pass  # it ended meanwhile, or this is no such kernel
    return turns


class Patience:
    """One time-out of `limit_s` seconds, which begins now.

    What is waited for may be starved by other programs. `turns` tells what each of its threads got, as `turns_of` does;
    the time that one of them stood in line does not count. Nor does time in which nobody called `over`.
    """

    def __init__(self, limit_s: float, turns: Turns = dict) -> None:
        self._turns, self._limit = turns, limit_s
        self._began = self._looked = time.monotonic()
        self._end = self._began + limit_s
        self._unseen = 0.0  # seconds in which nobody looked
        self._first: Mapping[int, Turn] | None = None
        self._last_turn: dict[int, tuple[float, float]] = {}  # of a thread: how long it ran by then, and when that was

    def over(self) -> bool:
        """Whether the time has passed. Costs nothing until then; call it at least every 0.2 s."""
        now = time.monotonic()
        self._unseen += max(0.0, now - self._looked - _LOOK_S)
        self._looked = now
        if self._first is None and now > self._began + _BEGIN_S:
            self._first = self._turns()
            self._last_turn = {thread: (turn.ran, now) for thread, turn in self._first.items()}
        if now < self._end:
            return False
        self._end = self._began + self._limit + self._unseen + self._lost(now)
        if now >= self._end:
            return True
        self._end = max(self._end, now + _AGAIN_S)
        return False

    def await_data(self, connection: socket.socket) -> bool:
        """Whether something can be read, or the other side has hung up, before the time is over."""
        while not self.over():
            left = min(max(0.0, self._end - self._looked), _LOOK_S / 2)
            if select.select([connection], [], [], left)[0]:
                return True
        return False

    def _lost(self, at: float) -> float:
        """Seconds that a thread stood in line since the beginning, the wait that is not over yet included."""
        lost, first = 0.0, self._first or {}
        for thread, now in self._turns().items():
            then = first.get(thread, _NEW)
            ran, since = self._last_turn.get(thread, (then.ran, at))
            if now.ran != ran or not now.in_line:
                since = at
            self._last_turn[thread] = now.ran, since
            lost = max(lost, now.waited - then.waited + at - since)
        return lost
