"""The clock of the firmware is shown what it must count: a loop of known length, naps, and whole requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from hil.board.outside import Outside, Sent
from hil.contract.instruments.clock import SPIN_INSTRUCTIONS, ClockTest, Spin, Timed, link_room, measured_room
from hil.device import Device
from hil.errors import LinkError
from hil.link.messages import SelfTest
from hil.records import ClockSpec, Record, Status
from hil.session.own_windows import usual_vector
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

_WRAP_TICKS = 1 << 24  # a spin takes longer in invoke than counters that wrap early can count
_NAPS = 5
_GOOD_RATIO = 0.95
# On a counter that also counts what a busy host lets it wait, a longer spin shows more.
_MOST_TIMES, _LEAST_ATTEMPTS, _ENOUGH_S = 16, 3, 2.0
_TRAVELS = 3  # requests without work, of which the quickest tells what the wire takes
_COUNTS = 8  # attempts at a window that seems to take more than its clock shows


def _collect(run: SessionState) -> ClockTest:
    vector = usual_vector(run)
    if run.stopped or vector == NO_VECTOR:
        return ClockTest()
    return run.attempt(NO_VECTOR, partial(_test, run, vector)) or ClockTest()


def _test(run: SessionState, vector: int) -> ClockTest:
    """All of it. Raises what the device raises."""
    device, window = run.device, run.case.vectors.payload(vector)
    if device.self_test(SelfTest.SPIN, padding=window) is None:
        return ClockTest(tried=True)
    device.settle()
    with device.board.outside() as outside:
        spin, core_hz = _spin(device, outside, window), outside.core_hz
        found = ClockTest(tried=True, able=True, counter=outside.counter, spin=spin, core_hz=core_hz)
        if outside.counter:
            found = _whole_requests(run, outside, vector, found)
    slept = _asked(device.self_test(SelfTest.SLEEP, _NAPS))
    return replace(found, naps=_NAPS, slept=_units(device.board.clock, slept.ticks[-1]))


def _spin(device: Device, outside: Outside, window: bytes) -> Spin:
    """Counted outside too, where that can be. A counter with idle time in it gets some attempts, each twice as long."""
    clock = device.board.clock
    base = rounds = _units(clock, _WRAP_TICKS + _WRAP_TICKS // 16) // SPIN_INSTRUCTIONS
    if not outside.counter:
        return Spin(rounds, _readings(clock, _asked(device.self_test(SelfTest.SPIN, rounds, padding=window))))
    counted: list[Timed] = []
    wire = 0
    end = time.monotonic() + _ENOUGH_S
    while True:
        spent, record = outside.spent(partial(_spun, device, rounds, window))
        readings = _readings(clock, record)
        if spent.travels and not counted:
            wire = min(outside.spent(partial(_spun, device, 0, window))[0].units for _ in range(_TRAVELS))
        counted.append(Timed(readings[-1], spent.units, spent.exact, wire))
        if spent.exact or counted[-1].share >= _GOOD_RATIO:
            break
        if len(counted) >= _LEAST_ATTEMPTS and time.monotonic() > end:
            break
        rounds = min(2 * rounds, _MOST_TIMES * base)
    return Spin(rounds, readings, tuple(counted))


def _spun(device: Device, rounds: int, window: bytes, sent: Sent | None) -> Record:
    return _asked(device.self_test(SelfTest.SPIN, rounds, padding=window, sent=sent))


def _whole_requests(run: SessionState, outside: Outside, vector: int, found: ClockTest) -> ClockTest:
    """The shortest request and the same window twice, where what they take can be counted to the instruction.

    A busy host hands over a frame in pieces, and the firmware counts on while it waits for the next one. Work that no
    clock shows is there in every attempt, so the least of some attempts is what counts.
    """
    device, clock, window = run.device, run.device.board.clock, run.case.vectors.payload(vector)

    def empty() -> Timed:
        spent, record = outside.spent(partial(_spun, device, 0, window))
        return Timed(_units(clock, record.ticks[-1]), spent.units, spent.exact)

    def plain() -> Timed | None:
        spent, answer = outside.spent(lambda sent: device.plain(window, sent=sent))
        return Timed(_units(clock, answer.ticks), spent.units, True) if answer is not None else None

    def measured() -> tuple[Timed, Record]:
        spent, record = outside.spent(lambda sent: device.run(window, deadline_ticks=run.deadline_ticks, sent=sent))
        inside = record.ticks[-1] if record.status == Status.DONE else record.gate_ticks or 0
        return Timed(_units(clock, inside), spent.units, True), record

    shortest = empty()
    if not shortest.exact:
        return found
    least = min(shortest, empty(), empty(), key=_rest)
    whole, record = measured()
    found = replace(
        found,
        empty=least,
        window_bytes=len(window),
        prepared_bytes=sum(each.bytes for each in run.case.model.inputs),
        reply_bytes=sum(map(len, (record.output, *record.outputs, record.decision.label.encode()))),
    )
    return replace(
        found,
        plain=_least(plain(), plain, link_room(found)),
        run=_least(whole, lambda: measured()[0], measured_room(found)),
    )


def _rest(timed: Timed) -> int:
    """What the outer count has more, in its units."""
    return timed.outside - timed.inside


def _least(first: Timed | None, again: Callable[[], Timed | None], room: int) -> Timed | None:
    """The attempt with the least time that no clock shows, of as many as it takes to come within `room`, or of all."""
    least = first
    for _ in range(_COUNTS - 1):
        if least is None or _rest(least) <= room:
            break
        other = again()
        least = min(least, other, key=_rest) if other is not None else least
    return least


def _asked(record: Record | None) -> Record:
    """A self-test that the firmware has, as it had others."""
    if record is None:
        raise LinkError("the firmware has some self-tests and refuses others: rebuild it with this harness")
    return record


def _readings(clock: ClockSpec, record: Record) -> tuple[int, ...]:
    """The clock at the end of gate, prepare, invoke and decide."""
    return tuple(_units(clock, ticks) for ticks in (record.gate_ticks or 0, *record.ticks))


def _units(clock: ClockSpec, ticks: int) -> int:
    return int(clock.units(np.array(ticks)))


STEP = Step(ClockTest, Scope.LEAD, _collect)
