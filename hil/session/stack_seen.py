"""The stack of a firmware that does not measure it is painted by the harness while the firmware idles, and looked at
behind some windows.

What lies below the stack pointer of a core that waits for a request is free, but for an interrupt that comes just then.
"""

from __future__ import annotations

from functools import partial
from itertools import islice

import numpy as np

from hil.board.base import Board
from hil.contract.stack_seen import StackSeen
from hil.errors import BoardBroken, BoardError, DeviceEnded
from hil.link.rtt import Memory
from hil.records import Can
from hil.session.order import afresh
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step

_PAINT = 0x6D5AC3B1
_MARGIN_BYTES = 256  # below the stack pointer: a frame of an interrupt, with floating point registers, and its handler
_WINDOWS = 24
_NOT_INSIDE = "the stack pointer of the idle core lies outside of the stack that the ELF names: another one is in use"


def _collect(run: SessionState) -> StackSeen:
    board, span = run.device.board, run.image.stack_span()
    if run.stopped or run.device.hello.can & Can.MARKS or span is None:
        return StackSeen()
    if run.image.facts().host:
        return StackSeen()
    try:
        return run.attempt(NO_VECTOR, partial(_looked, run, board, span)) or StackSeen()
    except (BoardBroken, DeviceEnded):
        raise
    except BoardError as error:
        return StackSeen(blind=f"the stack cannot be painted: {str(error).splitlines()[0]}")


def _looked(run: SessionState, board: Board, span: tuple[int, int]) -> StackSeen:
    low, top = span
    pointer = board.core_registers().get("sp", 0)
    if not low < pointer <= top:
        return StackSeen(blind=_NOT_INSIDE if pointer else "")
    free = (pointer - _MARGIN_BYTES - low) // 4 * 4
    with board.outside() as outside:
        memory = outside.memory
        if memory is None or free <= 0:
            return StackSeen()
        memory.write(low, np.full(free // 4, _PAINT, "<u4").tobytes())
        if _used(memory, low, free) != 0:
            return StackSeen(blind="what is written to the stack does not stay there")
        windows = list(islice(afresh(run), _WINDOWS))
        for index in windows:
            window = run.case.vectors.payload(index)
            run.device.run(window, deadline_ticks=run.deadline_ticks)
            run.device.plain(window)
        return StackSeen(top - low - free + _used(memory, low, free), len(windows), top - low)


def _used(memory: Memory, low: int, free: int) -> int:
    """Bytes of the painted part from its end down to the lowest word that is no paint."""
    changed = np.flatnonzero(np.frombuffer(memory.read(low, free), "<u4") != _PAINT)
    return free - 4 * int(changed[0]) if len(changed) else 0


STEP = Step(StackSeen, Scope.LEAD, _collect)
