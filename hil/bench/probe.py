"""Finds the one debug probe of a board, connects through it, and tries what a person would try when that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from hil.bench.command import run_command
from hil.bench.target import Beat, Identity, Target, TargetLost, Wiring, WrongTarget, open_target
from hil.errors import BoardBroken, BoardError

_FIND_POLL_S = 0.1
_COME_BACK_S = 2.0  # a probe that was reset is on the bus again within this
_LET_GO_S = 2.0  # longest wait for a step that was told to stop; one USB transfer times out after 1 s
Answer = TypeVar("Answer")


class Bench(Protocol):
    """Where probes are plugged in: a real USB bus, or a simulated one. A new one is all that a simulator needs."""

    def probes(self) -> list[Any]:
        """pyOCD's probes that are plugged in now. Raises BoardError when the bench itself is broken."""

    def missing(self) -> str:
        """Why there may be no probe, as far as the machine shows it; ends with what to do next."""

    def serial_port(self, probe: str) -> str:
        """The virtual COM port of the probe with this id; "" when it has none."""

    def friends(self) -> frozenset[int]:
        """Processes of the bench itself, which may have the serial port open."""

    def lock_name(self, probe: str) -> str:
        """What two runs that would disturb each other both call the probe."""

    def close(self) -> None:
        """Release what the bench holds. Safe to call twice."""


class NoProbe(BoardBroken):
    """The probe is not plugged in."""


class Stuck(TargetLost):
    """A step did not end in its time. It may still hold the probe."""


class _Cancelled(BaseException):
    """Ends a step's thread from inside its next progress report."""


def within(limit_s: float, doing: str, work: Callable[[Beat], Answer]) -> Answer:
    """The result of `work`, run in a thread of its own so that a call which blocks cannot hold the harness.

    limit_s: the longest silence; `work` breaks it by calling the function that it is given. Raises Stuck after that,
    and what `work` raises. An interruption stops `work` at its next call.
    """
    outcome: Future[Answer] = Future()
    cancelled = threading.Event()
    last = time.monotonic()

    def beat() -> None:
        nonlocal last
        last = time.monotonic()
        if cancelled.is_set():
            raise _Cancelled

    def run() -> None:
        try:
            outcome.set_result(work(beat))
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name=doing, daemon=True)
    thread.start()
    try:
        while not wait([outcome], timeout=max(0.0, last + limit_s - time.monotonic())).done:
            if time.monotonic() >= last + limit_s:
                raise Stuck(f"{doing}: did not go on for {limit_s:.1f} s")
        return outcome.result()
    finally:
        cancelled.set()
        thread.join(_LET_GO_S)


# ---- which probe


def find_probe(bench: Bench, wanted: Sequence[str], how: str) -> Any:
    """The one probe that is plugged in, or the one of `wanted` ids. `how` says where an id can be named.

    An id may be given by any part of it that is its alone. Raises BoardBroken with the list of those that are there.
    """
    present = bench.probes()
    ids = [str(probe.unique_id) for probe in present]
    shown = ", ".join(ids)
    if wanted:
        names = [name.lower() for name in wanted]
        fitting = [probe for probe in present if any(name in str(probe.unique_id).lower() for name in names)]
        if not fitting:
            there = f"plugged in: {shown}" if present else "none is plugged in"
            advice = f"  next: plug it in, or mend {how}" if present else bench.missing()
            raise NoProbe(f"connect: no debug probe with id {' or '.join(wanted)}; {there}\n{advice}")
        if len(fitting) == 1:
            return fitting[0]
        shown = ", ".join(str(probe.unique_id) for probe in fitting)
        raise BoardBroken(f"connect: {len(fitting)} probes fit: {shown}\n  next: name one of them with {how}")
    if not present:
        raise NoProbe(f"connect: no debug probe is plugged in\n{bench.missing()}")
    if len(present) > 1:
        raise BoardBroken(
            f"connect: {len(present)} debug probes are plugged in: {shown}\n  next: say which one with {how}"
        )
    return present[0]


# ---- connecting


@dataclass(frozen=True)
class Connecting:
    """How to connect: seconds for all attempts together, and a command that switches the board off and on, if any.

    as_found: the firmware must not notice, so nothing that resets it is tried.
    """

    wiring: Wiring
    identity: Identity
    connect_s: float
    power_cycle: str
    as_found: bool = False


class Ladder:
    """Connect; when that fails, the same again, then under reset, then after a power cycle. Remembers each try.

    `find` gives the probe. come_back: whether it was there before, and may be on its way back to the bus. One ladder
    serves one loss of the target, so that no person has to read of an older one.
    """

    def __init__(self, find: Callable[[], Any], how: Connecting, come_back: bool = False) -> None:
        self._find, self._how, self._patient = find, how, come_back
        self._end = time.monotonic() + how.connect_s
        self.tried: list[str] = []

    def climb(self, first: str = "connect") -> Target:
        """A connected target. Raises BoardBroken that tells every try; WrongTarget and what `find` raises at once
        when no power cycle can change it.
        """
        gentle = ((first, False), ("connect again", False))
        for name, under_reset in gentle if self._how.as_found else (*gentle, ("connect under reset", True)):
            try:
                return self._attempt(name, under_reset)
            except Stuck:  # its thread may still hold the probe
                break
            except TargetLost:
                continue
            except BoardBroken:
                if not self._how.power_cycle:
                    raise
                break
        if self._how.power_cycle and self._cycle_power():
            try:
                return self._attempt("connect after the power cycle", under_reset=True)
            except (TargetLost, BoardBroken):
                pass
        raise BoardBroken(self._verdict())

    def _attempt(self, name: str, under_reset: bool) -> Target:
        left = self._end - time.monotonic()
        if left <= 0:
            self.tried.append(f"{name}: not tried, {self._how.connect_s:g} s were over (connect_s of the board file)")
            raise Stuck(name)
        try:
            probe = self._find_patiently()
            return within(
                left, "connect", lambda _: open_target(probe, self._how.wiring, self._how.identity, under_reset)
            )
        except WrongTarget:
            raise
        except BoardError as error:
            self.tried.append(f"{name}: {str(error).splitlines()[0].removeprefix('connect: ')}")
            raise

    def _cycle_power(self) -> bool:
        """Run the board file's command and wait for the probe. Whether it ended well."""
        left = max(1.0, self._end - time.monotonic())
        failure = run_command(self._how.power_cycle, left)
        self.tried.append(f"power cycle ({self._how.power_cycle}): {failure or 'done'}")
        # What the other tries left over is not enough for a board that starts from nothing.
        self._end = max(self._end, time.monotonic() + self._how.connect_s / 2)
        self._patient = True
        return not failure

    def _find_patiently(self) -> Any:
        """The probe; one that was there before gets a moment to come back. Only the first try waits for it."""
        end = min(self._end, time.monotonic() + _COME_BACK_S) if self._patient else 0.0
        self._patient = False
        while True:
            try:
                return self._find()
            except NoProbe:
                if time.monotonic() >= end:
                    raise
                time.sleep(_FIND_POLL_S)

    def _verdict(self) -> str:
        rungs = "\n".join(f"    {line}" for line in self.tried)
        power = (
            ""
            if self._how.power_cycle or self._how.as_found
            else "; power_cycle in the board file could name a command for that"
        )
        return (
            f"connect: the board does not answer; tried:\n{rungs}\n"
            f"  next: check its power and cables, unplug it and plug it in again{power}"
        )
