"""What several things break at once: answers come before time, and a fault or a failed run of the model before both.

`own` is what fails on its own account; every other check that fails has to point to one of those.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from made_evidence import STREAM, N, rejection, with_section

from hil.case.types import LatencyLimit, Limit, SoakLimits
from hil.contract import CHECKS, checks_for, judge
from hil.contract.execution import InvokeRun, Invokes
from hil.contract.history import Again, History
from hil.contract.plain import PlainDifference, PlainRuns
from hil.contract.repeats import Repeats
from hil.contract.sent import GateProbe, GateProbes
from hil.contract.soak import Soak
from hil.contract.types import CheckResult, Evidence, Outcome, ReplayDifference, VectorFault
from hil.contract.wire import Wire
from hil.records import FaultReport, GateReason, Record, RunRecords, Status

BY_ID = {check.id: check for check in CHECKS}
LIMIT = 90_000  # instructions of a whole window; the evidence as built takes 51,000 at most


def failed(evidence: Evidence) -> dict[str, CheckResult]:
    results = (judge(check, evidence) for check in checks_for(evidence.case))
    return {result.check: result for result in results if result.outcome is Outcome.FAILED}


def own(evidence: Evidence) -> set[str]:
    """Checks that fail with a finding that points to none before."""
    results = failed(evidence)
    pointing = {
        name
        for name, result in results.items()
        if all(
            set(re.findall(r"see ([a-z]+\.\w+)", finding.hint)) & set(results) - {name} for finding in result.findings
        )
    }
    return set(results) - pointing


def reasons(evidence: Evidence) -> dict[str, str]:
    results = (judge(check, evidence) for check in checks_for(evidence.case))
    return {result.check: result.reason for result in results if result.outcome is Outcome.NOT_JUDGED}


def limited(evidence: Evidence) -> Evidence:
    """The only limits on time are those of the whole window."""
    limits = tuple(
        LatencyLimit("total", statistic, "instructions", Limit(maximum=LIMIT, unit="instructions"))
        for statistic in ("p50", "p99", "max")
    )
    contracts = replace(evidence.case.contracts, latency=limits)
    return replace(evidence, case=replace(evidence.case, contracts=contracts))


def slow(evidence: Evidence, vectors: list[int]) -> None:
    """Invoke takes three times as long."""
    evidence.records.ticks[vectors, 1:] += 160_000


def wrong(evidence: Evidence, vectors: list[int]) -> None:
    """The model gives other scores; winner, answer and text follow them."""
    rows = evidence.records
    rows.output[vectors] = np.roll(rows.output[vectors], 1, axis=1)
    rows.winner[vectors], rows.score[vectors] = rows.output[vectors].argmax(axis=1), rows.output[vectors].max(axis=1)
    rows.answer[vectors] = np.where(rows.score[vectors] > 0, rows.winner[vectors], -1)
    rows.label[vectors] = np.where(rows.answer[vectors] >= 0, 3 - rows.answer[vectors], -1)


def without_record(evidence: Evidence, vectors: list[int], status: Status) -> None:
    """What `RunRecords` says of a vector that was not done."""
    rows, empty = evidence.records, RunRecords.empty(N, 4)
    for name in ("ticks", "digest", "minimum", "maximum", "saturated", "output", "winner", "score", "answer", "reason"):
        getattr(rows, name)[vectors] = getattr(empty, name)[vectors]
    rows.status[vectors], rows.label[vectors] = status, -1


def faulted(evidence: Evidence, *vectors: int, kind: str = "reset", status: Status = Status.RESET) -> Evidence:
    return replace(evidence, faults=tuple(VectorFault(v, status, FaultReport(kind, "invoke", "pc 0")) for v in vectors))


# ---- answers and time


SLOW = list(range(100, 140))


def test_windows_that_are_wrong_and_slow_are_wrong_first(evidence: Evidence) -> None:
    evidence = limited(evidence)
    slow(evidence, SLOW)
    wrong(evidence, SLOW)
    results = failed(evidence)
    assert next(iter(results)) == "execution.output"
    for check in ("latency.total.p99", "latency.total.max"):
        (finding,) = results[check].findings
        assert finding.hint == "execution broke first on this vector: see execution.output"
        assert (finding.vector, finding.stage) == ("#100", "invoke")
        assert finding.observed == "40 vectors off, but an earlier contract broke first there"
    assert own(evidence) == {"execution.output"}


def test_windows_whose_decision_is_wrong_and_slow_point_to_it(evidence: Evidence) -> None:
    evidence = limited(evidence)
    slow(evidence, [41])
    evidence.records.answer[41] = -1
    assert failed(evidence)["latency.total.max"].findings[0].hint.endswith("see decision.answer")
    assert own(evidence) == {"decision.answer"}


def test_when_all_are_wrong_and_slow_time_is_no_finding_of_its_own(evidence: Evidence) -> None:
    evidence = limited(evidence)
    everything = np.flatnonzero(evidence.records.status == Status.DONE).tolist()
    slow(evidence, everything)
    wrong(evidence, everything)
    assert failed(evidence)["latency.total.p50"].findings[0].hint.endswith("see execution.output")


def test_wrong_answers_on_some_do_not_excuse_the_time_of_others(evidence: Evidence) -> None:
    evidence = limited(evidence)
    slow(evidence, SLOW)
    wrong(evidence, SLOW[:3])
    hints = {name: result.findings[0].hint for name, result in failed(evidence).items() if name.startswith("latency")}
    assert set(hints) == {"latency.total.p99", "latency.total.max"}
    assert not [hint for hint in hints.values() if "see execution.output" in hint]
    assert {"latency.total.p99", "latency.total.max"} <= own(evidence)


def test_a_model_that_did_not_run_took_no_time_and_that_is_not_the_clock(evidence: Evidence) -> None:
    wrong(evidence, SLOW)
    evidence.records.ticks[SLOW, 1] = evidence.records.ticks[SLOW, 0]
    for name, result in failed(evidence).items():
        if name.startswith("latency."):
            assert result.findings[0].hint.endswith("see execution.output")
    assert "latency.invoke.max" in failed(evidence)
    evidence.records.ticks[50, 1] = evidence.records.ticks[50, 0]
    assert "the clock of the port" in failed(evidence)["latency.invoke.max"].findings[0].hint


def test_time_that_does_not_repeat_where_answers_do_not_either_follows_them(evidence: Evidence) -> None:
    differences = (
        ReplayDifference(30, "pass", 1, "output", "01", "02"),
        ReplayDifference(31, "pass", 1, "ticks", "[1, 2, 3]", "[1, 5, 6]"),
    )
    broken = with_section(evidence, Repeats, differences=differences)
    assert failed(broken)["latency.repeat"].findings[0].hint.endswith("see execution.replay")
    assert own(broken) == {"execution.replay"}
    other_pass = (differences[0], replace(differences[1], attempt=2))
    assert own(with_section(evidence, Repeats, differences=other_pass)) == {"execution.replay", "latency.repeat"}


def test_time_that_does_not_repeat_on_a_wrong_vector_follows_that(evidence: Evidence) -> None:
    wrong(evidence, [30])
    difference = ReplayDifference(30, "pass", 1, "ticks", "[1, 2, 3]", "[1, 5, 6]")
    broken = with_section(evidence, Repeats, differences=(difference,))
    assert failed(broken)["latency.repeat"].findings[0].hint.endswith("see execution.output")


# ---- faults


def test_too_few_samples_behind_a_fault_are_not_the_case_s_fault(evidence: Evidence) -> None:
    """The run ended after three of them: no advice to add vectors."""
    without_record(evidence, [100], Status.FAULT)
    without_record(evidence, list(range(101, N)), Status.NOT_RUN)
    evidence = with_section(faulted(evidence, 100, kind="hard fault", status=Status.FAULT), Repeats, pass_runs=0)
    assert "see execution.fault" in reasons(evidence)["latency.total.p99"]
    assert not [name for name in failed(evidence) if name.startswith("latency.")]
    assert own(evidence) == {"execution.fault"}


def test_a_case_with_too_few_windows_is_still_told_so(evidence: Evidence) -> None:
    evidence.case.vectors.windows[40:] = evidence.case.vectors.windows[0]
    without_record(evidence, [5], Status.FAULT)
    finding = failed(faulted(evidence, 5))["latency.total.p99"].findings[0]
    assert finding.hint.startswith("add vectors")


def test_a_restart_behind_the_reply_keeps_the_record_and_is_the_only_thing_blamed(evidence: Evidence) -> None:
    """The record was right; what the restart did to the rest of the stream is the restart's."""
    rows = evidence.records
    for vector in STREAM[2:]:
        rows.answer[vector], rows.label[vector] = -1, -1
    evidence = faulted(evidence, STREAM[1])
    finding = failed(evidence)["decision.answer"].findings[0]
    assert finding.hint == f"execution broke first on #{STREAM[1]} of the same stream: see execution.fault"
    assert own(evidence) == {"execution.fault"}


