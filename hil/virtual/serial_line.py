"""The serial line between USART3 and the probe's virtual COM port, which is a pty here."""

from __future__ import annotations

import fcntl
import os
import pty
import termios
import tty

_NAMED_RATES = {getattr(termios, f"B{rate}"): rate for rate in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}
_NAMED_RATES |= {getattr(termios, f"B{rate}"): rate for rate in (230400, 460800, 921600, 1000000, 2000000)}
_SAME_RATE = 0.03  # a receiver that samples the middle of ten bits keeps up with a difference of about 5 %


class VirtualComPort:
    """The receiving side of the line. `rate_error`: by what it misjudges the rate that its host asked for."""

    def __init__(self, busy: bool = False, rate_error: float = 1.0) -> None:
        self._master, self._slave = pty.openpty()  # the open slave keeps what was sent while no program listens
        tty.setraw(self._slave)
        settings = termios.tcgetattr(self._slave)
        settings[4] = settings[5] = termios.B115200
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._rate_error = rate_error
        self._line = _Resampler()
        if busy:
            fcntl.flock(self._slave, fcntl.LOCK_EX)
            fcntl.ioctl(self._slave, termios.TIOCEXCL)

    def receive(self, byte: int, baud: float) -> None:
        """A byte on the line at `baud`; dropped when the host does not keep up."""
        ratio = baud / (self._host_rate() * self._rate_error)
        data = bytes([byte]) if abs(ratio - 1) < _SAME_RATE else self._line.sample(byte, ratio)
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Pull it out: a program that has the port open finds it gone."""
        os.close(self._slave)
        os.close(self._master)

    def _host_rate(self) -> int:
        return _NAMED_RATES.get(termios.tcgetattr(self._master)[5], 115200)


class _Resampler:
    """What a receiver at another rate makes of frames of ten bits."""

    def __init__(self) -> None:
        self._bits: list[int] = []  # one a bit of the sender

    def sample(self, byte: int, ratio: float) -> bytes:
        """Send `byte`; `ratio`: sender's rate by the receiver's. Returns what was received so far."""
        self._bits += [0, *(byte >> i & 1 for i in range(8)), 1]
        found = bytearray()
        at = 0.0
        while True:
            start = next((i for i in range(int(at), len(self._bits)) if not self._bits[i]), None)
            if start is None:
                self._bits.clear()
                break
            if start + 9.5 * ratio >= len(self._bits):
                del self._bits[:start]
                break
            at = max(at, start)
            samples = [self._bits[int(at + (i + 1.5) * ratio)] for i in range(8)]
            found.append(sum(bit << i for i, bit in enumerate(samples)))
            at += 10 * ratio
        return bytes(found)
