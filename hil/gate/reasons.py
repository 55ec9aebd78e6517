"""Why a release is stopped: one reason a finding of the gate, ordered from the worst to the least."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Worst first: what cannot be believed, what was never shown, what broke, what does not fit, what was put off."""

    UNTRUSTED = "cannot be trusted"
    NOT_RUN = "did not run"
    BENCH = "bench broke"
    INVALID = "invalid measurement"
    BROKEN = "contract broken"
    BUDGET = "over budget"
    CASE = "case"
    MANIFEST = "does not fit together"
    BASELINE = "baseline"
    QUARANTINE = "quarantine"
    MARGINAL = "marginal"
    NOT_JUDGED = "not judged"
    AGE = "too old"
    SOURCE = "source"


@dataclass(frozen=True)
class Reason:
    """`what` is wrong and the next step. case, board, check: what it is about, "" for more than one."""

    kind: Kind
    what: str
    fix: str
    case: str = ""
    board: str = ""
    check: str = ""


_ORDER = {kind: number for number, kind in enumerate(Kind)}


def worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Reasons of one kind keep their order, which is the order of blame; what was found twice is said once."""
    return tuple(sorted(dict.fromkeys(reasons), key=lambda reason: _ORDER[reason.kind]))