def test_what_was_wrong_in_the_record_came_before_the_fault(evidence: Evidence) -> None:
    wrong(evidence, [50])
    assert failed(faulted(evidence, 50))["execution.output"].findings[0].stage == "invoke"


def test_a_decision_that_does_not_repeat_behind_a_fault_follows_it(evidence: Evidence) -> None:
    """In the second pass the stream broke at its second vector: the state began anew behind it."""
    difference = ReplayDifference(STREAM[3], "pass", 1, "decision", "(1, 90, 1, 0)", "(1, 90, -1, 2)")
    broken = with_section(faulted(evidence, STREAM[1]), Repeats, differences=(difference,))
    hint = failed(broken)["decision.repeat"].findings[0].hint
    assert hint == f"execution broke first on #{STREAM[1]}: see execution.fault"
    assert own(broken) == {"execution.fault"}
    assert "decision.repeat" in own(with_section(faulted(evidence, STREAM[1] + 1), Repeats, differences=(difference,)))


def test_a_decision_that_does_not_repeat_behind_another_output_follows_that(evidence: Evidence) -> None:
    differences = (
        ReplayDifference(STREAM[0], "pass", 1, "output", "01", "02"),
        ReplayDifference(STREAM[2], "pass", 1, "decision", "(1, 90, 1, 0)", "(1, 90, -1, 2)"),
    )
    broken = with_section(evidence, Repeats, differences=differences)
    assert failed(broken)["decision.repeat"].findings[0].hint.endswith("see execution.replay")
    assert own(broken) == {"execution.replay"}


