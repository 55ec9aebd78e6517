"""Consistent Overhead Byte Stuffing: any bytes to bytes without a zero, so that 0x00 can end a frame.

Source of the coding: S. Cheshire, M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking
7(2), 1999.
"""

from __future__ import annotations

_BLOCK = 254  # longest run of data bytes behind one code byte


def encode(data: bytes) -> bytes:
    """Stuff `data`; the result holds no zero byte and is at most `len(data) // 254 + 1` bytes longer."""
    out = bytearray()
    for run in data.split(b"\0"):
        while len(run) >= _BLOCK:
            out.append(_BLOCK + 1)
            out += run[:_BLOCK]
            run = run[_BLOCK:]
        out.append(len(run) + 1)
        out += run
    return bytes(out)


def decode(stuffed: bytes) -> bytes:
    """Undo `encode`. Raises ValueError when `stuffed` is empty, holds a zero or ends inside a block."""
    if not stuffed:
        raise ValueError("empty frame")
    out = bytearray()
    at, end = 0, len(stuffed)
    while at < end:
        code = stuffed[at]
        stop = at + code
        if code == 0 or stop > end:
            raise ValueError(f"bad block length {code} at byte {at}")
        out += stuffed[at + 1 : stop]
        if code <= _BLOCK and stop < end:
            out.append(0)
        at = stop
    if b"\0" in stuffed:
        raise ValueError("zero byte inside a frame")
    return bytes(out)
