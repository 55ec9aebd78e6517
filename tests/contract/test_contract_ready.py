"""Why a check has nothing to judge, and which check to read first then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hil.contract.ready import asked, ended_before, refused, unlimited, unready
from hil.contract.types import Evidence, VectorFault
from hil.records import FaultReport, GateReason, Status

REFUSED = "the device refused the bundle: see execution.bundle"
Change = Callable[[Evidence], Evidence]


def statuses(*of_first: Status, rest: Status = Status.NOT_RUN) -> Change:
    def change(evidence: Evidence) -> Evidence:
        evidence.records.status[:] = rest
        evidence.records.status[: len(of_first)] = of_first
        return evidence

    return change


def fault_of_no_vector(evidence: Evidence) -> Evidence:
    evidence.records.status[:] = Status.NOT_RUN
    return replace(evidence, faults=(VectorFault(-1, Status.FAULT, FaultReport("bus fault", "start", "")),))


def refusing(evidence: Evidence) -> Evidence:
    return replace(evidence, hello=replace(evidence.hello, bundle_status=1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (statuses(rest=Status.DONE), ""),
        (statuses(Status.DONE), ""),
        (statuses(Status.REJECTED), ""),
        (statuses(), "no vector ran: see execution.complete"),
        (statuses(Status.PREPARE_FAILED, Status.INVOKE_FAILED), "no vector ran: see execution.complete"),
        (statuses(Status.FAULT), "no vector ran: see execution.fault"),
        (statuses(Status.INVOKE_FAILED, Status.RESET), "no vector ran: see execution.fault"),
        (statuses(Status.HANG), "no vector ran: see execution.fault"),
        (fault_of_no_vector, "no vector ran: see execution.fault"),
        (refusing, REFUSED),
    ],
)
def test_one_vector_that_ran_is_enough(evidence: Evidence, change: Change, reason: str) -> None:
    changed = change(evidence)
    assert unready(changed) == reason
    assert refused(changed) == (reason if reason == REFUSED else "")


def gate_of_the_device(evidence: Evidence) -> Evidence:
    evidence.records.gate[4] = GateReason.RANGE
    return evidence


ALL_REJECTED = "no vector of the case gets this far: the gate rejects all of them, as it should"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda evidence: evidence, ALL_REJECTED),
        (gate_of_the_device, "no vector that ran can be compared: see input.gate"),
        (statuses(), "no vector that ran can be compared: see execution.complete"),
        (statuses(Status.INVOKE_FAILED), "no vector that ran can be compared: see execution.complete"),
        (statuses(Status.HANG), "no vector that ran can be compared: see execution.fault"),
        (fault_of_no_vector, "no vector that ran can be compared: see execution.fault"),
    ],
)
def test_an_empty_population_has_one_reason(evidence: Evidence, change: Change, reason: str) -> None:
    changed = change(evidence)
    nobody = np.zeros(len(changed.records), bool)
    assert asked(nobody, changed) == reason
    one = nobody.copy()
    one[3] = True
    assert asked(one, changed) == ""


def test_a_limit_of_the_arena_is_missed_only_where_the_case_gives_none(evidence: Evidence) -> None:
    assert unlimited(evidence) == ""
    without = replace(evidence, case=replace(evidence.case, arena_bytes=None))
    assert unlimited(without) == "case.toml gives no arena_bytes: see memory.arena"


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (statuses(Status.DONE, Status.FAULT), "execution.fault"),
        (fault_of_no_vector, "execution.fault"),
        (statuses(Status.DONE), "execution.complete"),
    ],
)
def test_what_a_run_ended_before_names_the_check_that_tells_by_what(
    evidence: Evidence, change: Change, check: str
) -> None:
    assert ended_before(change(evidence)) == f"the run ended before: see {check}"