def test_a_window_of_the_harness_that_brings_no_record_is_the_fault_s(evidence: Evidence) -> None:
    probes = (*evidence.section(GateProbes).probes, GateProbe("odd", GateReason.RANGE, None))
    broken = with_section(faulted(evidence, -1), GateProbes, probes=probes)
    assert reasons(broken)["input.rejects"] == "1 window brought no record: see execution.fault"
    assert own(broken) == {"execution.fault"}


# ---- the model's run fails


def failing(record: Record, digest: int) -> Record:
    return replace(record, status=Status.INVOKE_FAILED, gate=GateReason.VALID, digest=digest)


def test_a_run_of_the_model_that_fails_from_a_call_on_is_told_with_its_number(evidence: Evidence) -> None:
    without_record(evidence, list(range(200, N)), Status.INVOKE_FAILED)
    evidence = evidence.having(Invokes((InvokeRun(340, tuple(range(201, 341))),)))
    finding = failed(evidence)["execution.complete"].findings[0]
    assert finding.observed == (
        "status invoke failed; invoke fails from call 201 on (140 of 340 calls since the firmware started)"
    )
    assert (finding.vector, finding.stage) == ("#200", "invoke")
    assert "see execution.complete" in reasons(evidence)["latency.total.p99"]
    assert own(evidence) == {"execution.complete"}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (InvokeRun(3, (1, 2, 3)), "invoke fails on every call (3 since the firmware started)"),
        (InvokeRun(700, (200, 400, 600)), "invoke fails on every 200th call (3 of 700 calls"),
        (InvokeRun(700, (21, 42)), "invoke fails on every 21st call (2 of 700 calls"),
        (InvokeRun(700, (17,)), "invoke fails on 1 of 700 calls since the firmware started: 17"),
        (InvokeRun(700, (5, 9, 11, 100, 101, 300)), "invoke fails on 6 of 700 calls since the firmware started: 5, 9,"),
    ],
)
def test_which_calls_fail_is_put_into_words(evidence: Evidence, run: InvokeRun, words: str) -> None:
    without_record(evidence, [50], Status.INVOKE_FAILED)
    broken = evidence.having(Invokes((InvokeRun(12), run)))
    assert words in failed(broken)["execution.complete"].findings[0].observed


