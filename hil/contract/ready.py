"""Knows whether a run left enough behind to judge, and which check to read first when it did not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.contract.blame import gate_differs, ran
from hil.contract.types import Evidence
from hil.records import Status


def refused(evidence: Evidence) -> str:
    """Why nothing can be said about the device's view of the bundle; "" when it accepted it."""
    return "the device refused the bundle: see execution.bundle" if evidence.hello.bundle_status != 0 else ""


def unlimited(evidence: Evidence) -> str:
    """Why nothing can be held to the case's arena; "" when it has one."""
    return "case.toml gives no arena_bytes: see memory.arena" if evidence.case.arena_bytes is None else ""


def unready(evidence: Evidence) -> str:
    """Why no record can be judged; "" when at least one vector ran."""
    if reason := refused(evidence):
        return reason
    return "" if ran(evidence.records).any() else f"no vector ran: see {_stopped_by(evidence)}"


def ended_before(evidence: Evidence) -> str:
    """Why nothing is there of what a whole run brings: the check that tells by what it ended."""
    return f"the run ended before: see {_stopped_by(evidence)}"


def asked(population: NDArray[np.bool_], evidence: Evidence) -> str:
    """Why this population of vectors cannot be judged; "" when it is not empty."""
    if population.any():
        return ""
    if gate_differs(evidence).any():
        return "no vector that ran can be compared: see input.gate"
    if not ran(evidence.records).all():
        return f"no vector that ran can be compared: see {_stopped_by(evidence)}"
    return "no vector of the case gets this far: the gate rejects all of them, as it should"


def _stopped_by(evidence: Evidence) -> str:
    lost = np.isin(evidence.records.status, (Status.FAULT, Status.RESET, Status.HANG)).any()
    return "execution.fault" if evidence.faults or lost else "execution.complete"
