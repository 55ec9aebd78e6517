"""The firmware of an ST-LINK/V2-1 as its USB host sees it: commands of 16 bytes, answers, and memory data.

Formats as pyOCD and OpenOCD use them; ST does not publish them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from hil.virtual.coresight import AccessFault, DebugPort, NoAnswer

VENDOR_ID, PRODUCT_ID = 0x0483, 0x374B
MANUFACTURER, PRODUCT = "STMicroelectronics", "STM32 STLink"
BOARD_ID = "0796"  # NUCLEO-F429ZI
SERIAL_NUMBERS = ("0669FF3031454D4253133700", "0669FF3031454D4253133701")  # the probe, and a second one
LIST, OPEN, SERIAL_PATH = b"L", b"O", b"S"  # what the harness asks the bench for beside the USB traffic
COMMAND_BYTES = 16
_MAX_TRANSFER = 6144
_VERSION = (2, 45, 31)  # hardware, JTAG/SWD firmware, mass storage

_OK, _NO_DEVICE, _AP_FAULT, _DP_WAIT, _UNKNOWN = 0x80, 0x05, 0x11, 0x14, 0x42
_MODE_MASS_STORAGE, _MODE_DEBUG = 1, 2
_GET_VERSION, _DEBUG, _GET_MODE, _GET_VOLTAGE = 0xF1, 0xF2, 0xF5, 0xF7
_READ_32, _WRITE_32, _READ_8, _WRITE_8, _READ_16, _WRITE_16 = 0x07, 0x08, 0x0C, 0x0D, 0x47, 0x48
_EXIT, _ENTER, _DRIVE_RESET, _LAST_STATUS = 0x21, 0x30, 0x3C, 0x3E
_TRACE_RECORDS, _READ_REGISTER, _WRITE_REGISTER, _BOARD_IDS = 0x42, 0x45, 0x46, 0x56
_ACCEPTED = (0x40, 0x41, 0x43, 0x44, 0x4B, 0x4C)  # trace start and stop, frequencies, open and close of an access port
_RESET_LOW, _RESET_PULSE = 0, 2
_DEBUG_PORT = 0xFFFF
_REFERENCE_VOLTAGE_COUNTS, _SUPPLY_COUNTS = 1500, 2048  # 2 * 1.2 V * 2048 / 1500 = 3.28 V


class Probe:
    """One ST-LINK. `port`: the debug port at the end of its wire, None with nothing connected."""

    def __init__(self, port: DebugPort | None, board_id: str = BOARD_ID) -> None:
        self._port = port
        self._board_id = board_id
        self._mode = _MODE_MASS_STORAGE
        self._status, self._fault_address = _OK, 0
        self._write_to: int | None = None  # where the next packet's bytes go
        self.transfers = 0  # of memory

    def packet(self, data: bytes) -> bytes | None:
        """A packet from the host; returns the answer, None when there is none."""
        if self._write_to is not None:
            address, self._write_to = self._write_to, None
            self._transfer(address, lambda port: port.write(address, data))
            return None
        command = data.ljust(COMMAND_BYTES, b"\0")
        return self._debug(command) if command[0] == _DEBUG else self._general(command)

    def _general(self, command: bytes) -> bytes | None:
        if command[0] == _GET_VERSION:
            hardware, debug, storage = _VERSION
            version = struct.pack(">H", hardware << 12 | debug << 6 | storage)
            return version + struct.pack("<HH", VENDOR_ID, PRODUCT_ID)
        if command[0] == _GET_MODE:
            return bytes([self._mode, 0])
        if command[0] == _GET_VOLTAGE:
            powered = self._port is not None and self._port.powered
            return struct.pack("<II", _REFERENCE_VOLTAGE_COUNTS, _SUPPLY_COUNTS if powered else 0)
        return None

    def _debug(self, command: bytes) -> bytes | None:
        what = command[1]
        if what == _EXIT:
            self._mode = _MODE_MASS_STORAGE
            return None
        if what == _ENTER:
            self._mode = _MODE_DEBUG
            status, _ = self._do(lambda port: port.read_port(0))
            return struct.pack("<H", _OK if status == _OK else _NO_DEVICE)
        if what in (_READ_32, _READ_16, _READ_8):
            address, size = struct.unpack_from("<IH", command, 2)
            size = min(size, _MAX_TRANSFER)
            return self._transfer(address, lambda port: port.read(address, size)).ljust(size, b"\0")
        if what in (_WRITE_32, _WRITE_16, _WRITE_8):
            (self._write_to,) = struct.unpack_from("<I", command, 2)
            return None
        if what == _LAST_STATUS:
            return struct.pack("<HHI4x", self._status, 0, self._fault_address)
        if what == _READ_REGISTER:
            return self._read_register(*struct.unpack_from("<HH", command, 2))
        if what == _WRITE_REGISTER:
            return self._write_register(*struct.unpack_from("<HHI", command, 2))
        if what == _DRIVE_RESET:
            return self._drive_reset(command[2])
        if what == _BOARD_IDS:
            return (struct.pack("<H", _OK) + self._board_id.encode()).ljust(128, b"\0")
        if what == _TRACE_RECORDS:
            return b"\0\0"
        return struct.pack("<H", _OK if what in _ACCEPTED else _UNKNOWN)

    def _read_register(self, port_number: int, address: int) -> bytes:
        def read(port: DebugPort) -> bytes:
            if port_number == _DEBUG_PORT:
                value = port.read_port(address & 0xF)
            else:
                value = port.read_access_port(port_number, address)
            return value.to_bytes(4, "little")

        status, value = self._do(read)
        return struct.pack("<HH", status, 0) + (value or bytes(4))

    def _write_register(self, port_number: int, address: int, value: int) -> bytes:
        def write(port: DebugPort) -> None:
            if port_number == _DEBUG_PORT:
                port.write_port(address & 0xF, value)
            else:
                port.write_access_port(port_number, address, value)

        return struct.pack("<H", self._do(write)[0])

    def _drive_reset(self, level: int) -> bytes:
        if self._port is not None:
            self._port.hold_in_reset(level in (_RESET_LOW, _RESET_PULSE))
            if level == _RESET_PULSE:
                self._port.hold_in_reset(False)
        return struct.pack("<H", _OK)

    def _transfer(self, address: int, action: Callable[[DebugPort], bytes | None]) -> bytes:
        """A memory transfer; its outcome is asked for by the next command."""
        self.transfers += 1
        self._status, data = self._do(action)
        self._fault_address = 0 if self._status == _OK else address
        return data or b""

    def _do(self, action: Callable[[DebugPort], bytes | int | None]) -> tuple[int, bytes | None]:
        if self._port is None:
            return _DP_WAIT, None
        try:
            result = action(self._port)
        except AccessFault:
            return _AP_FAULT, None
        except NoAnswer:
            return _DP_WAIT, None
        return _OK, result if isinstance(result, bytes) else None
