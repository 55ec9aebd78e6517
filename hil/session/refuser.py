"""Has the board refuse a window, for any reason that the case knows, between two steps of a stream."""

from __future__ import annotations

from functools import partial

from hil.records import GateReason
from hil.session.state import NO_VECTOR, SessionState
from hil.session.stimuli import refusals

_NOTHING = b""  # the window of a case of which none is known to be accepted


class Refuser:
    """Sends windows that must be refused, for each of `kinds`, which needs no inference but one at the start."""

    def __init__(self, run: SessionState, valid: bytes | None) -> None:
        """valid: a window that the gate accepts."""
        self._run, self._last = run, 0
        self._windows = {GateReason.LENGTH: _NOTHING} if valid is None else refusals(run.case, valid)
        if valid is not None:
            self._windows[GateReason.STALE] = valid
            self._send(valid, run.device.next_sequence())

    @property
    def kinds(self) -> tuple[GateReason, ...]:
        return tuple(self._windows)

    def refuse(self, reason: GateReason) -> bool:
        """One window that is refused for this reason, the decision state not made fresh. False: the firmware broke, or
        the session has ended.
        """
        window = self._windows[reason]
        if reason in (GateReason.STALE, GateReason.LENGTH):
            return self._send(window, self._last)  # the gate takes no note of such a window's number
        return self._send(window, self._run.device.next_sequence())

    def _send(self, window: bytes, capture: int) -> bool:
        self._last = capture
        run = self._run
        if run.stopped:
            return False
        request = partial(run.device.run, window, sequence=capture, fresh=False, deadline_ticks=run.deadline_ticks)
        record = run.attempt(NO_VECTOR, request)
        run.note_other(record)
        return record is not None
