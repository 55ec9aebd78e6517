"""The window that the harness takes where it needs any: one of the case that went through the whole pipeline."""

from __future__ import annotations

from hil.session.order import afresh
from hil.session.state import NO_VECTOR, SessionState


def usual_vector(run: SessionState) -> int:
    """A vector that was done and met no decision state, else the first of the share; NO_VECTOR when there is none."""
    found = next(afresh(run), None)
    if found is not None:
        return found
    return next((index for group in run.groups for index in group), NO_VECTOR)
