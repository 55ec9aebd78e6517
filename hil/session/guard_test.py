"""The guards are shown what must end in a fault: a window past its deadline, a stack overflow, a null pointer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from hil.board.fault import Fault
from hil.contract.instruments.clock import SHORT, rounds_of_all
from hil.contract.instruments.guards import DeadlineTrip, GuardTest, Trip, late_on_the_host
from hil.contract.instruments.marks import NO_MEMORY
from hil.errors import DeviceEnded, DeviceFault, DeviceReset, DeviceSilent
from hil.link.messages import SelfTest
from hil.records import Record
from hil.session.remembered import once_per_image
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

_OWN_DEADLINE_S = 0.01  # where the case has none for this clock
_TRIAL_ROUNDS = 100_000  # of the spin that tells how long a round takes
# The deadline: so long would the spin of the first stage take, if nothing stopped it. Behind a later one the test mode
# has work of its own, which no round of the spin counts.
_TIMES = 2
_ATTEMPTS = 4
_SPIN_LEFT = "hil_spin_left"
_NULL = {SelfTest.NULL_READ: "read", SelfTest.NULL_WRITE: "written", SelfTest.NULL_EXECUTE: "executed"}


def _collect(run: SessionState) -> GuardTest:
    if run.stopped:
        return GuardTest()
    if run.device.board.memory is None:
        return GuardTest(barred=f"{NO_MEMORY}, in which a fault would be seen")
    before = len(run.faults)
    trial = run.attempt(NO_VECTOR, partial(run.device.self_test, SelfTest.SPIN, _TRIAL_ROUNDS))
    if trial is None:
        return GuardTest(tried=len(run.faults) == before)
    deadline = _deadline(run, trial)
    stack = None if run.broken else _trip(run, SelfTest.STACK_GUARD, "written")
    null = [_trip(run, test, words) for test, words in _NULL.items() if not run.broken]
    return GuardTest(True, True, deadline, stack, tuple(null))


def _deadline(run: SessionState, trial: Record) -> DeadlineTrip:
    """A spin past the deadline of the case's windows.

    On a busy host other programs' turns count as the trial's, and the spin is too short then: one that came back before
    the deadline shows nothing of the watchdog, and is the trial of the next attempt. A fault that came late there is
    asked for again too.
    """
    board = run.device.board
    ticks = run.deadline_ticks or int(_OWN_DEADLINE_S * board.clock.tick_hz)
    units = int(board.clock.units(np.array(ticks)))
    rounds, took = _TRIAL_ROUNDS, int(trial.ticks[-1])
    for _ in range(_ATTEMPTS):
        rounds = min(0xFFFFFFFF, _TIMES * SHORT * ticks * rounds_of_all(rounds) // max(1, took))
        start = time.monotonic()
        trip, answer = _tripped(run, SelfTest.SPIN, "spun", rounds, ticks)
        seconds = time.monotonic() - start
        found = DeadlineTrip(units, rounds, trip, _spin_left(run), seconds)
        if answer is not None and int(answer.ticks[-1]) < ticks:
            took = int(answer.ticks[-1])
            continue
        run.restart()
        if not late_on_the_host(found, board.clock) or run.broken:
            break
    return found


def _spin_left(run: SessionState) -> int:
    board = run.device.board
    if board.memory is None or not board.image.has_symbol(_SPIN_LEFT):
        return 0
    return int.from_bytes(board.memory.read(board.image.symbol(_SPIN_LEFT), 4), "little")


def _trip(run: SessionState, test: SelfTest, words: str) -> Trip:
    """What came of a test that must end in a fault. The firmware runs again afterwards."""
    trip, _ = _tripped(run, test, words)
    run.restart()
    return trip


def _tripped(
    run: SessionState, test: SelfTest, words: str, amount: int = 0, deadline_ticks: int = 0
) -> tuple[Trip, Record | None]:
    """What came of it, and what the firmware answered if it came back; it does not run again yet."""
    try:
        return Trip(words), run.device.self_test(test, amount, deadline_ticks=deadline_ticks)
    except DeviceFault as error:
        if isinstance(error.fault, Fault):
            return Trip(words, error.fault.kind, error.fault.stage), None
        return Trip(words), None
    except DeviceReset:
        return Trip(words, "a reset"), None
    except DeviceEnded:
        return Trip(words, "the firmware ended"), None
    except DeviceSilent:
        return Trip(words, "silence"), None


def _kept(found: GuardTest) -> dict[str, Any] | None:
    """Only what held: the rest is tried again."""
    trips = [found.stack, *found.null, found.deadline.trip if found.deadline else None]
    held = found.able and all(trip is not None and not trip.came_back for trip in trips)
    return asdict(found) if held else None


def _again(known: Mapping[str, Any], day: str) -> GuardTest:
    deadline = known["deadline"]
    return GuardTest(
        True,
        True,
        DeadlineTrip(**{**deadline, "trip": Trip(**deadline["trip"])}),
        Trip(**known["stack"]),
        tuple(Trip(**trip) for trip in known["null"]),
        remembered=day,
    )


STEP = Step(
    GuardTest,
    Scope.LEAD,
    lambda run: once_per_image(run, "guards", collect=_collect, to_json=_kept, from_json=_again),
)