def test_a_run_that_only_fails_on_the_harness_windows_is_no_finding_of_prepare(evidence: Evidence) -> None:
    """From call 700 on, all vectors have been by: the record tells the digest of a tensor that was right."""
    record = failing(rejection(GateReason.VALID), 7)
    probes = (*evidence.section(GateProbes).probes, GateProbe("noise", GateReason.VALID, record, 7))
    evidence = with_section(evidence, GateProbes, probes=probes, outputs=())
    evidence = evidence.having(Invokes((InvokeRun(720, tuple(range(700, 721))),)))
    assert list(failed(evidence)) == ["execution.complete"]
    finding = failed(evidence)["execution.complete"].findings[0]
    assert finding.observed.startswith("invoke fails from call 700 on (21 of 720 calls since the firmware started)")
    assert (finding.stage, finding.vector) == ("invoke", "")
    assert reasons(evidence)["input.rejects"] == "the model failed on 1 window: see execution.complete"
    assert reasons(evidence)["execution.probes"] == "the model failed on all of them: see execution.complete"


@pytest.mark.parametrize("digest", [0, 7])
def test_a_failed_run_tells_a_wrong_tensor_only_by_a_digest_that_it_has(evidence: Evidence, digest: int) -> None:
    record = failing(rejection(GateReason.VALID), digest)
    probes = (GateProbe("noise", GateReason.VALID, record, 9),)
    evidence = with_section(evidence, GateProbes, probes=probes).having(Invokes((InvokeRun(2, (2,)),)))
    assert ("input.rejects" in failed(evidence)) == (digest == 7)


def test_a_run_that_fails_in_a_later_pass_is_told_once(evidence: Evidence) -> None:
    difference = ReplayDifference(30, "pass", 1, "status", "DONE", "INVOKE_FAILED")
    broken = with_section(evidence, Repeats, differences=(difference,)).having(Invokes((InvokeRun(640, (352,)),)))
    finding = failed(broken)["execution.replay"].findings[0]
    assert (finding.stage, finding.hint) == (
        "invoke",
        "the model's run failed in one of the two: see execution.complete",
    )
    assert own(broken) == {"execution.complete"}


def test_a_run_that_only_fails_when_nobody_looks_is_told_once(evidence: Evidence) -> None:
    runs = PlainRuns(
        True, True, np.array([30]), np.array([51_000]), (PlainDifference(30, "status", "DONE", "INVOKE_FAILED"),)
    )
    broken = evidence.having(runs, Invokes((InvokeRun(640, (352,)),)))
    assert failed(broken)["execution.plain"].findings[0].stage == "invoke"
    assert own(broken) == {"execution.complete"}


# ---- a long run, and runs in other places


def soaked(evidence: Evidence, *differences: ReplayDifference, wrong: int, slow: int = 0) -> Evidence:
    contracts = replace(evidence.case.contracts, soak=SoakLimits(windows=2000))
    evidence = replace(evidence, case=replace(evidence.case, contracts=contracts))
    return evidence.having(Soak(2000, 1, differences, wrong=wrong, slow=slow))


WRONG_LATE = ReplayDifference(30, "soak", 1300, "output", "01", "02", "after #9")
SLOW_LATE = ReplayDifference(31, "soak", 1301, "ticks", "[1, 2, 3]", "[1, 5, 6]", "after #30")


