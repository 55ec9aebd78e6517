"""Frames: a message with its CRC-32, stuffed, ended by a zero byte (docs/link.md)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from hil.link import cobs

END = b"\0"
_CRC_BYTES = 4


def encode(message: bytes) -> bytes:
    """One frame, end byte included."""
    crc = zlib.crc32(message).to_bytes(_CRC_BYTES, "little")
    return cobs.encode(message + crc) + END


class FrameReader:
    """Cuts a byte stream into messages; what is damaged is dropped and counted in `damaged`."""

    def __init__(self, damaged: int = 0) -> None:
        """damaged: where the count starts."""
        self._rest = b""
        self.damaged = damaged

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that `data` completes. A frame may span any number of calls."""
        *frames, self._rest = (self._rest + data).split(END)
        for frame in frames:
            if frame and (message := self._open(frame)) is not None:
                yield message

    def _open(self, frame: bytes) -> bytes | None:
        try:
            body = cobs.decode(frame)
        except ValueError:
            self.damaged += 1
            return None
        message, crc = body[:-_CRC_BYTES], body[-_CRC_BYTES:]
        if len(body) < _CRC_BYTES or zlib.crc32(message).to_bytes(_CRC_BYTES, "little") != crc:
            self.damaged += 1
            return None
        return message
