"""Knows how the tests reach firmware over a stream of bytes: a socket or a terminal, and the link client on it."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil.link.client import LinkClient
from hil.link.stream import Stream


class _Descriptor:
    """A `Port` over a descriptor, whose owner closes it."""

    baud = 1_000_000_000

    def __init__(self, descriptor: int) -> None:
        self.name, self._descriptor = f"descriptor {descriptor}", descriptor
        os.set_blocking(descriptor, False)

    def read(self) -> bytes:
        try:
            return os.read(self._descriptor, 65536)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0

    def waiting(self) -> int:
        return 0

    def wait(self, seconds: float) -> None:
        select.select([self._descriptor], [], [], seconds)

    def reopen(self) -> str:
        return "a descriptor cannot be opened again"


class StreamLine(Stream):
    """The channel over a descriptor; log lines go nowhere."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(_Descriptor(descriptor), 0.0, lambda _: None)


@dataclass
class Streamed:
    """Firmware that runs at the other end of a line."""

    process: subprocess.Popen[bytes]
    line: StreamLine

    def client(self) -> LinkClient:
        return LinkClient(self.line, self.alive)

    def alive(self) -> None:
        assert self.process.poll() is None, f"the firmware ended with {self.process.returncode}"


@contextmanager
def over_socket(program: Path, arguments: Sequence[str], log: Path, *, as_input: bool = False) -> Iterator[Streamed]:
    """The program with the number of its end of a socket pair behind its arguments; what it logs goes to `log`.
    as_input: that end is its standard input, and there is no number.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, log.open("wb") as out:
        handed = theirs.fileno()
        command = [str(program), *arguments, *([] if as_input else [str(handed)])]
        process = subprocess.Popen(command, stdin=handed if as_input else None, pass_fds=[handed], stderr=out)
        theirs.close()
        with _running(process):
            yield Streamed(process, StreamLine(ours.fileno()))


@contextmanager
def over_terminal(program: Path, arguments: Sequence[str], log: Path) -> Iterator[Streamed]:
    """The program with the path of a pseudo-terminal behind its arguments."""
    ours, theirs = pty.openpty()
    try:
        tty.setraw(ours)
        with log.open("wb") as out:
            process = subprocess.Popen([str(program), *arguments, os.ttyname(theirs)], stderr=out)
            with _running(process):
                yield Streamed(process, StreamLine(ours))
    finally:
        os.close(ours)
        os.close(theirs)


@contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()
