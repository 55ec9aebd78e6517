"""Time-outs on a busy machine: what a starved emulator lost is not counted, what a hanging one wastes is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from hil import patience as patience_module
from hil.patience import Patience, Turn, turns_of

BUSY = "while True: pass"


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(patience_module, "time", clock)
    return clock


def lasts(clock: Clock, patience: Patience, most_s: float = 200.0) -> float:
    """Seconds until it is over, looked at every 0.1 s."""
    start = clock.now
    while not patience.over():
        clock.now += 0.1
        if clock.now - start > most_s:
            return float("inf")
    return clock.now - start


def got(clock: Clock, share: float, in_line: bool = True) -> Callable[[], Mapping[int, Turn]]:
    """A thread that wants to run all the time and gets this share of a processor; or sleeps for the rest of it."""
    start = clock.now

    def turns() -> Mapping[int, Turn]:
        gone = clock.now - start
        return {1: Turn(gone * share, gone * (1 - share) if in_line else 0.0, in_line), 2: Turn(0.0, 0.0, False)}

    return turns


def test_without_anything_to_ask_it_is_a_time_out(clock: Clock) -> None:
    assert lasts(clock, Patience(10.0)) == pytest.approx(10.0, abs=0.11)


def test_one_that_spins_and_one_that_sleeps_get_no_more_time(clock: Clock) -> None:
    assert lasts(clock, Patience(10.0, got(clock, 1.0))) == pytest.approx(10.0, abs=0.11)
    assert lasts(clock, Patience(10.0, got(clock, 0.0, in_line=False))) == pytest.approx(10.0, abs=0.11)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 20.0), (0.1, 100.0)])
def test_one_that_is_starved_gets_as_much_processor_as_on_an_idle_machine(
    clock: Clock, share: float, expected: float
) -> None:
    assert lasts(clock, Patience(10.0, got(clock, share))) == pytest.approx(expected, rel=0.02)


def test_one_that_waits_for_its_turn_and_has_had_none_is_waited_for(clock: Clock) -> None:
    """The kernel counts a wait when it ends: until then the thread just stands in line and does not run."""
    begun = clock.now

    def turns() -> Mapping[int, Turn]:
        return {1: Turn(3.0, 5.0, True) if clock.now < begun + 50 else Turn(4.0, 50.0, False)}

    assert lasts(clock, Patience(10.0, turns)) == pytest.approx(60.0, abs=0.2)


def test_what_was_lost_before_does_not_count(clock: Clock) -> None:
    assert lasts(clock, Patience(10.0, lambda: {1: Turn(3.0, 500.0, False)})) == pytest.approx(10.0, abs=0.11)


def test_a_thread_that_came_later_counts(clock: Clock) -> None:
    begun = clock.now

    def turns() -> Mapping[int, Turn]:
        return {7: Turn(0.0, 4.0, False)} if clock.now > begun + 5 else {}

    assert lasts(clock, Patience(10.0, turns)) == pytest.approx(14.0, abs=0.11)


def test_time_in_which_nobody_looked_does_not_count(clock: Clock) -> None:
    """As when the machine was suspended, or this process was."""
    patience = Patience(10.0)
    assert not patience.over()
    clock.now += 60.0
    assert not patience.over()
    assert lasts(clock, patience) == pytest.approx(9.75, abs=0.11)


def test_a_look_that_comes_early_costs_nothing(clock: Clock) -> None:
    asked = []
    patience = Patience(10.0, lambda: asked.append(clock.now) or {})
    for _ in range(9):
        clock.now += 0.001
        assert not patience.over()
    assert asked == []


# ---- real processes


@pytest.fixture
def crowd() -> Iterator[int]:
    """Process id of one that wants the whole of a core on which seven others want the same, all of them for good."""
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{core}])\n{BUSY}"]
    crowd = [subprocess.Popen(command) for _ in range(8)]
    yield crowd[0].pid
    for each in crowd:
        each.kill()
        each.wait()


def test_the_kernel_tells_who_stands_in_line(crowd: int) -> None:
    end = time.monotonic() + 30.0
    while not any(turn.ran > 0.02 and turn.waited > turn.ran for turn in turns_of(crowd).values()):
        assert time.monotonic() < end, turns_of(crowd)
        time.sleep(0.05)
    assert any(turn.in_line for turn in turns_of(crowd).values())


def test_one_in_a_crowd_is_given_more_than_its_time(crowd: int) -> None:
    time.sleep(0.3)  # until all have begun
    start, patience = time.monotonic(), Patience(0.5, lambda: turns_of(crowd))
    while not patience.over():
        time.sleep(0.01)
    assert time.monotonic() - start > 1.0


def test_a_process_that_ended_tells_nothing() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert turns_of(done.pid) == {}


def test_data_is_awaited_no_longer_than_that() -> None:
    here, there = socket.socketpair()
    with here, there:
        start = time.monotonic()
        assert not Patience(0.2).await_data(here)
        assert time.monotonic() - start >= 0.2
        there.sendall(b"x")
        assert Patience(30.0).await_data(here)
        here.recv(1)
        there.close()
        assert Patience(30.0).await_data(here)  # it has hung up
