"""What the first pass takes from a scripted device whose front end is its own, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_device import REFUSED, N, Scripted, case_of, record_of, session_with, stimuli_of

from hil.case.types import OWN, Case, Prepare
from hil.contract.input import PreparedTensors
from hil.records import GateReason, RunRecords, Status
from hil.reference.compute import Stimuli, prepare_all
from hil.reference.own import distance, is_right, takes_tensors
from hil.reference.prepare import digest
from hil.session import first_pass, own_stages
from hil.session.part import empty_records
from hil.session.step import Scope
from hil.session.steps import STEPS, wanted

ELEMENTS = 240


def own_case(prepared: np.ndarray | None = None, lsb: int = 0) -> Case:
    case = case_of()
    contracts = replace(case.contracts, prepared_lsb=lsb)
    vectors = replace(case.vectors, prepared=prepared)
    return replace(case, prepare=Prepare(OWN, 0), vectors=vectors, contracts=contracts)


def records_of(digests: dict[int, int]) -> RunRecords:
    records = empty_records(case_of())
    records.status[:] = Status.DONE
    records.status[REFUSED], records.gate[REFUSED] = Status.REJECTED, GateReason.RANGE
    for vector, value in digests.items():
        records.digest[vector] = value
    return records


def after(case: Case, records: RunRecords, tensors: dict[int, np.ndarray]) -> Stimuli:
    return own_stages._adopted(case, prepare_all(case), records, tensors)


def test_steps_that_make_windows_are_not_taken() -> None:
    """What they would bring says nothing, and they need the stage."""
    known = {step.section.__name__ for step in wanted(case_of(), *Scope)}
    own = {step.section.__name__ for step in wanted(own_case(), *Scope)}
    assert known - own == {"GateProbes", "Coverage"}
    assert len(STEPS) > len(own)


@pytest.mark.parametrize(
    ("prepared", "lsb", "takes"),
    [(None, 0, True), (np.zeros((N, ELEMENTS), np.int8), 0, False), (np.zeros((N, ELEMENTS), np.int8), 1, True)],
)
def test_tensors_are_taken_where_a_digest_does_not_say_enough(
    prepared: np.ndarray | None, lsb: int, takes: bool
) -> None:
    assert takes_tensors(own_case(prepared, lsb)) is takes
    assert not takes_tensors(case_of())


def test_a_tensor_without_expectation_is_what_the_oracle_is_asked_for() -> None:
    tensor = np.arange(ELEMENTS).astype(np.int8)
    found = after(own_case(), records_of({2: digest(tensor)}), {2: tensor})
    assert found.known.tolist() == [2]
    assert np.array_equal(found.prepared[2], tensor)
    assert found.digest[2] == digest(tensor)


def test_a_tensor_that_has_not_the_digest_of_its_record_differs() -> None:
    """Either the digest or the fetched tensor is not that of the window."""
    tensor = np.arange(ELEMENTS).astype(np.int8)
    found = after(own_case(), records_of({2: digest(tensor) ^ 1}), {2: tensor})
    assert found.known.tolist() == [2]
    assert found.digest[2] == digest(tensor)


def test_inside_the_tolerance_the_devices_tensor_takes_the_place_of_the_expected_one() -> None:
    wanted_tensors = np.zeros((N, ELEMENTS), np.int8)
    near, far = np.ones(ELEMENTS, np.int8), np.full(ELEMENTS, 2, np.int8)
    case = own_case(wanted_tensors, lsb=1)
    same = digest(wanted_tensors[0])
    records = records_of({0: same, 1: digest(near), 2: digest(far), 4: 99, 5: same})
    found = after(case, records, {1: near, 2: far})
    assert found.prepared[[0, 1, 2], 0].tolist() == [0, 1, 0]
    assert found.digest[1] == records.digest[1]
    assert found.digest[2] != records.digest[2]  # a finding
    assert found.unknown is not None
    assert np.flatnonzero(found.unknown).tolist() == [4]  # another digest, and no tensor


def test_without_limits_the_devices_gate_is_taken() -> None:
    case = own_case()
    records = records_of({})
    records.status[1], records.gate[1] = Status.REJECTED, GateReason.FLAT
    assert prepare_all(case).gate[1] == GateReason.VALID
    assert after(case, records, {}).gate[1] == GateReason.VALID
    without = replace(case, gate=replace(case.gate, known=False))
    assert after(without, records, {}).gate[1] == GateReason.FLAT


def test_a_tensor_of_another_size_is_never_right() -> None:
    short = np.zeros(3, np.int8)
    case = own_case(np.zeros((N, ELEMENTS), np.int8), lsb=1)
    assert not is_right(case, 0, short)
    found = after(own_case(), records_of({0: digest(short)}), {0: short})
    assert 0 not in found.known


def test_distance_of_numbers_that_are_none() -> None:
    wanted_values = np.array([np.nan, np.nan, np.inf, 1.0, np.inf], np.float32)
    seen = np.array([np.nan, 1.0, np.inf, 1.5, -np.inf], np.float32)
    assert distance(wanted_values, seen).tolist() == [0.0, np.inf, 0.0, 0.5, np.inf]
    ends = np.array([-128], np.int8), np.array([127], np.int8)
    assert distance(*ends).tolist() == [255.0]


@pytest.mark.parametrize(("lsb", "fetched"), [(0, 0), (1, 5)])
def test_the_first_pass_fetches_each_tensor_that_may_be_right(lsb: int, fetched: int) -> None:
    """Of an exact expectation only those that differ, for the findings: here none."""
    prepared = stimuli_of(None).prepared
    expected = prepared if lsb == 0 else (prepared.astype(int) ^ 1).astype(np.int8)
    case = own_case(expected, lsb)
    device = Scripted(tensor=prepared[0].tobytes())
    run = replace(session_with(device), case=case, stimuli=prepare_all(case))
    found = first_pass.STEP.collect(run)
    assert isinstance(found, PreparedTensors)
    assert len(found.taken) == fetched
    assert [each.what for each in device.asked].count("prepared") == fetched
    right = {vector for vector in found.taken if digest(found.taken[vector]) == record_of(vector).digest}
    assert {each.vector for each in found.differences} == set(found.taken) - right
