"""Frames: a message with its CRC-32, stuffed, ended by a zero byte; and log text between frames (docs/link.md)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator

from hil.link import cobs

END = b"\0"
_CRC_BYTES = 4
_MOST_BYTES = 1 << 18  # without an end: no frame is as long as that
# What logs are made of: printable ASCII, UTF-8 beyond it, white space, backspace, bell, and the ESC of colours. The
# repetition ends with a newline, so that it takes whole lines only.
_LINES = re.compile(rb"(?:[\x07-\x09\x0b-\x0d\x1b\x20-\x7e\x80-\xf4]*\n)+")
_LAST_LINES = 8  # of the text in front of a frame: so many may be the frame's own beginning


def encode(message: bytes) -> bytes:
    """One frame, end byte included."""
    crc = zlib.crc32(message).to_bytes(_CRC_BYTES, "little")
    return cobs.encode(message + crc) + END


def decode(frame: bytes) -> bytes | None:
    """The message of a frame without its end byte; None when it is damaged, or none at all."""
    try:
        body = cobs.decode(frame)
    except ValueError:
        return None
    message, crc = body[:-_CRC_BYTES], body[-_CRC_BYTES:]
    if len(body) < _CRC_BYTES or zlib.crc32(message).to_bytes(_CRC_BYTES, "little") != crc:
        return None
    return message


class FrameReader:
    """Cuts a byte stream into messages; what is damaged is dropped and counted in `damaged`.

    text: takes log lines that stand between frames, each with its newline. Without it they are damage too.
    """

    def __init__(self, damaged: int = 0, text: Callable[[bytes], None] | None = None) -> None:
        """damaged: where the count starts."""
        self._rest = b""
        self._text = text
        self.damaged = damaged

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that `data` completes. A frame may span any number of calls."""
        *pieces, self._rest = (self._rest + data).split(END)
        for piece in pieces:
            if piece and (message := self._open(piece)) is not None:
                yield message
        if len(self._rest) > _MOST_BYTES:
            self._open(self._rest)
            self._rest = b""

    @property
    def unfinished(self) -> bytes:
        """What came behind the last end byte: the begin of a frame, or of a log line."""
        return self._rest

    def finish(self) -> None:
        """Nothing more comes that belongs to what is unfinished. Whole lines of text are log lines, all else is
        dropped.
        """
        lines, self._rest = self._lines(self._rest), b""
        if lines and self._text is not None:
            self._text(lines)

    def _open(self, piece: bytes) -> bytes | None:
        message = decode(piece)
        if message is not None:
            return message
        lines = self._lines(piece)
        if self._text is None or not lines:
            self.damaged += 1
            return None
        # A frame may look like text, whole or where it begins, so it is looked for behind some lines first.
        end = len(lines)
        for _ in range(_LAST_LINES):
            if (message := decode(piece[end:])) is not None:
                self._text(piece[:end])
                return message
            end = piece.rfind(b"\n", 0, end - 1) + 1
            if not end:
                break
        self._text(lines)
        self.damaged += len(lines) < len(piece)
        return None

    def _lines(self, piece: bytes) -> bytes:
        """The whole lines of text that it begins with, where there may be any."""
        found = _LINES.match(piece) if self._text is not None else None
        return found[0] if found else b""
