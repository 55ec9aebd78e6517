"""How harness and interpreter talk: a message is a flat table of JSON values, bytes and numpy arrays.

On the wire: the sizes of head and body, the head (JSON: the plain values, and where each array lies), the body (the
bytes of all arrays). Nothing is pickled, so a message can only ever be data.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

Values = dict[str, Any]
_SIZES = struct.Struct("<QQ")
_MOST_AT_ONCE = 1 << 30  # bytes asked of one recv


def numbered(name: str, arrays: Sequence[np.ndarray[Any, Any]]) -> Values:
    """Several arrays as values of one message: `name`, `name_1` and so on."""
    return {f"{name}_{index}" if index else name: array for index, array in enumerate(arrays)}


def send(connection: socket.socket, values: Values) -> None:
    """Raises OSError when nobody takes it, TimeoutError after the connection's own time-out."""
    plain: Values = {}
    arrays: list[tuple[str, str, list[int]]] = []
    blocks: list[bytes] = []
    for name, value in values.items():
        if isinstance(value, bytes):
            arrays.append((name, "bytes", [len(value)]))
            blocks.append(value)
        elif isinstance(value, np.ndarray):
            arrays.append((name, value.dtype.str, list(value.shape)))
            blocks.append(value.tobytes())
        else:
            plain[name] = value
    head = json.dumps({"plain": plain, "arrays": arrays}).encode()
    body = b"".join(blocks)
    connection.sendall(_SIZES.pack(len(head), len(body)) + head + body)


def receive(connection: socket.socket) -> Values:
    """The next message. Raises EOFError when the other side has gone, TimeoutError when it says nothing."""
    head_bytes, body_bytes = _SIZES.unpack(_exactly(connection, _SIZES.size))
    head = json.loads(_exactly(connection, head_bytes))
    body = _exactly(connection, body_bytes)
    values: Values = head["plain"]
    at = 0
    for name, kind, shape in head["arrays"]:
        if kind == "bytes":
            values[name], size = bytes(body[at : at + shape[0]]), shape[0]
        else:
            count = int(np.prod(shape, dtype=object))
            values[name] = np.frombuffer(body, np.dtype(kind), count, at).reshape(shape)
            size = values[name].nbytes
        at += size
    return values


def _exactly(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = connection.recv_into(view[filled:], min(size - filled, _MOST_AT_ONCE))
        if not count:
            raise EOFError
        filled += count
    return data
