"""The log of a serial port: whole, in the right file, and no port is taken from anybody else or kept."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness_process import observe

from hil.bench.port import holders
from hil.bench.serial_log import SerialLog
from hil.errors import BoardBroken

HOLD = "import sys, time; port = open(sys.argv[1], 'rb'); print('held', flush=True); time.sleep(60)"


class Uart:
    """The firmware's end of a port, and the path of the harness's end."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)

    def send(self, data: bytes) -> None:
        os.write(self.master, data)

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def uart() -> Iterator[Uart]:
    uart = Uart()
    yield uart
    uart.unplug()


def test_what_is_sent_lands_in_the_file_of_its_time(uart: Uart, tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    log = SerialLog(uart.path, 115200, first)
    uart.send(b"one\n" * 1000)
    observe(lambda: first.exists() and len(first.read_bytes()) == 4000)
    log.flush()
    log.turn_to(second)
    uart.send(b"two\n")
    observe(lambda: second.exists() and len(second.read_bytes()) == 4)
    log.close()
    assert first.read_bytes() == b"one\n" * 1000
    assert second.read_bytes() == b"two\n"
    assert log.hint() == ""


def test_flush_waits_for_what_is_under_way(uart: Uart, tmp_path: Path) -> None:
    log = SerialLog(uart.path, 115200, tmp_path / "log")
    uart.send(b"last words\n")
    log.flush()
    assert (tmp_path / "log").read_bytes() == b"last words\n"
    log.close()


def test_the_port_is_free_again_after_close(uart: Uart, tmp_path: Path) -> None:
    for _ in range(2):
        log = SerialLog(uart.path, 115200, tmp_path / "log")
        log.close()
        log.close()
    assert not any(_points_at(fd, uart.path) for fd in os.listdir("/proc/self/fd"))


def _points_at(fd: str, path: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == path
    except OSError:
        return False


def test_a_busy_port_is_named_with_its_holder(uart: Uart, tmp_path: Path) -> None:
    """Somebody who locks nothing still takes bytes away."""
    with subprocess.Popen([sys.executable, "-c", HOLD, uart.path], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            assert list(holders(uart.path)) == [other.pid]
            wanted = rf"log: serial port {uart.path} is in use by pid {other.pid} \(.*python"
            with pytest.raises(BoardBroken, match=wanted) as caught:
                SerialLog(uart.path, 115200, tmp_path / "log")
            assert "\n  next: end that program" in str(caught.value)
            SerialLog(uart.path, 115200, tmp_path / "log", frozenset((other.pid,))).close()
        finally:
            other.kill()


def test_a_second_harness_is_kept_out(uart: Uart, tmp_path: Path) -> None:
    """The same process: only the lock on the port can tell."""
    log = SerialLog(uart.path, 115200, tmp_path / "log")
    with pytest.raises(BoardBroken, match=f"log: serial port {uart.path} is in use by "):
        SerialLog(uart.path, 115200, tmp_path / "log")
    log.close()


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardBroken, match=r"log: port /dev/ttyNONE: .*No such file.*\n  next: name the port"):
        SerialLog("/dev/ttyNONE", 115200, tmp_path / "log")


@pytest.mark.parametrize("url", ["socket://127.0.0.1:1", "rfc2217://127.0.0.1:1", "nonsense://x"])
def test_a_url_that_does_not_answer_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(BoardBroken, match=rf"log: port {url}: .*\n  next: "):
        SerialLog(url, 115200, tmp_path / "log")


def test_a_port_may_be_behind_a_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        log = SerialLog(f"socket://127.0.0.1:{server.getsockname()[1]}", 115200, tmp_path / "log")
        wire, _ = server.accept()
        wire.sendall(b"from afar\n")
        observe(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_bytes() == b"from afar\n")
        log.close()
        wire.close()


def test_a_port_that_goes_away_is_told(uart: Uart, tmp_path: Path) -> None:
    log = SerialLog(uart.path, 115200, tmp_path / "log")
    uart.unplug()
    observe(lambda: log.ended)
    assert uart.path in log.hint()
    log.close()


def test_garbage_hints_at_the_baud_rate(uart: Uart, tmp_path: Path) -> None:
    log = SerialLog(uart.path, 9600, tmp_path / "log")
    uart.send(bytes(range(128, 256)))
    observe(lambda: "128 of 128 bytes" in log.hint())
    assert "9600 baud" in log.hint()
    log.close()


def test_text_with_a_few_odd_bytes_is_text(uart: Uart, tmp_path: Path) -> None:
    log = SerialLog(uart.path, 115200, tmp_path / "log")
    uart.send("Temperatur 21 °C, 50 µs\n".encode() * 20)
    log.flush()
    assert log.hint() == ""
    log.close()


def test_garbage_is_told_at_the_end_of_each_log_that_has_it(uart: Uart, tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    log = SerialLog(uart.path, 9600, first)
    uart.send(bytes(range(128, 256)))
    observe(lambda: "128 of 128 bytes" in log.hint())
    log.turn_to(second)
    assert first.read_bytes().startswith(bytes(range(128, 256)) + b"\n(128 of 128 bytes from ")
    assert first.read_bytes().endswith(b"may be wrong)\n")
    uart.send(b"a line of text that is long enough\n")
    observe(lambda: second.exists() and len(second.read_bytes()) == 35)
    log.flush()
    log.turn_to(third)
    assert second.read_bytes() == b"a line of text that is long enough\n"
    uart.send(bytes(range(128, 256)))
    observe(lambda: "128 of 128 bytes" in log.hint())
    log.close()
    log.close()
    assert third.read_bytes().count(b"128 of 128 bytes") == 1


def test_one_failed_write_does_not_end_the_log(uart: Uart, tmp_path: Path) -> None:
    """A folder that is not there stands for a disk that is full for a while."""
    late = tmp_path / "late" / "log"
    log = SerialLog(uart.path, 115200, late)
    uart.send(b"lost\n")
    observe(lambda: "5 of 5 bytes" in log.hint())
    assert not log.ended
    assert f"{late}: No such file or directory" in log.hint()
    late.parent.mkdir()
    uart.send(b"kept\n")
    observe(lambda: late.exists() and late.read_bytes() == b"kept\n")  # a read may bring a part
    log.close()
    assert late.read_bytes().startswith(b"kept\n\n(5 of 10 bytes from ")
