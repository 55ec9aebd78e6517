"""Target RAM that is a file shared with an emulator or a native process."""

from __future__ import annotations

import mmap
import os

from hil.errors import BoardError


class SharedMemory:
    """`size` bytes of target RAM from address `base` on, held in an anonymous file.

    The file has no name, so nothing is left behind however the process ends. `path` reaches it from a child that
    inherits `fd`. Four bytes at a multiple of four are stored at once, as the RTT indices need.
    """

    def __init__(self, base: int, size: int) -> None:
        self.fd = os.memfd_create("hil-target-ram", 0)
        os.ftruncate(self.fd, size)
        self._attach(base, size)

    def _attach(self, base: int, size: int, offset: int = 0) -> None:
        """The RAM from `base` on is what the open file holds from `offset` on."""
        self.base, self.size = base, size
        self._map = mmap.mmap(self.fd, offset + size)
        self._bytes = memoryview(self._map)[offset:]
        self._words = self._bytes.cast("I")

    @property
    def path(self) -> str:
        """A path that opens this RAM in a child process that was given `fd`."""
        return f"/proc/self/fd/{self.fd}"

    def read(self, address: int, size: int) -> bytes:
        """Raises BoardError when the range is not inside this RAM."""
        at = self._offset(address, size)
        return bytes(self._bytes[at : at + size])

    def write(self, address: int, data: bytes) -> None:
        """Raises BoardError when the range is not inside this RAM."""
        at = self._offset(address, len(data))
        if len(data) == 4 and not at & 3:
            self._words[at >> 2] = int.from_bytes(data, "little")
        else:
            self._bytes[at : at + len(data)] = data

    def close(self) -> None:
        """Give the RAM back. Safe to call twice."""
        if self.fd < 0:
            return
        self._words.release()
        self._bytes.release()
        self._map.close()
        os.close(self.fd)
        self.fd = -1

    def _offset(self, address: int, size: int) -> int:
        at = address - self.base
        if self.fd < 0:
            raise BoardError("the board is closed: its memory is gone")
        if at < 0 or at + size > self.size:
            end = self.base + self.size
            raise BoardError(
                f"{size} bytes at {address:#010x} are outside the RAM shared with the board ({self.base:#x}-{end:#x})"
            )
        return at
