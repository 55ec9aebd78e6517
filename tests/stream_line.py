"""Knows how the tests reach firmware over a stream of bytes: a socket or a terminal, and the link client on it."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil.link.client import LinkClient


class StreamLine:
    """What the link client asks of a ring, over a descriptor. There is no memory to see a restart in."""

    made_anew = False
    published = True
    taken = 0

    def __init__(self, descriptor: int) -> None:
        """descriptor: is made non-blocking; its owner closes it."""
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)

    def look(self) -> None:
        """Nothing to look at."""

    attach = look

    def read(self) -> bytes:
        try:
            return os.read(self.descriptor, 65536)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return os.write(self.descriptor, data)
        except BlockingIOError:
            return 0

    def drained(self) -> bool:
        return True


@dataclass
class Streamed:
    """Firmware that runs at the other end of a line."""

    process: subprocess.Popen[bytes]
    line: StreamLine

    def client(self) -> LinkClient:
        return LinkClient(self.line, self.alive)  # type: ignore[arg-type]

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
