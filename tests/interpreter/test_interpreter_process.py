"""An interpreter's process: what it answers, how its end is told, and that nothing keeps it alive."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.interpreter.messages import receive, send
from hil.interpreter.process import InterpreterEnded, InterpreterProcess, InterpreterRefused

MODEL = Path(__file__).parents[2] / "golden_vectors" / "imu_motion" / "model_int8.tflite"
ARENA_BYTES = 1 << 20
LONG_ROWS = 200_000  # seconds of work for the interpreter, cut short by what the test does to it


@pytest.fixture
def process():
    process = InterpreterProcess()
    yield process
    process.close()


@pytest.fixture
def opened(process):
    process.ask("open_tflm", {"model": MODEL.read_bytes(), "arena_bytes": ARENA_BYTES})
    return process


def ended(ask: Callable[[], object]) -> InterpreterEnded:
    with pytest.raises(InterpreterEnded) as caught:
        ask()
    return caught.value


def long_request(process: InterpreterProcess) -> Callable[[], object]:
    tensors = np.zeros((LONG_ROWS, 240), np.int8)
    return lambda: process.ask("run_tflm", {"tensors": tensors})


def while_it_works(process: InterpreterProcess, action: Callable[[], object]) -> InterpreterEnded:
    """What a long request raises when `action` happens in its midst."""
    timer = threading.Timer(0.5, action)
    timer.start()
    try:
        return ended(long_request(process))
    finally:
        timer.join()


def is_gone(pid: int, limit_s: float = 5.0) -> bool:
    """Whether the process has ended, or does so in time. Works for processes of others, which nobody here waits for."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_message_arrives_as_it_was_sent() -> None:
    values = {
        "text": "\u00e4, \u65e5\u672c",
        "number": float("inf"),
        "list": [1, [2, "three"], None],
        "bytes": bytes(range(256)),
        "empty": b"",
        "int8": np.arange(-128, 128, dtype=np.int8).reshape(2, 4, 32),
        "float32": np.array([np.inf, -0.0, 1e-45], np.float32),
        "nothing": np.zeros((0, 7), np.float32),
        "large": np.arange(1_000_000, dtype=np.int32),
    }
    here, there = socket.socketpair()
    with here, there:
        sender = threading.Thread(target=send, args=(here, values))
        sender.start()
        found = receive(there)
        sender.join()
    assert found.keys() == values.keys()
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
            np.testing.assert_array_equal(found[name], value)
        else:
            assert found[name] == value


def test_a_request_is_answered_with_arrays_and_plain_values(process) -> None:
    answer = process.ask("open_tflm", {"model": MODEL.read_bytes(), "arena_bytes": ARENA_BYTES})
    assert answer["input"]["shape"] == [1, 40, 1, 6]
    outputs = process.ask("run_tflm", {"tensors": np.zeros((3, 240), np.int8)})["outputs"]
    assert (outputs.dtype, outputs.shape) == (np.int8, (3, 4))


def test_a_refusal_brings_what_the_interpreter_printed_and_leaves_the_process_usable(process) -> None:
    with pytest.raises(InterpreterRefused, match="Failed to resize buffer"):
        process.ask("open_tflm", {"model": MODEL.read_bytes(), "arena_bytes": 600})
    assert process.ask("open_tflm", {"model": MODEL.read_bytes(), "arena_bytes": ARENA_BYTES})["output"]


def test_words_of_an_earlier_request_are_not_told_again(process) -> None:
    with pytest.raises(InterpreterRefused):
        process.ask("open_tflm", {"model": MODEL.read_bytes(), "arena_bytes": 600})
    with pytest.raises(InterpreterRefused) as caught:
        process.ask("run_tflm", {"tensors": np.zeros((1, 240), np.int8)})
    assert caught.value.words == ""
    assert "NoneType" in caught.value.said


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE])
def test_a_signal_that_ends_it_is_named(opened, number: signal.Signals) -> None:
    error = while_it_works(opened, lambda: os.kill(opened.pid, number))
    assert error.how == f"was killed by {number.name}"
    assert not error.closed


def test_an_end_for_lack_of_memory_is_told(opened) -> None:
    assert "when memory runs out" in while_it_works(opened, lambda: os.kill(opened.pid, signal.SIGKILL)).how


def test_what_hangs_is_ended_after_the_limit(opened) -> None:
    os.kill(opened.pid, signal.SIGSTOP)  # as native code that never returns, which hears of nothing either
    error = ended(lambda: opened.ask("run_tflm", {"tensors": np.zeros((1, 240), np.int8)}, silence_s=0.5))
    assert error.how == "hung: no answer in 0.5 s"
    assert is_gone(opened.pid)


@pytest.mark.slow
def test_long_work_is_no_hang(opened) -> None:
    started = time.monotonic()
    answer = opened.ask("run_tflm", {"tensors": np.zeros((60_000, 240), np.int8)}, silence_s=0.6)
    assert len(answer["outputs"]) == 60_000
    assert time.monotonic() - started > 0.6


def test_an_ended_process_stays_ended(opened) -> None:
    while_it_works(opened, lambda: os.kill(opened.pid, signal.SIGSEGV))
    request = {"tensors": np.zeros((1, 240), np.int8)}
    assert ended(lambda: opened.ask("run_tflm", request)).how == "was killed by SIGSEGV"


def test_closing_ends_a_request_in_its_midst(opened) -> None:
    started = time.monotonic()
    assert while_it_works(opened, opened.close).closed
    assert time.monotonic() - started < 10.0
    assert is_gone(opened.pid)


def test_a_closed_process_answers_no_more(opened) -> None:
    opened.close()
    opened.close()
    assert ended(lambda: opened.ask("run_tflm", {})).closed


def test_nobody_holding_it_ends_it() -> None:
    process = InterpreterProcess()
    pid = process.pid
    del process
    assert is_gone(pid)


def test_it_takes_no_file_descriptors_along() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        InterpreterProcess().close()
    assert len(os.listdir("/proc/self/fd")) == before


HARNESS = """
import sys
import numpy as np
from hil.interpreter.process import InterpreterProcess
process = InterpreterProcess()
process.ask("open_tflm", {"model": open(sys.argv[1], "rb").read(), "arena_bytes": 1 << 20})
print(process.pid, flush=True)
process.ask("run_tflm", {"tensors": np.zeros((int(sys.argv[2]), 240), np.int8)})
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stopped", [False, True])
def test_it_ends_with_the_harness_whatever_it_does(number: signal.Signals, stopped: bool) -> None:
    """stopped: it hears of nothing, as native code that holds Python's lock and never returns."""
    command = [sys.executable, "-c", HARNESS, str(MODEL), str(LONG_ROWS)]
    harness = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        harness.send_signal(number)
        assert is_gone(pid)
    finally:
        harness.kill()
        harness.communicate()


def test_it_leaves_no_core_file(opened, tmp_path: Path) -> None:
    limits = Path(f"/proc/{opened.pid}/limits").read_text()
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]
