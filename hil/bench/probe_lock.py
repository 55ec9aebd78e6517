"""One harness run per debug probe, on this machine: a lock that the kernel takes back when its holder ends."""

from __future__ import annotations

import errno
import socket
import struct
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from hil.errors import BoardBroken

_POLL_S = 0.1
_QUEUE = 4096  # inquiries that nobody answers; the kernel keeps them until the holder ends


class Taken(BoardBroken):
    """Another process holds the lock."""


class ProbeLock:
    """Held from the start until `close`.

    It is a Unix socket in Linux's abstract namespace (unix(7)): it is no file, so nothing stays behind after SIGKILL,
    all users of the machine meet at it, and the kernel tells who holds it.
    """

    def __init__(self, probe: str, wait_s: float) -> None:
        """Wait up to `wait_s` for another run. Raises Taken with the holder's pid, BoardBroken when
        something else failed.
        """
        end = time.monotonic() + wait_s
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while True:
            try:
                self._socket.bind(_name(probe))
                self._socket.listen(_QUEUE)
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    self.close()
                    raise BoardBroken(
                        f"connect: probe {probe} cannot be locked: {error}\n"
                        f"  next: look at what this machine allows its users (open files, sockets, memory)"
                    ) from error
                left = end - time.monotonic()
                if left <= 0:
                    self.close()
                    raise Taken(_refusal(probe, wait_s)) from None
                time.sleep(min(_POLL_S, left))

    def close(self) -> None:
        """Let others in. Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def holder(probe: str) -> int | None:
    """Process id of the run that uses the probe, None when there is none; 0 when it is in another container."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inquiry:
        inquiry.setblocking(False)
        with suppress(OSError):
            inquiry.connect(_name(probe))
            credentials = inquiry.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", credentials)[0])
    return None


def command_line(pid: int, proc: Path = Path("/proc")) -> str:
    """What the process was started as, shortened; "" when that cannot be read."""
    with suppress(OSError):
        return " ".join((proc / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ").split())[:120]
    return ""


def _name(probe: str) -> str:
    # A socket's name has room for 107 bytes; the path of a simulation's flash file may be longer.
    return f"\0hil-probe-{sha256(probe.encode(errors='surrogateescape')).hexdigest()}"


def _refusal(probe: str, wait_s: float) -> str:
    pid = holder(probe)
    who = f"pid {pid} ({command_line(pid)})" if pid else "another run"
    waited = f" (waited {wait_s:g} s)" if wait_s else ""
    return (
        f"connect: probe {probe} is in use by {who}{waited}\n"
        f"  next: wait for it to end, or set lock_wait_s in the board file to have this run wait"
    )
