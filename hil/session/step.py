"""Knows what a step of a session is: it collects one section of the evidence, and makes one of those of several shares.

A new kind of evidence is a step in a module of its own, a line in hil/session/steps.py, and a contract that reads its
section. Nothing else has to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from hil.case.types import Case
from hil.contract.types import Section
from hil.session.state import SessionState

S = TypeVar("S", bound=Section)


class Scope(Enum):
    """Who takes a step. SHARE: every share of the case, on its vectors. LEAD: one share, as what it does is done once a
    case. WHOLE: one board, when the records of all shares are there; it is provisioned anew for that. EACH: all of
    these, at their end: what the session itself went through.
    """

    SHARE = "share"
    LEAD = "lead"
    WHOLE = "whole"
    EACH = "each"


def _only(sections: Sequence[S]) -> S:
    """The section of a step that one board takes."""
    (section,) = sections
    return section


@dataclass(frozen=True)
class Step(Generic[S]):
    """section: its type, whose defaults stand for a step that was not taken.

    collect: is given the state of the run and looks for itself whether the run was stopped before. merge: makes one
    section of those of several shares, in the order of the vectors; wanted for SHARE and EACH only. applies: whether a
    case needs the step at all. begin: starts what goes on beside the board, before the first step; it is left behind
    the last one, however that ends, and waits in `SessionState.begun` for `collect`.
    """

    section: type[S]
    scope: Scope
    collect: Callable[[SessionState], S]
    merge: Callable[[Sequence[S]], S] = _only
    applies: Callable[[Case], bool] = lambda _: True
    begin: Callable[[SessionState], AbstractContextManager[object]] | None = None
