"""Knows a wire between the native firmware and the harness: a relay that carries bytes both ways at a baud rate, loses
and damages them, pulls its plug, and starts the firmware again when the board file's commands say so.
"""

from __future__ import annotations

import os
import pty
import select
import shlex
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from native_session import native_image
from serial.rfc2217 import PortManager

from hil.bundle import build_bundle
from hil.case.types import Case
from hil.image.elf import Image

SHARED_BYTES, BUNDLE_AT = 16 << 20, 0x100000
_ADAPTER_BYTES = 4096  # that it keeps for a host that does not read
BITS = 10  # of a byte: 8N1
Meddle = Callable[[bytes], bytes]
CONTROL = """
import socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    line.sendall("\\n".join(sys.argv[2:]).encode())
    line.shutdown(socket.SHUT_WR)
    sys.exit(line.makefile().read() != "done")
"""


class Wire:
    """The native firmware at one end, `port` at the other. kind: "pty", "socket" or "rfc2217", which has a line DTR.

    baud: how fast it carries, both ways at once; 0 for as fast as it can. to_host, to_device: what becomes of bytes on
    their way. log_on_stream: the firmware's log goes over the wire too.
    """

    def __init__(
        self, folder: Path, case: Case, kind: str = "pty", log_on_stream: bool = True, image: Image | None = None
    ) -> None:
        self.folder, self.kind, self.log_on_stream = folder, kind, log_on_stream
        self.image, self.ram = image or native_image(), folder / "ram"
        self.baud = 0
        self.to_host: Meddle = lambda data: data
        self.to_device: Meddle = lambda data: data
        self.deaf = False  # the host's bytes do not reach the firmware
        self.heard_by: Callable[[bytes], None] = lambda data: None  # who hears them besides
        self.overruns, self.overrun = False, 0  # whether what the host has no room for is lost, and how much was
        self.flashes = self.resets = 0
        self.levels: list[bool] = []  # of DTR, where the port has one
        self.carried = 0
        self._link = folder / "tty"
        self._process: subprocess.Popen[bytes] | None = None
        self._device: socket.socket | None = None
        self._host = -1
        self._client: socket.socket | None = None
        self._queues: dict[bool, tuple[bytearray, float]] = {}
        self._lock, self._end = threading.RLock(), threading.Event()
        self.write_bundle(build_bundle(case))
        (folder / "control.py").write_text(CONTROL)
        self._control = socket.socket(socket.AF_UNIX)
        self._control.bind(str(folder / "control"))
        self._control.listen()
        self._server = socket.create_server(("127.0.0.1", 0)) if kind != "pty" else None
        self._telnet: Any = None  # of rfc2217: what takes the port's settings out of the bytes
        self._number = self._server.getsockname()[1] if self._server is not None else 0
        self.plug_in()
        self.start()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._carry, self._obey)]
        for thread in self._threads:
            thread.start()

    @property
    def port(self) -> str:
        """As a board file names it."""
        return str(self._link) if self.kind == "pty" else f"{self.kind}://127.0.0.1:{self._number}"

    def command(self, what: str) -> str:
        """A command for a board file; what: its words."""
        words = (sys.executable, "-S", str(self.folder / "control.py"), str(self.folder / "control"))
        return f"{shlex.join(words)} {what}"

    # ---- the firmware

    def write_bundle(self, bundle: bytes) -> None:
        with self.ram.open("r+b" if self.ram.exists() else "wb") as out:
            out.truncate(SHARED_BYTES)
            out.seek(BUNDLE_AT)
            out.write(bundle)

    def start(self) -> None:
        """Start the firmware, or start it again."""
        with self._lock:
            self.stop()
            ours, theirs = socket.socketpair()
            command = [str(self.image.path), "--ram", str(self.ram), "--stream", str(theirs.fileno())]
            command += ["--log-on-stream"] if self.log_on_stream else []
            with (self.folder / "stderr").open("ab") as errors:
                self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=errors)
            theirs.close()
            ours.setblocking(False)
            self._device = ours

    def stop(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            if self._device is not None:
                self._device.close()
            self._process = self._device = None
            self._queues.clear()

    # ---- the plug

    def plug_in(self) -> None:
        """A socket needs no more than somebody who connects."""
        with self._lock:
            if self.kind != "pty":
                return
            self._host, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(self._host, False)
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(os.ttyname(slave))
            self._slave = slave

    def unplug(self) -> None:
        with self._lock:
            if self.kind == "pty" and self._host >= 0:
                os.close(self._slave)
                os.close(self._host)
                self._link.unlink()
            elif self._client is not None:
                self._client.close()
            self._host, self._client = -1, None
            self._queues.clear()

    def send(self, data: bytes) -> None:
        """Something that the firmware did not say comes to the host."""
        with self._lock:
            self._put(False, b"".join(self._telnet.escape(data)) if self._telnet is not None else data)

    def send_to_device(self, data: bytes) -> None:
        """The same to the firmware, at once."""
        with self._lock:
            self._put(True, data)
            self._deliver(True)

    def stay_away(self) -> None:
        """Once it is unplugged, nobody can connect any more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.stop()
        self.unplug()
        self._control.close()
        if self._server is not None:
            self._server.close()

    # ---- what carries

    def _carry(self) -> None:
        while not self._end.is_set():
            with self._lock:
                watched = [each for each in (self._device_fd(), self._host_fd(), self._server_fd()) if each >= 0]
            busy = any(queue for queue, _ in self._queues.values())
            with suppress(OSError, ValueError):
                select.select(watched, [], [], 0.0005 if busy else 0.005)
            with self._lock:
                self._step()

    def _step(self) -> None:
        if self._server is not None and self._client is None and select.select([self._server], [], [], 0)[0]:
            self._client, _ = self._server.accept()
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client.setblocking(False)
            self._host = self._client.fileno()
            if self.kind == "rfc2217":
                self._telnet = PortManager(_Uart(self), _Telnet(self))
        if self._device is not None and (data := _read(self._device_fd())):
            self.send(self.to_host(data))
        if self._client is not None and _hung_up(self._client):
            self._client.close()
            self._client, self._host = None, -1
        if self._host >= 0 and (data := _read(self._host)):
            data = b"".join(self._telnet.filter(data)) if self._telnet is not None else data
            self.heard_by(data)
            self._put(True, b"" if self.deaf else self.to_device(data))
        for to_device in (True, False):
            self._deliver(to_device)

    def _put(self, to_device: bool, data: bytes) -> None:
        queue, free_at = self._queues.get(to_device, (bytearray(), 0.0))
        free_at = max(free_at, time.monotonic()) if not queue else free_at
        queue += data
        self._queues[to_device] = queue, free_at

    def _deliver(self, to_device: bool) -> None:
        """As many bytes as the wire has carried by now."""
        queue, since = self._queues.get(to_device, (bytearray(), 0.0))
        target = self._device_fd() if to_device else self._host
        if not queue or target < 0:
            return
        if self.overruns and not to_device and len(queue) > _ADAPTER_BYTES:
            self.overrun += len(queue) - _ADAPTER_BYTES
            del queue[_ADAPTER_BYTES:]
        now = time.monotonic()
        room = len(queue) if not self.baud else int((now - since) * self.baud / BITS)
        if room < 1:
            return
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError, OSError):
            sent = os.write(target, queue[:room])
            del queue[:sent]
            if self.overruns and not to_device:
                self.overrun += len(queue)
                queue.clear()
            self.carried += sent
            self._queues[to_device] = queue, since + sent * BITS / self.baud if self.baud else now

    def _device_fd(self) -> int:
        return self._device.fileno() if self._device is not None else -1

    def _host_fd(self) -> int:
        return self._host

    def _server_fd(self) -> int:
        return self._server.fileno() if self._server is not None and self._client is None else -1

    # ---- the board file's commands

    def _obey(self) -> None:
        self._control.settimeout(0.05)
        while not self._end.is_set():
            try:
                line, _ = self._control.accept()
            except TimeoutError:
                continue
            with line:
                line.setblocking(True)
                what, *files = line.makefile().read().split("\n")
                if what == "flash":
                    self.flashes += 1
                    self.stop()
                    self.write_bundle(Path(files[1]).read_bytes())
                else:
                    self.resets += 1
                self.start()
                line.sendall(b"done")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


class _Telnet:
    """Where the port's manager writes its answers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def write(self, data: bytes) -> None:
        with self._wire._lock:
            self._wire._put(False, data)


class _Uart:
    """A UART as pyserial's manager sees it: it takes all settings, and a pulse on DTR resets the firmware."""

    baudrate, bytesize, parity, stopbits, xonxoff, rtscts = 115_200, 8, "N", 1, False, False
    cts = dsr = ri = cd = rts = break_condition = False

    def __init__(self, wire: Wire) -> None:
        self._wire, self._dtr = wire, False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, level: bool) -> None:
        """A board resets when DTR comes, as through a capacitor; the first time is the opening of the port."""
        before, self._dtr = self._dtr, level
        self._wire.levels.append(level)
        if level and not before and self._wire.levels.count(True) > 1:
            self._wire.resets += 1
            self._wire.start()

    def reset_input_buffer(self) -> None:
        """Nothing is kept here."""

    reset_output_buffer = reset_input_buffer


def _hung_up(line: socket.socket) -> bool:
    try:
        return line.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def wire(
    folder: Path, case: Case, kind: str = "pty", log_on_stream: bool = True, image: Image | None = None
) -> Iterator[Wire]:
    """image: by default the firmware of this checkout."""
    made = Wire(folder, case, kind, log_on_stream, image)
    try:
        yield made
    finally:
        made.close()
