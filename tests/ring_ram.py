"""Knows RTT rings as plain bytes of target memory, with the firmware's end of them."""

from __future__ import annotations

import struct

from hil.link.rtt import BLOCK_BYTES, ID

BASE, UP, DOWN = 0x2100_0000, 0x80, 0x100


class Ram:
    """Control block and rings as target memory, with the firmware's end of both rings. There is nothing else: an
    access beside them, or over the end of one, is an error.
    """

    def __init__(self, up_size: int = 32, down_size: int = 32, at: int = 0) -> None:
        self.data = bytearray(0x200)
        header = ID.ljust(16, b"\0") + struct.pack("<ii", 1, 1)
        up = struct.pack("<6I", 0, BASE + UP, up_size, at % up_size, at % up_size, 0)
        down = struct.pack("<6I", 0, BASE + DOWN, down_size, at % down_size, at % down_size, 0)
        self.data[:BLOCK_BYTES] = header + up + down
        self.up_size, self.down_size = up_size, down_size
        self._there = ((0, BLOCK_BYTES), (UP, UP + up_size), (DOWN, DOWN + down_size))

    def read(self, address: int, size: int) -> bytes:
        at = self._place(address, size)
        return bytes(self.data[at : at + size])

    def write(self, address: int, data: bytes) -> None:
        at = self._place(address, len(data))
        self.data[at : at + len(data)] = data

    def _place(self, address: int, size: int) -> int:
        at = address - BASE
        assert any(start <= at and at + size <= end for start, end in self._there), f"{size} bytes at {at:#x}"
        return at

    def word(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 4], "little")

    def put_word(self, at: int, value: int) -> None:
        self.data[at : at + 4] = value.to_bytes(4, "little")

    def put(self, data: bytes) -> int:
        """The firmware writes to the up ring, byte by byte, as much as fits."""
        write, read = self.word(24 + 12), self.word(24 + 16)
        taken = 0
        for byte in data:
            if (write + 1) % self.up_size == read:
                break
            self.data[UP + write] = byte
            write, taken = (write + 1) % self.up_size, taken + 1
        self.put_word(24 + 12, write)
        return taken

    def take(self, most: int) -> bytes:
        """The firmware reads up to `most` bytes from the down ring."""
        write, read = self.word(48 + 12), self.word(48 + 16)
        out = bytearray()
        while read != write and len(out) < most:
            out.append(self.data[DOWN + read])
            read = (read + 1) % self.down_size
        self.put_word(48 + 16, read)
        return bytes(out)
