"""One run per probe: the second is refused with the first one's pid, and the kernel frees what a dead run held."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import AbstractContextManager

import pytest
from harness_process import holding, observe

from hil.bench.probe_lock import ProbeLock, holder
from hil.errors import BoardBroken

HOLD = """
import sys, time
from hil.bench.probe_lock import ProbeLock
lock = ProbeLock(sys.argv[1], 0)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def probe() -> str:
    """An id that no other test has."""
    return f"test-{os.getpid()}-{time.monotonic_ns()}"


def held_elsewhere(probe: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return holding(HOLD, probe)


def test_a_second_run_is_refused_with_the_pid_of_the_first(probe: str) -> None:
    with held_elsewhere(probe) as first:
        with pytest.raises(BoardBroken, match=rf"connect: probe {probe} is in use by pid {first.pid} \(.*python") as it:
            ProbeLock(probe, 0)
        assert "\n  next: " in str(it.value)
        assert holder(probe) == first.pid


def test_a_killed_run_holds_nothing(probe: str) -> None:
    with held_elsewhere(probe) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        ProbeLock(probe, 0).close()
    assert holder(probe) is None


def test_a_second_run_may_wait(probe: str) -> None:
    first = ProbeLock(probe, 0)
    taken: list[ProbeLock] = []
    waiting = threading.Thread(target=lambda: taken.append(ProbeLock(probe, 30)))
    waiting.start()
    assert waiting.is_alive()
    assert not taken
    first.close()
    waiting.join(30)
    assert holder(probe) == os.getpid()
    taken[0].close()
    taken[0].close()
    assert holder(probe) is None


def test_waiting_ends_in_the_refusal(probe: str) -> None:
    first = ProbeLock(probe, 0)
    with pytest.raises(BoardBroken, match=r"\(waited 0.2 s\)"):
        ProbeLock(probe, 0.2)
    first.close()


def test_other_probes_are_free(probe: str) -> None:
    first, second = ProbeLock(probe, 0), ProbeLock(probe + "1", 0)
    first.close()
    second.close()


def test_many_inquiries_do_not_wear_the_lock_out(probe: str) -> None:
    """Doctor may look again and again while a long run goes on."""
    lock = ProbeLock(probe, 0)
    for _ in range(500):
        assert holder(probe) == os.getpid()
    lock.close()
    observe(lambda: holder(probe) is None)


def test_a_long_name_is_a_name_like_any_other(probe: str) -> None:
    """The path of a simulation's flash file is one; only its last character differs."""
    long = f"virtual-{probe}/" + "x" * 300
    first, second = ProbeLock(long, 0), ProbeLock(long + "1", 0)
    with pytest.raises(BoardBroken, match=f"is in use by pid {os.getpid()} "):
        ProbeLock(long, 0)
    first.close()
    second.close()


def test_what_else_keeps_the_lock_away_is_told_at_once(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(socket.socket):
        def bind(self, _: object) -> None:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(
        BoardBroken, match=rf"connect: probe {probe} cannot be locked: .*Cannot allocate memory\n  next"
    ):
        ProbeLock(probe, 3600)