def test_what_is_wrong_and_slow_in_a_long_run_is_wrong_first(evidence: Evidence) -> None:
    broken = soaked(evidence, WRONG_LATE, SLOW_LATE, wrong=1, slow=1)
    assert failed(broken)["soak.repeat"].findings[0].hint == "answers change too, which comes first: see soak.output"
    assert failed(broken)["soak.output"].findings[0].stage == "invoke"
    assert own(broken) == {"soak.output"}
    assert own(soaked(evidence, SLOW_LATE, wrong=0, slow=1)) == {"soak.repeat"}


def test_what_shorter_runs_show_too_is_not_the_long_run_s(evidence: Evidence) -> None:
    difference = ReplayDifference(30, "pass", 1, "output", "01", "02")
    broken = with_section(soaked(evidence, WRONG_LATE, wrong=1), Repeats, differences=(difference,))
    assert failed(broken)["soak.output"].findings[0].hint.endswith("see execution.replay")
    assert own(broken) == {"execution.replay"}


def test_a_run_of_the_model_that_fails_late_is_told_once(evidence: Evidence) -> None:
    fails = replace(WRONG_LATE, field="status", first="DONE", again="INVOKE_FAILED")
    broken = soaked(evidence, fails, wrong=1).having(Invokes((InvokeRun(2400, (1900,)),)))
    assert failed(broken)["soak.output"].findings[0].stage == "invoke"
    assert own(broken) == {"execution.complete"}


def test_a_run_of_the_model_that_fails_behind_another_window_is_told_once(evidence: Evidence) -> None:
    record = failing(rejection(GateReason.VALID), 0)
    evidence = evidence.having(History((Again(30, "after #9", record),)), Invokes((InvokeRun(640, (600,)),)))
    assert failed(evidence)["execution.history"].findings[0].stage == "invoke"
    assert own(evidence) == {"execution.complete"}


def test_time_that_differs_names_the_runs_whose_answers_do(evidence: Evidence) -> None:
    """The answer differed in a replay of the vector, its time in a pass."""
    differences = (
        ReplayDifference(31, "replay", 3, "output", "01", "02"),
        ReplayDifference(31, "pass", 1, "ticks", "[1, 2, 3]", "[1, 5, 6]"),
    )
    broken = with_section(evidence, Repeats, differences=differences)
    assert failed(broken)["latency.repeat"].findings[0].hint.endswith("see execution.repeat")


# ---- the product's own way


def test_a_decision_that_is_wrong_anyway_is_not_for_want_of_an_observer(evidence: Evidence) -> None:
    decides = PlainDifference(30, "decision", "(1, 90, 1, 0)", "(2, 90, 2, 0)")
    plain = evidence.having(PlainRuns(True, True, np.array([30]), np.array([51_000]), (decides,)))
    assert own(plain) == {"execution.plain"}
    plain.records.answer[60] = -1
    assert reasons(plain)["execution.plain"].endswith("see decision.answer")
    assert own(plain) == {"decision.answer"}


def test_a_decision_that_does_not_repeat_is_not_for_want_of_an_observer(evidence: Evidence) -> None:
    decides = PlainDifference(30, "decision", "(1, 90, 1, 0)", "(2, 90, 2, 0)")
    plain = evidence.having(PlainRuns(True, True, np.array([30]), np.array([51_000]), (decides,)))
    difference = ReplayDifference(31, "pass", 1, "decision", "(1, 90, 1, 0)", "(1, 90, -1, 2)")
    plain = with_section(plain, Repeats, differences=(difference,))
    assert own(plain) == {"decision.repeat"}
    output = replace(decides, field="output")
    assert "execution.plain" in own(with_section(plain, PlainRuns, differences=(decides, output)))


# ---- the link


def test_a_finding_on_a_vector_whose_request_was_repeated_says_so(evidence: Evidence) -> None:
    wrong(evidence, [30, 31])
    first, second = failed(evidence.having(Wire(repeats=2, vectors=(31,))))["execution.output"].findings
    assert "repeated on the link" not in first.hint
    assert second.hint.endswith("its request was repeated on the link: does the agent answer a repeat from its cache?")
