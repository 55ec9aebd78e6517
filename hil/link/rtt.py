"""RTT ring buffers over target memory: the channel of every board that gives its memory.

Layout of the control block as SEGGER documents it: 16 bytes of id, number of up and down rings, then per ring name,
buffer, size, write offset, read offset, flags, all 32 bits. The host owns `rd` of the up ring and `wr` of the down
ring.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import NoReturn, Protocol

from hil.errors import LinkError
from hil.link.frame import FrameReader

ID = b"SEGGER RTT"
_WHOLE_ID = ID.ljust(16, b"\0")
BLOCK_BYTES = 24 + 2 * 24  # one up and one down ring
_UP, _DOWN = 24, 48
_WRITE, _READ = 12, 16
_INDICES = _UP + _WRITE  # where the first of the four indices lies
_FOUR = struct.Struct("<2I16x2I")  # from there on: wr and rd of the up ring, wr and rd of the down ring


class Memory(Protocol):
    """RAM of a running target. Both calls raise BoardError when the target is out of reach."""

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address`."""

    def write(self, address: int, data: bytes) -> None:
        """Store `data`; four bytes at a multiple of four are one store."""


@dataclass(frozen=True)
class _Ring:
    """One ring descriptor as it was at the attach."""

    buffer: int
    size: int
    write: int
    read: int

    @classmethod
    def parse(cls, name: str, block: bytes, at: int) -> _Ring:
        _, buffer, size, write, read, _ = struct.unpack_from("<6I", block, at)
        if not buffer or size < 2 or write >= size or read >= size:
            raise LinkError(
                f"RTT {name} ring is not usable: buffer {buffer:#x}, size {size}, write {write}, read {read}"
            )
        return cls(buffer, size, write, read)


class Rtt:
    """One attachment to a control block. The block is read again on every attach; one client per ring."""

    def __init__(self, memory: Memory, address: int) -> None:
        """Raises LinkError when there is no usable control block at `address`."""
        self._memory, self._address = memory, address
        self.attach()

    def attach(self) -> None:
        """Take rings and indices from the block that is there now. Raises LinkError when it is not usable."""
        block = self._memory.read(self._address, BLOCK_BYTES)
        if not block.startswith(ID):
            raise LinkError(f"no RTT control block at {self._address:#010x}: found {block[:16].hex(' ')}")
        ups, downs = struct.unpack_from("<ii", block, 16)
        if (ups, downs) != (1, 1):
            raise LinkError(
                f"RTT control block at {self._address:#010x} has {ups} up and {downs} down rings, 1 and 1 are needed"
            )
        self._up, self._down = _Ring.parse("up", block, _UP), _Ring.parse("down", block, _DOWN)
        self._up_read, self._down_write = self._up.read, self._down.write
        self._down_read = self._down.read  # as it was when last looked at: there is at least as much room
        self._made_anew = False

    @property
    def made_anew(self) -> bool:
        """Whether a restarted firmware makes its block anew, as far as was looked: nobody else moves the host's two
        indices. Nothing is read or written any more then, until the next `attach`.
        """
        return self._made_anew

    @property
    def unrestarted(self) -> str:
        """Only a restart makes the block anew."""
        return ""

    @property
    def published(self) -> bool:
        """Whether there is a whole block now: a firmware that makes it anew takes its id away first."""
        return self.ready(self._memory, self._address)

    def look(self) -> None:
        """See how far the firmware is, and whether the block is still the one that was attached to."""
        self._look()

    @staticmethod
    def ready(memory: Memory, address: int) -> bool:
        """Whether the firmware has published its block (it writes the id last)."""
        return memory.read(address, len(ID)) == ID

    @staticmethod
    def find(memory: Memory, address: int, size: int) -> list[int]:
        """Where control blocks with one ring each way lie in `size` bytes of RAM from `address`; for a firmware whose
        ELF is not at hand.
        """
        found, data = [], memory.read(address, size)
        at = data.find(_WHOLE_ID)
        while at >= 0:
            block = data[at : at + BLOCK_BYTES]
            if not (address + at) & 3 and len(block) == BLOCK_BYTES and struct.unpack_from("<ii", block, 16) == (1, 1):
                found.append(address + at)
            at = data.find(_WHOLE_ID, at + 1)
        return found

    def read(self) -> bytes:
        """All bytes that wait in the up ring; empty when there are none."""
        write, read = self._look(), self._up_read
        if write == read or self._made_anew:
            return b""
        if write > read:
            data = self._memory.read(self._up.buffer + read, write - read)
        else:
            data = self._memory.read(self._up.buffer + read, self._up.size - read)
            data += self._memory.read(self._up.buffer, write) if write else b""
        self._up_read = write
        self._store(_UP + _READ, write)
        return data

    def write(self, data: bytes) -> int:
        """Put as much of `data` into the down ring as fits now; returns the number of bytes taken."""
        if self._room() < len(data):
            self._look()
        write, size = self._down_write, self._down.size
        taken = min(len(data), self._room())
        if not taken or self._made_anew:
            return 0
        head = min(taken, size - write)
        self._memory.write(self._down.buffer + write, data[:head])
        if taken > head:
            self._memory.write(self._down.buffer, data[head:taken])
        self._down_write = (write + taken) % size
        self._store(_DOWN + _WRITE, self._down_write)
        return taken

    def drained(self) -> bool:
        """Whether the firmware has taken everything that was written."""
        self._look()
        return self._down_read == self._down_write

    @property
    def taken(self) -> int:
        """Where the firmware's end of the down ring was when last looked at: it moves when a byte is taken."""
        return self._down_read

    def told(self) -> str:
        return f"request {'read' if self.drained() else 'not read'} by the firmware"

    def wait(self, seconds: float) -> None:
        """Nothing in memory wakes the host."""
        time.sleep(seconds)

    def reader(self, damaged: int = 0) -> FrameReader:
        """Rings carry frames and nothing else."""
        return FrameReader(damaged)

    def _room(self) -> int:
        return (self._down_read - self._down_write - 1) % self._down.size

    def _look(self) -> int:
        """Write index of the up ring, and the three other indices on the way: an access to a debug probe costs more
        than the bytes between them.
        """
        write: int
        write, read, down_write, down_read = _FOUR.unpack(self._memory.read(self._address + _INDICES, _FOUR.size))
        up, down = self._up.size, self._down.size
        if write >= up or read >= up or down_write >= down or down_read >= down:
            self._refuse((write, up), (down_read, down), (read, up), (down_write, down))
        self._down_read = down_read
        if read != self._up_read or down_write != self._down_write:
            self._made_anew = True
        return write

    def _refuse(self, *indices: tuple[int, int]) -> NoReturn:
        """Name the first index that is outside its ring."""
        value, size = next((value, size) for value, size in indices if value >= size)
        raise LinkError(
            f"RTT ring index {value} is outside its ring of {size} bytes: the control block was overwritten"
        )

    def _store(self, offset: int, value: int) -> None:
        self._memory.write(self._address + offset, value.to_bytes(4, "little"))
