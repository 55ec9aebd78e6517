"""The harness's end of the simulated USB bus: devices as pyusb would hand them to pyOCD's ST-Link driver.

A device here is a pipe to the process of the simulated bench and nothing more: each packet of a bulk endpoint is one
message of a socket. The bench closes the socket when the device goes away.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyocd.probe.stlink.usb
import usb.core

from hil.virtual.stlink import LIST, MANUFACTURER, OPEN, PRODUCT, PRODUCT_ID, SERIAL_PATH, VENDOR_ID

_OUT, _IN, _TRACE = 0x01, 0x81, 0x82
_PACKET_BYTES = 64
_LARGEST = 1 << 13
_START_TIMEOUT_S, _ANSWER_TIMEOUT_S = 10.0, 3.0
_PATIENCE = 10  # a simulated probe shares the cores of the host with all else; a real one answers in microseconds


class ControlLine:
    """The other socket to the bench: what hangs on the bus, and pipes to it.

    A bench that does not answer in time is given up: the line closes, and `silent` stays true.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.settimeout(_START_TIMEOUT_S)
        self._number = 0  # of the last question, modulo 256
        self.silent = False

    def serial_path(self) -> str:
        """Raises OSError when the bench is gone, its cable is pulled, or it does not answer."""
        path = self._ask(SERIAL_PATH)[0].decode()
        if path == "-":
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return path

    def devices(self) -> list[UsbDevice]:
        """What hangs on the bus now; nothing once the bench is gone or silent."""
        try:
            serial_numbers = self._ask(LIST)[0].decode().split()
        except OSError:
            return []
        return [UsbDevice(serial_number, self.open) for serial_number in serial_numbers]

    def open(self, serial_number: str) -> socket.socket:
        """A pipe to that device. Raises OSError: ENODEV when it is away, EBUSY when it is in use."""
        answer, fds = self._ask(OPEN + serial_number.encode())
        if not fds:
            number = int(answer)
            raise OSError(number, os.strerror(number))
        return socket.socket(fileno=fds[0])

    def close(self) -> None:
        self._line.close()

    def _ask(self, request: bytes) -> tuple[bytes, list[int]]:
        self._number = (self._number + 1) % 256
        number = bytes([self._number])
        try:
            self._line.send(number + request)
            answer, fds = self._receive()
            while answer[:1] != number:  # of a question whose asker was interrupted
                for fd in fds:
                    os.close(fd)
                answer, fds = self._receive()
        except TimeoutError:
            self.silent = True
            self.close()
            raise
        self._line.settimeout(_ANSWER_TIMEOUT_S)
        return answer[1:], fds

    def _receive(self) -> tuple[bytes, list[int]]:
        answer, fds, _, _ = socket.recv_fds(self._line, _LARGEST, 1)
        if not answer:
            raise OSError(errno.ENODEV, "the simulated bench has ended")
        return answer, fds


class UsbDevice:
    """What pyOCD's ST-Link driver and pyusb's helpers use of a `usb.core.Device`."""

    idVendor, idProduct = VENDOR_ID, PRODUCT_ID  # noqa: N815 (pyusb's names)
    manufacturer, product = MANUFACTURER, PRODUCT

    def __init__(self, serial_number: str, connect: Callable[[str], socket.socket]) -> None:
        self.serial_number = serial_number
        self._connect = connect
        self._pipe: socket.socket | None = None
        self._ctx = self  # where pyusb's helpers look for claim, release and dispose

    def get_active_configuration(self) -> dict[tuple[int, int], list[_Endpoint]]:
        return {(0, 0): [_Endpoint(self, address) for address in (_OUT, _IN, _TRACE)]}

    def managed_claim_interface(self, _device: object, _interface: int) -> None:
        if self._pipe is None:
            with _as_usb_error():
                self._pipe = self._connect(self.serial_number)

    def managed_release_interface(self, _device: object, _interface: int) -> None:
        self.dispose(self)

    def dispose(self, _device: object) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def send(self, data: bytes, timeout_ms: int | None) -> int:
        with _as_usb_error():
            pipe = self._open_pipe(timeout_ms)
            return pipe.send(data)

    def receive(self, size: int, timeout_ms: int | None) -> bytes:
        with _as_usb_error():
            data = self._open_pipe(timeout_ms).recv(_LARGEST)
            if not data:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            return data[:size]

    def _open_pipe(self, timeout_ms: int | None) -> socket.socket:
        if self._pipe is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self._pipe.settimeout(_PATIENCE * (timeout_ms or 1000) / 1000)
        return self._pipe


class _Endpoint:
    """A bulk endpoint."""

    wMaxPacketSize = _PACKET_BYTES  # noqa: N815 (pyusb's name)

    def __init__(self, device: UsbDevice, address: int) -> None:
        self.bEndpointAddress = address
        self._device = device

    def write(self, data: Sequence[int], timeout: int | None = None) -> int:
        return self._device.send(bytes(data), timeout)

    def read(self, size: int, timeout: int | None = None) -> bytes:
        return self._device.receive(size, timeout)


@contextmanager
def _as_usb_error() -> Iterator[None]:
    """Say as libusb would that a pipe is silent or gone."""
    try:
        yield
    except TimeoutError:
        raise usb.core.USBTimeoutError("Operation timed out", errno=errno.ETIMEDOUT) from None
    except OSError as error:
        gone = error.errno in (errno.EPIPE, errno.ECONNRESET, errno.EBADF)
        number = errno.ENODEV if gone else error.errno or errno.EIO
        text = "No such device (it may have been disconnected)" if number == errno.ENODEV else os.strerror(number)
        raise usb.core.USBError(text, errno=number) from None


@contextmanager
def replaced_bus(devices: Callable[[], Sequence[UsbDevice]]) -> Iterator[None]:
    """Let pyOCD's ST-Link driver find what `devices` lists, and nothing else, until the context ends."""

    def find(find_all: bool = False, custom_match: Callable[[Any], bool] | None = None, **_: object) -> Any:
        found = [device for device in devices() if custom_match is None or custom_match(device)]
        return iter(found) if find_all else next(iter(found), None)

    driver: Any = pyocd.probe.stlink.usb
    before = driver.usb_find
    driver.usb_find = find
    try:
        yield
    finally:
        driver.usb_find = before
