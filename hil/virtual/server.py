"""The process of a simulated bench: a NUCLEO-F429ZI with its ST-LINK, behind sockets and a pty.

`python -m hil.virtual.server --control FD --probe-id ID [--flash FILE] [--misbehave TEXT]...`; it ends when the control
line closes.
"""

from __future__ import annotations

import argparse
import errno
import mmap
import os
import selectors
import socket
import sys
import time
from pathlib import Path

from hil.virtual.coresight import DEVICE_ID, CoreDebug, DebugPort
from hil.virtual.machine import Machine
from hil.virtual.misbehaviour import Misbehaviour
from hil.virtual.serial_line import VirtualComPort
from hil.virtual.stlink import BOARD_ID, LIST, OPEN, SERIAL_NUMBERS, SERIAL_PATH, Probe
from hil.virtual.stm32f4 import FLASH_BYTES

_LARGEST = 1 << 13  # bytes of one packet; an ST-LINK moves up to 6 kB at once
_GARBLED_RATE = 0.37
_SWITCH_INTERVAL_S = 1e-4  # so that a request does not wait long for the core's thread


class Bench:
    """What stands on the simulated bench, and how it misbehaves."""

    def __init__(self, wrong: Misbehaviour, flash: memoryview | None, probe_id: str) -> None:
        self._wrong, self._probe_id = wrong, probe_id
        self._com_port: VirtualComPort | None = self._new_com_port()
        self.machine = Machine(
            flash,
            uart=self._receive,
            protected=wrong.write_protected,
            stuck=wrong.stuck_bits,
            lockup_after=wrong.lockup_instructions,
        )
        device_id = DEVICE_ID if wrong.device_id is None else wrong.device_id
        core = CoreDebug(self.machine, device_id)
        port = DebugPort(self.machine, core, powered=not wrong.no_target_power)
        self.probes = {self._probe_id: Probe(port, wrong.board_id or BOARD_ID)}
        if wrong.two_probes:
            self.probes[SERIAL_NUMBERS[1]] = Probe(None)
        self._unplugged = False
        self._transfers_of_run = 0
        if port.powered:
            self.machine.resume()

    def on_bus(self) -> list[str]:
        """Serial numbers of the devices that the host sees; a board that is to come back does so after the first."""
        if self._wrong.no_probe:
            return []
        if self._unplugged and self._wrong.comes_back:
            self._come_back()
            return [number for number in self.probes if number != self._probe_id]
        return [number for number in self.probes if not self._unplugged or number != self._probe_id]

    def packet(self, serial_number: str, data: bytes) -> bytes | None:
        """A packet for a probe. Raises ConnectionError when that unplugs it."""
        if self._wrong.slow_s:
            time.sleep(self._wrong.slow_s)
        probe = self.probes[serial_number]
        before = probe.transfers
        answer = probe.packet(data)
        if serial_number == self._probe_id and not self._unplugged:
            self._transfers_of_run += (probe.transfers - before) * self.machine.in_conversation
            if self._is_pulled_now():
                self._pull_cable()
                raise ConnectionError
        return answer

    def _is_pulled_now(self) -> bool:
        words, transfers = self._wrong.unplug_flash_words, self._wrong.unplug_run_transfers
        return (words is not None and self.machine.flash_interface.programmed >= words) or (
            transfers is not None and self._transfers_of_run >= transfers
        )

    @property
    def serial_path(self) -> str:
        """Path of the virtual COM port, "-" while the cable is pulled."""
        return self._com_port.path if self._com_port else "-"

    def _new_com_port(self) -> VirtualComPort:
        return VirtualComPort(self._wrong.serial_busy, _GARBLED_RATE if self._wrong.uart_garbage else 1.0)

    def _receive(self, byte: int, baud: float) -> None:
        if self._com_port:
            self._com_port.receive(byte, baud)

    def _pull_cable(self) -> None:
        """It is also the board's supply."""
        self._unplugged = True
        self.machine.halt()
        if self._com_port:
            self._com_port.close()
        self._com_port = None

    def _come_back(self) -> None:
        self._unplugged = False
        self._wrong = Misbehaviour()
        self._com_port = self._new_com_port()
        self.machine.power_cycle()
        self.machine.resume()


class Server:
    """Serves one harness: its control line, and a pipe for each opened device."""

    def __init__(self, control: socket.socket, bench: Bench) -> None:
        self._control, self._bench = control, bench
        self._pipes: dict[str, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._on_control)

    def serve(self) -> None:
        """Until the control line closes."""
        try:
            while True:
                for key, _ in self._selector.select():
                    key.data()
        except EOFError:
            return

    def _on_control(self) -> None:
        message = self._control.recv(_LARGEST)
        if not message:
            raise EOFError
        number, request = message[:1], message[1:]  # the answer bears the number of its question
        if request == SERIAL_PATH:
            self._control.send(number + self._bench.serial_path.encode())
        elif request == LIST:
            self._control.send(number + " ".join(self._bench.on_bus()).encode())
        elif request.startswith(OPEN):
            self._open(number, request[1:].decode())

    def _open(self, number: bytes, serial_number: str) -> None:
        if serial_number not in self._bench.on_bus():
            self._control.send(number + str(errno.ENODEV).encode())
        elif serial_number in self._pipes:
            self._control.send(number + str(errno.EBUSY).encode())
        else:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._pipes[serial_number] = ours
            self._selector.register(ours, selectors.EVENT_READ, lambda: self._on_packet(serial_number))
            with theirs:
                socket.send_fds(self._control, [number], [theirs.fileno()])

    def _on_packet(self, serial_number: str) -> None:
        pipe = self._pipes[serial_number]
        try:
            data = pipe.recv(_LARGEST)
            if not data:
                raise ConnectionError
            answer = self._bench.packet(serial_number, data)
            if answer is not None:
                pipe.send(answer)
        except ConnectionError:
            self._selector.unregister(pipe)
            del self._pipes[serial_number]
            pipe.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="hil.virtual.server")
    parser.add_argument("--control", type=int, required=True, help="file descriptor of the control line")
    parser.add_argument("--flash", type=Path, help="file that keeps the flash between runs")
    parser.add_argument("--probe-id", required=True, help="USB serial number of the probe")
    parser.add_argument("--misbehave", action="append", default=[])
    options = parser.parse_args()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        flash = _flash_file(options.flash) if options.flash else None
    except OSError as error:
        sys.exit(f"flash image {options.flash}: {error.strerror}")
    bench = Bench(Misbehaviour.parse(options.misbehave), flash, options.probe_id)
    Server(socket.socket(fileno=options.control), bench).serve()
    bench.machine.halt()
    os._exit(0)  # the core's thread is parked inside the emulator's library: nothing is left to tidy up


def _flash_file(path: Path) -> memoryview:
    """The bytes of the flash, kept in `path`; a new file is a blank chip."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        size = os.fstat(fd).st_size
        if size < FLASH_BYTES:
            os.pwrite(fd, b"\xff" * (FLASH_BYTES - size), size)
        return memoryview(mmap.mmap(fd, FLASH_BYTES))
    finally:
        os.close(fd)


if __name__ == "__main__":
    main()
