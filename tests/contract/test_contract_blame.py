"""What broke first: later contracts point to it, never claim it as theirs, and never pass because of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from made_evidence import with_section

from hil.case.types import Decide, Limit, SoakLimits
from hil.contract import CHECKS, checks_for, judge
from hil.contract.blame import blame, run_order
from hil.contract.damaged import BundleProbes
from hil.contract.input import PreparedDifference, PreparedTensors
from hil.contract.repeats import Repeats
from hil.contract.sent import GateProbes
from hil.contract.types import MAX_FINDINGS, CheckResult, Evidence, Finding, Outcome, ReplayDifference, VectorFault
from hil.records import DecisionReason, FaultReport, GateReason, RunRecords, Status

BY_ID = {check.id: check for check in CHECKS}
# Of a case that has a baseline, or accepted expectations.
OF_OTHER_CASES = {"decision.score"}  # those whose decide stage is their own
WITH_FILES = {"execution.expected", *OF_OTHER_CASES, *(check.id for check in CHECKS if check.contract == "baseline")}
STATIC = {  # judged without a single record
    "execution.kernels",
    "execution.operators",
    "execution.model",
    "memory.flash",
    "memory.ram",
    "input.parameters",
    "decision.parameters",
}


def verdict(check: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[check], evidence)


def only_finding(result: CheckResult) -> Finding:
    assert (result.outcome, result.total) == (Outcome.FAILED, 1)
    return result.findings[0]


def break_prepare(evidence: Evidence, vector: int) -> None:
    """The device prepares another tensor; output and answer follow it."""
    rows = evidence.records
    rows.digest[vector] ^= 1
    rows.output[vector] = np.roll(rows.output[vector], 1)
    decide_again(evidence, vector)


def break_invoke(evidence: Evidence, vector: int) -> None:
    evidence.records.output[vector] = np.roll(evidence.records.output[vector], 1)
    decide_again(evidence, vector)


def decide_again(evidence: Evidence, vector: int) -> None:
    """A right decide stage on a wrong output; label texts are in reverse order in this evidence."""
    rows = evidence.records
    winner = int(rows.output[vector].argmax())
    rows.winner[vector] = rows.answer[vector] = winner
    rows.label[vector] = 3 - winner


def test_a_wrong_tensor_is_the_only_own_finding_of_all_checks(evidence: Evidence) -> None:
    break_prepare(evidence, 41)
    assert verdict("input.prepared", evidence).total == 1
    for check in ("execution.output", "decision.answer"):
        finding = only_finding(verdict(check, evidence))
        assert finding.hint == "input broke first on this vector: see input.prepared"
        assert (finding.vector, finding.stage) == ("#41", "prepare")
        assert "earlier contract broke first" in finding.observed


def test_a_wrong_output_is_not_blamed_on_the_decide_stage(evidence: Evidence) -> None:
    break_invoke(evidence, 41)
    assert verdict("input.prepared", evidence).outcome is Outcome.PASSED
    assert only_finding(verdict("execution.output", evidence)).stage == "invoke"
    finding = only_finding(verdict("decision.answer", evidence))
    assert finding.hint == "execution broke first on this vector: see execution.output"


def test_own_findings_are_counted_beside_explained_ones(evidence: Evidence) -> None:
    break_invoke(evidence, 41)
    break_invoke(evidence, 42)
    evidence.records.answer[50] = -1
    result = verdict("decision.answer", evidence)
    assert result.total == 2
    assert [finding.vector for finding in result.findings] == ["#50", "#41"]
    assert result.findings[1].observed.startswith("2 vectors")


def test_a_lost_valid_window_has_no_answer_and_the_gate_is_named(evidence: Evidence) -> None:
    evidence.records.status[60], evidence.records.gate[60] = Status.REJECTED, GateReason.FLAT
    finding = only_finding(verdict("decision.answer", evidence))
    assert finding.hint == "input broke first on this vector: see input.gate"
    assert finding.stage == "gate"


def test_an_answer_to_a_malformed_window_is_blamed_on_the_gate(evidence: Evidence, rejected: int) -> None:
    evidence.records.status[rejected], evidence.records.gate[rejected] = Status.DONE, GateReason.VALID
    assert only_finding(verdict("decision.answer", evidence)).hint.endswith("see input.gate")


def test_later_vectors_of_a_stream_are_explained_by_the_first_that_broke(
    evidence: Evidence, stream: tuple[int, ...]
) -> None:
    """The wrong output of the second vector changes the decision state; only vectors after it are excused."""
    break_invoke(evidence, stream[1])
    evidence.records.answer[stream[3]] = -1
    result = verdict("decision.answer", evidence)
    assert only_finding(result).hint == "execution broke first on this vector: see execution.output"
    assert result.findings[0].observed.startswith("2 vectors")
    evidence.records.answer[stream[0]] = -1
    assert verdict("decision.answer", evidence).findings[0].vector == f"#{stream[0]}"


def test_a_stream_names_the_vector_that_broke(evidence: Evidence, stream: tuple[int, ...]) -> None:
    evidence.records.status[stream[0]] = Status.HANG
    evidence.records.answer[stream[2]] = -1
    hint = only_finding(verdict("decision.answer", evidence)).hint
    assert hint == f"execution broke first on #{stream[0]} of the same stream: see execution.fault"


def test_a_break_elsewhere_does_not_excuse_a_stream(evidence: Evidence, stream: tuple[int, ...]) -> None:
    break_invoke(evidence, stream[1] - 1)  # stands between two vectors of the stream, and is no part of it
    evidence.records.answer[stream[2]] = -1
    assert verdict("decision.answer", evidence).findings[0].vector == f"#{stream[2]}"


def test_interleaved_streams_are_kept_apart(evidence: Evidence) -> None:
    sequence = np.full(320, -1)
    sequence[[10, 12, 14]], sequence[[11, 13, 15]] = 4, 2
    vectors = replace(evidence.case.vectors, sequence=sequence)
    evidence = replace(evidence, case=replace(evidence.case, vectors=vectors))
    break_invoke(evidence, 12)
    carrier = blame(evidence).carrier
    assert {i: int(c) for i, c in enumerate(carrier) if c >= 0} == {12: 12, 14: 12}
    assert run_order(evidence.case)[8:18].tolist() == [8, 9, 10, 12, 14, 11, 13, 15, 16, 17]


def test_a_stale_tensor_is_recognised_in_the_order_of_the_run(evidence: Evidence, stream: tuple[int, ...]) -> None:
    """Before stream[1] the board ran stream[0], not the vector that stands before it in the file."""
    stale = evidence.references.prepared[stream[0]]
    evidence.records.digest[stream[1]] = evidence.references.digest[stream[0]]
    evidence = with_section(evidence, PreparedTensors, differences=(PreparedDifference(stream[1], stale),))
    assert "stale input buffer" in only_finding(verdict("input.prepared", evidence)).hint


# ---- agreement


def test_agreement_that_only_fails_on_broken_vectors_points_to_them(evidence: Evidence) -> None:
    for vector in range(30, 60):
        break_invoke(evidence, vector)
    finding = only_finding(verdict("agreement.top1", evidence))
    assert finding.hint == "execution broke first on this vector: see execution.output"
    assert (finding.vector, finding.stage) == ("#30", "invoke")


def test_agreement_on_nothing_but_broken_vectors_never_passes(evidence: Evidence) -> None:
    evidence.records.digest[:] ^= 1
    for check in ("agreement.top1", "agreement.cosine", "execution.output", "decision.answer"):
        result = verdict(check, evidence)
        assert result.outcome is Outcome.NOT_JUDGED
        assert "input.prepared" in result.reason


def test_good_figures_on_broken_vectors_do_not_hide_bad_ones_elsewhere(evidence: Evidence) -> None:
    """The float model disagrees on 30 vectors that nothing is wrong with; 290 broken ones would dilute them to 9 %."""
    for floats in (evidence.references.float_chain, evidence.references.float_output):
        assert floats is not None
        floats[:30] = np.roll(floats[:30], 1, axis=1)
    evidence.records.digest[30:] ^= 1
    contracts = replace(evidence.case.contracts, agreement={"top1": Limit(minimum=0.9)})
    evidence = replace(evidence, case=replace(evidence.case, contracts=contracts))
    result = verdict("agreement.top1", evidence)
    assert (result.outcome, result.value) == (Outcome.FAILED, 0.0)
    assert "oracle" in result.findings[0].hint


def test_accuracy_lost_to_broken_outputs_points_to_them(evidence: Evidence) -> None:
    for vector in range(100, 180):
        break_invoke(evidence, vector)
    assert only_finding(verdict("decision.accuracy", evidence)).hint.endswith("see execution.output")


def test_accuracy_on_nothing_but_broken_vectors_is_no_finding_of_its_own(evidence: Evidence) -> None:
    evidence.records.digest[:] ^= 1
    evidence.records.answer[:] = -1
    assert only_finding(verdict("decision.accuracy", evidence)).hint.endswith("see input.prepared")


# ---- budget of LSB


def test_an_output_inside_the_budget_is_no_finding_but_the_changed_answer_is(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    evidence = with_contracts(evidence, lsb=1)
    rows, references = evidence.records, evidence.references
    vector = 44
    winner = int(references.winner[vector])
    references.output[vector, winner] = references.score[vector] = 1  # one above the threshold of 0
    rows.output[vector, winner] = rows.score[vector] = 0
    rows.answer[vector], rows.label[vector], rows.reason[vector] = -1, -1, 1
    assert verdict("execution.output", evidence).outcome is Outcome.PASSED
    finding = only_finding(verdict("decision.answer", evidence))
    assert finding.stage == "invoke"
    assert "inside its budget" in finding.hint


# ---- too little to judge


def refuse(evidence: Evidence) -> Evidence:
    """The device refused the bundle before it looked at the model."""
    hello = replace(evidence.hello, bundle_status=7, bundle_hash="00" * 32, model_hash="00" * 32)
    records = RunRecords.empty(len(evidence.records), 4)
    return replace(evidence, hello=hello, records=records, sections={})


def test_a_refused_bundle_fails_one_check_and_passes_none_that_needs_the_run(evidence: Evidence) -> None:
    evidence = refuse(evidence)
    results = {check.id: verdict(check.id, evidence) for check in checks_for(evidence.case)}
    assert {name for name, result in results.items() if result.outcome is Outcome.FAILED} == {"execution.bundle"}
    assert {name for name, result in results.items() if result.outcome is Outcome.PASSED} == STATIC - {
        "execution.model"
    }
    reasons = {result.reason for result in results.values() if result.outcome is Outcome.NOT_JUDGED}
    assert reasons == {"the device refused the bundle: see execution.bundle"}


def test_a_fault_on_the_first_vector_leaves_nothing_that_passes_on_zero_vectors(evidence: Evidence) -> None:
    records = RunRecords.empty(len(evidence.records), 4)
    records.status[0] = Status.FAULT
    faults = (VectorFault(0, Status.FAULT, FaultReport("hard fault", "invoke", "pc 0")),)
    evidence = replace(
        evidence, records=records, faults=faults, sections={BundleProbes: evidence.section(BundleProbes)}
    )
    results = {check.id: verdict(check.id, evidence) for check in checks_for(evidence.case)}
    assert {name for name, result in results.items() if result.outcome is Outcome.FAILED} == {
        "execution.fault",
        "execution.complete",
    }
    assert {name for name, result in results.items() if result.outcome is Outcome.PASSED} == STATIC | {
        *(f"input.{field}" for field in ("type", "shape", "scale", "zero_point")),
        "execution.bundle",
        "execution.damaged",
        "execution.arena",
        "decision.labels",
    }
    assert {r.reason for r in results.values() if r.outcome is Outcome.NOT_JUDGED} == {
        "no vector ran: see execution.fault",
        "the run ended before: see execution.fault",
    }


def test_a_fault_half_way_leaves_the_first_half_judged(evidence: Evidence) -> None:
    evidence.records.status[200], evidence.records.status[201:] = Status.RESET, Status.NOT_RUN
    assert verdict("execution.output", evidence).numbers["vectors_compared"] == 199
    assert verdict("input.prepared", evidence).outcome is Outcome.PASSED
    assert verdict("execution.complete", evidence).total == 2  # the reset, and the rest that did not run


def test_a_case_of_malformed_windows_alone_judges_only_the_gate(evidence: Evidence) -> None:
    evidence.references.gate[:] = GateReason.RANGE
    evidence.records.status[:], evidence.records.gate[:], evidence.records.label[:] = (
        Status.REJECTED,
        GateReason.RANGE,
        -1,
    )
    vectors = replace(evidence.case.vectors, reject=("range",) * 320)
    evidence = with_section(replace(evidence, case=replace(evidence.case, vectors=vectors)), GateProbes, probes=())
    assert verdict("input.gate", evidence).outcome is Outcome.PASSED
    for check in ("input.prepared", "input.rejects", "execution.output", "decision.answer", "memory.stack"):
        assert verdict(check, evidence).outcome is Outcome.NOT_JUDGED


def test_a_fault_in_the_harness_own_probes_names_no_vector(evidence: Evidence) -> None:
    faults = (VectorFault(-1, Status.FAULT, FaultReport("bus fault", "gate", "pc 0")),)
    finding = only_finding(verdict("execution.fault", replace(evidence, faults=faults)))
    assert finding.vector == ""
    assert "harness made itself" in finding.hint


def test_marks_of_zero_are_not_taken_for_measurements(evidence: Evidence) -> None:
    evidence.records.stack_high_water[:] = 0
    assert only_finding(verdict("memory.stack", evidence)).observed == "0 bytes on every vector"
    assert verdict("memory.stack_headroom", evidence).outcome is Outcome.NOT_JUDGED


# ---- bookkeeping


def test_all_findings_are_counted_and_the_first_are_kept(evidence: Evidence) -> None:
    evidence.records.digest[100:200] ^= 1
    result = verdict("input.prepared", evidence)
    assert (result.total, len(result.findings)) == (100, MAX_FINDINGS)
    assert result.findings[0].vector == "#100"


def test_findings_use_the_names_of_the_case(evidence: Evidence) -> None:
    names = tuple(f"take {i}" for i in range(320))
    vectors = replace(evidence.case.vectors, names=names)
    evidence = replace(evidence, case=replace(evidence.case, vectors=vectors))
    break_invoke(evidence, 9)
    assert only_finding(verdict("execution.output", evidence)).vector == "take 9"


def test_of_one_run_only_the_first_difference_counts(evidence: Evidence) -> None:
    differences = tuple(ReplayDifference(5, "pass", 1, field, "a", "b") for field in ("decision", "output", "digest"))
    finding = only_finding(verdict("execution.replay", with_section(evidence, Repeats, differences=differences)))
    assert finding.stage == "prepare"


def test_ticks_need_not_repeat_on_a_physical_clock(evidence: Evidence) -> None:
    differences = (ReplayDifference(5, "pass", 1, "ticks", "100", "101"),)
    evidence = with_section(evidence, Repeats, differences=differences)
    assert verdict("execution.replay", evidence).outcome is Outcome.PASSED
    assert verdict("latency.repeat", evidence).outcome is Outcome.FAILED
    jittery = replace(evidence, clock=replace(evidence.clock, kind="cycles", deterministic=False))
    assert verdict("latency.repeat", jittery).outcome is Outcome.NOT_JUDGED


OPTIONAL = {
    *(check.id for check in CHECKS if check.contract in ("agreement", "latency") and check.id != "latency.refused"),
    *("execution.kernels", "execution.golden", "execution.repeat", "execution.replay"),
    *("decision.accuracy", "decision.repeat", "input.saturation"),
    *("soak.output", "soak.repeat", "soak.latency"),
    *("memory.arena_headroom", "memory.flash", "memory.ram", "memory.stack_headroom"),
}


def test_a_case_that_sets_no_limit_is_asked_only_what_holds_for_all(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    unlimited = {name: None for name in ("saturation", "accuracy", "arena_headroom", "stack_headroom")}
    unlimited |= {name: None for name in ("flash_bytes", "ram_bytes", "stack_bytes", "reference_kernels")}
    bare = with_contracts(evidence, agreement={}, latency=(), replays=1, passes=1, soak=SoakLimits(), **unlimited).case
    bare = replace(bare, vectors=replace(bare.vectors, expected_output=None))
    assert {check.id for check in checks_for(bare)} == set(BY_ID) - OPTIONAL - WITH_FILES


def test_a_case_without_a_decide_stage_has_no_score_probes(evidence: Evidence) -> None:
    case = replace(evidence.case, decide=Decide("none", 1))
    deciding = {"decision.threshold", "decision.ties", "decision.stream", "decision.repeat"}
    deciding |= {"sanity.chance_accuracy", "sanity.unanswered_class"}
    assert {check.id for check in checks_for(case)} == set(BY_ID) - deciding - WITH_FILES


def test_a_case_of_one_label_has_no_ties(evidence: Evidence) -> None:
    case = replace(evidence.case, decide=replace(evidence.case.decide, labels=("tap",)))
    assert not BY_ID["decision.ties"].applies(case)
    assert BY_ID["decision.threshold"].applies(case)


def test_an_answer_where_there_is_no_decide_stage_is_a_finding(evidence: Evidence) -> None:
    evidence = replace(evidence, case=replace(evidence.case, decide=Decide("none", 1)))
    for column in (evidence.records, evidence.references):
        column.winner[:], column.score[:], column.answer[:], column.reason[:] = -1, 0, -1, DecisionReason.NO_STAGE
    evidence.records.label[:] = -1
    assert verdict("decision.answer", evidence).outcome is Outcome.PASSED
    evidence.records.answer[5] = 0
    assert only_finding(verdict("decision.answer", evidence)).vector == "#5"
    assert verdict("agreement.flips", evidence).reason == "the case has no decide stage"
