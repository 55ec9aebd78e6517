"""What stands at the first place counts like what stands at any other: the first vector, the first label, the first of
a stream. A comparison with 0 that is one off shows nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import LABELS, N, with_section

from hil.contract import CHECKS, judge
from hil.contract.repeats import Repeats
from hil.contract.types import Evidence, Finding, Outcome, ReplayDifference, VectorFault
from hil.records import DecisionReason, FaultReport, Status

BY_ID = {check.id: check for check in CHECKS}


def only(check: str, evidence: Evidence) -> Finding:
    result = judge(BY_ID[check], evidence)
    assert result.outcome is Outcome.FAILED
    (finding,) = result.findings
    return finding


@pytest.mark.parametrize("answer", range(4))
def test_a_wrong_answer_is_told_with_the_text_that_the_device_gave(evidence: Evidence, answer: int) -> None:
    """The texts lie the other way round in the records: text 0 is that of the last label."""
    vector = int(np.flatnonzero(evidence.references.answer == answer)[0])
    told = (answer + 1) % 4
    evidence.records.answer[vector] = told
    finding = only("decision.answer", evidence)
    assert finding.expected == f"{LABELS[answer]} (accepted)"
    assert finding.observed == f"{LABELS[told]}, with the text {LABELS[answer]!r} (accepted)"


@pytest.mark.parametrize("text", range(4))
def test_a_wrong_text_is_told_whichever_it_is(evidence: Evidence, text: int) -> None:
    vector = int(np.flatnonzero(evidence.references.answer == (text + 1) % 4)[0])
    evidence.records.label[vector] = 3 - text
    finding = only("decision.answer", evidence)
    assert finding.observed == f"{LABELS[(text + 1) % 4]}, with the text {LABELS[text]!r} (accepted)"
    assert finding.hint == "right index, wrong text: see decision.labels, then how the firmware looks the label up"


def test_a_reason_that_nobody_knows_is_told_by_its_number(evidence: Evidence) -> None:
    evidence.records.reason[9] = 99
    finding = only("decision.reject", evidence)
    assert finding.expected == "accepted"
    assert finding.observed.startswith("unknown reason 99 (winner ")
    evidence.records.answer[9] = -1
    assert only("decision.answer", evidence).observed.endswith("(unknown reason 99)")


def test_an_answer_that_is_no_label_is_told_by_its_number(evidence: Evidence) -> None:
    for answer in (len(LABELS), 77, -2):
        evidence.records.answer[9] = answer
        assert f"label index {answer}" in only("decision.answer", evidence).observed


@pytest.mark.parametrize("vector", [0, 1, N - 1])
def test_a_decision_that_did_not_repeat_behind_a_fault_points_to_it(evidence: Evidence, vector: int) -> None:
    """Vector 0 is the first that could have broken; its number is the least that says so."""
    fault = VectorFault(vector, Status.FAULT, FaultReport("bus fault", "invoke", "pc 0"))
    difference = ReplayDifference(vector, "pass", 2, "decision", "(1, 2)", "(1, 3)")
    broken = with_section(replace(evidence, faults=(fault,)), Repeats, differences=(difference,))
    finding = only("decision.repeat", broken)
    assert finding.observed == "1 run decided otherwise, but an earlier contract broke first there"
    assert finding.hint == f"execution broke first on #{vector}: see execution.fault"
    assert finding.vector == f"#{vector}"


@pytest.mark.parametrize("first", [0, 4])
def test_what_breaks_the_first_of_a_stream_explains_the_others(evidence: Evidence, first: int) -> None:
    """A stream may begin with vector 0, and its number may be 0."""
    for number in (0, 3):
        sequence = np.full(N, -1, np.int64)
        sequence[[first, first + 1, first + 2]] = number
        vectors, rows = replace(evidence.case.vectors, sequence=sequence), evidence.records
        streamed = replace(evidence, case=replace(evidence.case, vectors=vectors))
        records = replace(rows, output=rows.output.copy(), reason=rows.reason.copy())
        records.output[first, 0] ^= 1
        records.reason[first + 2] = DecisionReason.COOLDOWN
        finding = only("decision.reject", replace(streamed, records=records))
        assert finding.hint == f"execution broke first on #{first} of the same stream: see execution.output"


def test_with_no_column_of_rejections_the_reference_alone_is_held_to(evidence: Evidence) -> None:
    untold = replace(evidence, case=replace(evidence.case, vectors=replace(evidence.case.vectors, reject=None)))
    assert judge(BY_ID["input.gate"], untold).outcome is Outcome.PASSED
    untold.records.status[0], untold.records.gate[0] = Status.REJECTED, 2
    assert judge(BY_ID["input.gate"], untold).outcome is Outcome.FAILED
