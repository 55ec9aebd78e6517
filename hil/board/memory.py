"""Target RAM in reach of this process: a file shared with an emulator, or all memory of a native process."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

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


class SharedFile(SharedMemory):
    """Target RAM or flash in a file that an emulator made: what it holds from `offset` on."""

    def __init__(self, base: int, size: int, file: Path, offset: int) -> None:
        self.fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        self._attach(base, size, offset)


class Memories:
    """Several memories of one target as one; an access lies in one of them."""

    def __init__(self, parts: Sequence[SharedMemory]) -> None:
        self._parts = tuple(parts)

    def read(self, address: int, size: int) -> bytes:
        """Raises BoardError when the range is not inside one of the memories."""
        return self._holding(address, size).read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Raises BoardError when the range is not inside one of the memories."""
        self._holding(address, len(data)).write(address, data)

    def _holding(self, address: int, size: int) -> SharedMemory:
        inside = (part for part in self._parts if part.base <= address and address + size <= part.base + part.size)
        return next(inside, self._parts[0])  # which refuses


class ProcessMemory:
    """All memory of a process, through /proc. A context manager. Raises BoardError when the process cannot be read."""

    def __init__(self, pid: int) -> None:
        self._name = f"/proc/{pid}/mem"
        self._fd = -1

    def read(self, address: int, size: int) -> bytes:
        try:
            data = os.pread(self._opened(), size, address)
        except OSError as error:
            raise self._refused(error) from error
        if len(data) != size:
            raise BoardError(f"{self._name}: only {len(data)} of {size} bytes at {address:#x} can be read")
        return data

    def write(self, address: int, data: bytes) -> None:
        try:
            os.pwrite(self._opened(), data, address)
        except OSError as error:
            raise self._refused(error) from error

    def _opened(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self._name, os.O_RDWR | os.O_CLOEXEC)
        return self._fd

    def _refused(self, error: OSError) -> BoardError:
        return BoardError(
            f"{self._name}: {error.strerror}\n"
            "  next: allow this process to look into its own children (CAP_SYS_PTRACE, or kernel.yama.ptrace_scope = 1)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
