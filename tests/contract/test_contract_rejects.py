"""What is said of windows that the harness made itself: the element that is wrong, the mistake that makes it, and why
some of them say nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import build_evidence, record_of, rejection, with_section
from made_several import each_twice

from hil.contract import CHECKS, judge
from hil.contract.sent import GateProbe, GateProbes
from hil.contract.types import CheckResult, Evidence, Finding, Outcome, VectorFault
from hil.records import Decision, DecisionReason, FaultReport, GateReason, Prepared, Record, Status
from hil.reference.prepare import digest, prepare

BY_ID = {check.id: check for check in CHECKS}
WRONG = 0xBAD


def verdict(evidence: Evidence, *probes: GateProbe) -> CheckResult:
    return judge(BY_ID["input.rejects"], with_section(evidence, GateProbes, probes=probes))


def only(evidence: Evidence, *probes: GateProbe) -> Finding:
    (finding,) = verdict(evidence, *probes).findings
    return finding


def valid_probe(evidence: Evidence, record: Record | None = None, **changes: object) -> GateProbe:
    """The first window of the case, whose tensor came out wrong."""
    window = evidence.case.vectors.windows[0]
    wanted = prepare(window[None], evidence.case.prepare, evidence.case.model.input)[0]
    record = record or replace(record_of(evidence.records, 0), digest=WRONG, minimum=-9, maximum=8)
    probe = GateProbe("noise", GateReason.VALID, record, digest(wanted), window.tobytes())
    return replace(probe, **changes)


def tensor_of(evidence: Evidence) -> np.ndarray:
    return prepare(evidence.case.vectors.windows[:1], evidence.case.prepare, evidence.case.model.input)[0]


@pytest.mark.parametrize("place", [0, 23])
def test_a_wrong_tensor_is_told_by_its_first_wrong_element(evidence: Evidence, place: int) -> None:
    tensor = tensor_of(evidence)
    expected, wrong = int(tensor[place]), int(tensor[place]) ^ 1
    tensor[place] = wrong
    finding = only(evidence, valid_probe(evidence, observed=tensor.tobytes()))
    name = {0: "[sample 0, channel 0]", 23: "[sample 7, channel 2]"}[place]
    assert finding.expected.endswith(f"; {expected} at {name}")
    assert finding.observed == f"digest {WRONG:08x}; min -9, max 8; {wrong} there, 1 of 24 elements differ"
    assert (finding.vector, finding.stage) == ("noise", "prepare")
    assert finding.hint == "compare prepare with docs/pipeline.md at values that the vectors do not reach"


def test_the_mistake_that_gives_a_tensor_is_named(evidence: Evidence) -> None:
    """No clamp at the ends of int8: the low eight bits."""
    window = np.full((1, 8, 3), 20000, np.int16)
    channels = tuple(replace(channel, gain=1 << 26) for channel in evidence.case.prepare.channels)
    case = replace(evidence.case, prepare=replace(evidence.case.prepare, channels=channels))
    evidence = replace(evidence, case=case)
    right = prepare(window, case.prepare, case.model.input)[0]
    assert (right == 127).all()
    q = (20000 * (1 << 26) + (1 << 30) >> 31) + case.model.input.quantisation.zero_point
    tensor = np.full(24, q, np.int64).astype(np.int8)
    probe = valid_probe(evidence, window=window.tobytes(), observed=tensor.tobytes(), digest=digest(right))
    assert only(evidence, probe).hint.startswith("scale/1 gives this tensor when it is written like this: ")


def test_a_tensor_that_is_right_when_it_is_fetched_is_a_race(evidence: Evidence) -> None:
    finding = only(evidence, valid_probe(evidence, observed=tensor_of(evidence).tobytes()))
    assert finding.observed.endswith("; the tensor fetched afterwards is right")
    assert finding.hint == "look for a race or uninitialised memory"


@pytest.mark.parametrize("observed", [None, b"", bytes(23), bytes(25)])
def test_without_a_tensor_of_the_right_size_the_digest_is_told(evidence: Evidence, observed: bytes | None) -> None:
    finding = only(evidence, valid_probe(evidence, observed=observed))
    assert finding.observed == f"digest {WRONG:08x}; min -9, max 8"


def test_of_several_inputs_the_one_is_looked_at_whose_window_it_is() -> None:
    evidence = each_twice(build_evidence())
    tensor = tensor_of(build_evidence())
    wanted = digest(tensor)
    first = replace(record_of(evidence.records, 0), digest=wanted, inputs=(Prepared(WRONG, -7, 7, 0),))
    finding = only(evidence, valid_probe(evidence, first, input=1))
    assert finding.observed == f"digest {WRONG:08x}; min -7, max 7"
    right = replace(first, digest=WRONG, inputs=(Prepared(wanted, -7, 7, 0),))
    assert verdict(evidence, valid_probe(evidence, right, input=1)).outcome is Outcome.PASSED


# ---- what else can come of a window ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gate": GateReason.STALE, "status": Status.REJECTED}, "rejected: stale"),
        ({"gate": GateReason.VALID, "status": Status.REJECTED}, "rejected without a reason"),
        ({"gate": GateReason.FLAT}, "rejected: flat"),
        ({"status": Status.PREPARE_FAILED}, "status prepare failed"),
        ({"status": Status.NO_BUNDLE}, "status no bundle"),
        ({"status": Status.INVOKE_FAILED}, f"digest {WRONG:08x}; min -9, max 8"),
    ],
)
def test_a_valid_window_has_to_come_through(evidence: Evidence, changes: dict[str, object], words: str) -> None:
    record = valid_probe(evidence).record
    assert record is not None
    changed = replace(record, **changes)
    finding = only(evidence, valid_probe(evidence, changed))
    assert finding.observed == words
    lost = changed.gate is not GateReason.VALID
    assert finding.stage == ("gate" if lost else "prepare")


REFUSED = rejection(GateReason.RANGE)
ANSWERED = Decision(-1, 0, 3, DecisionReason.ACCEPTED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": Status.DONE}, "status done"),
        ({"gate": GateReason.FLAT}, "reason flat"),
        ({"gate": GateReason.VALID}, "reason valid"),
        ({"decision": ANSWERED}, "labelled 3"),
        ({"decision": replace(ANSWERED, answer=0)}, "labelled 0"),
        ({"decision": replace(ANSWERED, answer=-1, label="tap")}, "labelled 'tap'"),
        ({"output": b"\0"}, "1 bytes of output"),
        ({"outputs": (b"", b"\0\0")}, "2 bytes of output"),
        ({"output": b"\0\0\0", "outputs": (b"\0",)}, "4 bytes of output"),
    ],
)
def test_a_window_that_has_to_be_refused_leaves_nothing_behind(
    evidence: Evidence, changes: dict[str, object], words: str
) -> None:
    record = replace(REFUSED, **changes)
    finding = only(evidence, GateProbe("high", GateReason.RANGE, record))
    assert finding.observed == words
    assert finding.expected == "rejected: range; no label, no output"
    assert finding.stage == "gate"


def test_a_record_that_did_not_come_is_told_unless_a_fault_tells_it(evidence: Evidence) -> None:
    right = GateProbe("high", GateReason.RANGE, REFUSED)
    lost = GateProbe("low", GateReason.RANGE, None)
    assert only(evidence, right, lost).observed == "no record came back"
    fault = VectorFault(-1, Status.FAULT, FaultReport("bus fault", "invoke", "pc 0"))
    told = verdict(replace(evidence, faults=(fault,)), right, lost, lost)
    assert told.outcome is Outcome.NOT_JUDGED
    assert told.reason == "2 windows brought no record: see execution.fault"


@pytest.mark.parametrize("told", [0, None])
def test_a_model_that_failed_says_nothing_of_the_gate(evidence: Evidence, told: int | None) -> None:
    """An agent may leave the digest out then."""
    probe = valid_probe(evidence)
    assert probe.record is not None
    failed = replace(probe.record, status=Status.INVOKE_FAILED, digest=probe.digest if told is None else told)
    found = verdict(evidence, replace(probe, record=failed), GateProbe("high", GateReason.RANGE, REFUSED))
    assert found.outcome is Outcome.NOT_JUDGED
    assert found.reason == "the model failed on 1 window: see execution.complete"
