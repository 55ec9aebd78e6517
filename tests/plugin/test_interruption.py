"""Ctrl-C and SIGTERM: the first raises, what is released on the way out is left in peace."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest

from hil.interruption import Interruption
from hil.plugin import _WayOut


class Clock:
    """Host time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def interruption(clock: Clock) -> Iterator[Interruption]:
    """Guarded. The handlers of the tests' own process are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    guarded = Interruption(clock)
    guarded.guard()
    yield guarded
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int = signal.SIGINT) -> None:
    signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_where_the_main_thread_is(interruption: Interruption, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt, match=number.name):
        send(number)
    assert interruption.came


def leave_in_steps(clock: Clock, released: list[str]) -> None:
    """Work that is interrupted, releases two things, and is sent further signals meanwhile."""
    try:
        try:
            send()
        finally:
            clock.now += 60.0
            send()
            with suppress(ValueError):  # an exception of the release itself
                try:
                    raise ValueError
                finally:
                    send(signal.SIGTERM)
            released.append("board")
    finally:
        send()
        released.append("lock")


def test_what_is_released_on_the_way_out_is_not_interrupted(interruption: Interruption, clock: Clock) -> None:
    released: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        leave_in_steps(clock, released)
    assert released == ["board", "lock"]


def test_two_signals_in_a_row_raise_once(interruption: Interruption, clock: Clock) -> None:
    """Between two handlers of the first one's exception there may be code that handles none."""
    with pytest.raises(KeyboardInterrupt):
        send()
    clock.now += 0.5
    send()


def test_a_dropped_interruption_is_raised_by_the_next_step_and_by_a_further_signal(
    interruption: Interruption, clock: Clock
) -> None:
    interruption.check()
    with suppress(KeyboardInterrupt):
        send()
    with pytest.raises(KeyboardInterrupt):
        interruption.check()
    clock.now += 1.5
    with pytest.raises(KeyboardInterrupt):
        send()


def test_nothing_is_raised_once_all_is_being_released(interruption: Interruption) -> None:
    interruption.leave()
    send()
    interruption.check()
    assert interruption.came


def test_the_signals_are_given_back(interruption: Interruption) -> None:
    interruption.give_back()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    interruption.guard()
    interruption.leave()
    send()
    interruption.give_back()
    send()  # an interrupted process ends with its code, whatever comes


def test_a_signal_that_is_ignored_stays_so(interruption: Interruption) -> None:
    """As Ctrl-C is in a job that a shell has put in the background."""
    interruption.give_back()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption.guard()
    send()
    assert not interruption.came


def test_an_interruption_at_no_line_of_the_source_is_shown_all_the_same() -> None:
    """Python 3.11 tells line None of some instructions; pytest's own words of such a place end in a TypeError."""
    code = compile("raise KeyboardInterrupt", "no_lines.py", "exec").replace(co_linetable=b"")
    with pytest.raises(KeyboardInterrupt) as caught:
        exec(code, {})
    assert caught.value.__traceback__.tb_next.tb_lineno is None
    way_out = _WayOut(Interruption())
    with pytest.raises(TypeError):
        caught.getrepr()
    way_out.pytest_keyboard_interrupt(caught)
    assert "KeyboardInterrupt" in str(caught.getrepr())


def test_an_interruption_inside_an_import_leaves_no_lock_of_the_imports_behind(
    interruption: Interruption, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between taking such a lock and what releases it lies one instruction. Once a run hung for that: a thread that the
    way out waits for had something to import.
    """
    for name in ("first", "second"):
        (tmp_path / f"interrupted_{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    places: list[str] = []

    def interrupt(frame: FrameType, event: str, function: object) -> None:
        if event == "c_return" and getattr(function, "__name__", "") == "acquire_lock":
            places.append(frame.f_code.co_name)
            sys.setprofile(None)
            interruption._take(signal.SIGINT, frame)  # as Python would: a signal that is sent here comes too late

    sys.setprofile(interrupt)
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("interrupted_first")
    assert places == ["_get_module_lock"]
    assert sys.getprofile() is None
    thread = threading.Thread(target=importlib.import_module, args=("interrupted_second",), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_an_interruption_inside_an_open_leaves_no_file_open(interruption: Interruption, tmp_path: Path) -> None:
    """Such a file belongs to nobody yet: nobody closes it, and `-W error` turns that into an error of the whole run."""
    opened: list[object] = []

    def work() -> bool:
        (tmp_path / "board.log").write_bytes(b"")
        return callable(work)  # the next call: there it is raised

    def interrupt(frame: FrameType, event: str, function: object) -> None:
        if event == "c_return" and getattr(function, "__name__", "") == "open":
            opened.append(frame.f_code.co_name)
            sys.setprofile(None)
            interruption._take(signal.SIGINT, frame)  # as Python would: a signal that is sent here comes too late

    sys.setprofile(interrupt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            work()
        gc.collect()
    assert opened == ["open"]
    assert sys.getprofile() is None
    assert [str(each.message) for each in caught] == []
