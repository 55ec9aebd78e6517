"""The model that is compiled into a firmware is read back and held to the case's, where the firmware or the board file
says where it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hil.contract.model_bytes import ModelRead
from hil.errors import BoardBroken, BoardError, DeviceEnded, UsageError
from hil.model.place import place_in
from hil.records import Can
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

_PIECE = 4096  # bytes of target memory at a time


def _collect(run: SessionState) -> ModelRead:
    if run.stopped:
        return ModelRead()
    size = len(run.case.model.data)
    if run.device.hello.can & Can.MODEL:
        data = run.attempt(NO_VECTOR, partial(run.device.model_bytes, size, _told(run, size)))
        return ModelRead() if data is None else _compared(run.case.model.data, data, "the firmware")
    firmware = run.device.board.config.firmware
    if firmware is None or not firmware.model_symbol:
        return ModelRead()
    try:
        address, there = run.image.symbol(firmware.model_symbol), run.image.symbol_bytes(firmware.model_symbol)
    except UsageError as error:
        return ModelRead(failed=f"[firmware] model_symbol: {str(error).splitlines()[0]}")
    wanted = min(size, there or size)
    found = run.attempt(NO_VECTOR, partial(_from_board, run, address, wanted))
    source = f"target memory at {address:#010x}"
    if found is None:
        found, source = run.image.stored(address, wanted), f"the ELF, at {address:#010x}"
    if found is None:
        return ModelRead(failed=f"{firmware.model_symbol} lies where neither board nor ELF has bytes")
    return _compared(run.case.model.data, found, source)


def _told(run: SessionState, size: int) -> Callable[[int], None]:
    return lambda done: run.progress("model", done, size)


def _from_board(run: SessionState, address: int, size: int) -> bytes | None:
    """From memory as the target has it now; None when the board does not reach it."""
    try:
        with run.device.board.outside() as outside:
            if outside.memory is None:
                return None
            pieces = range(0, size, _PIECE)
            return b"".join(outside.memory.read(address + at, min(_PIECE, size - at)) for at in pieces)
    except (BoardBroken, DeviceEnded):
        raise
    except BoardError:
        return None


def _compared(wanted: bytes, found: bytes, source: str) -> ModelRead:
    common = min(len(wanted), len(found))
    one, other = (np.frombuffer(data, np.uint8, common) for data in (wanted, found))
    rows = np.flatnonzero(one != other)
    differ = len(rows) + len(wanted) - common
    if not differ:
        return ModelRead(source, read=len(found))
    first = int(rows[0]) if len(rows) else common
    there = found[first] if first < len(found) else None
    return ModelRead(
        source,
        read=len(found),
        differ=differ,
        first=first,
        wanted=wanted[first],
        found=there,
        place=place_in(wanted, first),
    )


STEP = Step(ModelRead, Scope.LEAD, _collect)
