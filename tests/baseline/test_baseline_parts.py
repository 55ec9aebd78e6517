"""What a run is held against its baseline by, part by part: which vectors count, what made a difference, and where one
figure alone is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_baseline import OPERATORS, accepted_evidence
from made_evidence import LABELS, REJECTED, N

from hil.baseline.types import BaselineFile, Figures
from hil.contract import CHECKS, accepted, baseline_latency, judge
from hil.contract.operators import OperatorProfile
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import DecisionReason, GateReason, Status

BY_ID = {check.id: check for check in CHECKS if check.contract == "baseline"}


@pytest.fixture
def evidence() -> Evidence:
    return accepted_evidence()


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[f"baseline.{name}"], evidence)


def otherwise(evidence: Evidence, **made: object) -> Evidence:
    """The baseline of a run that was made of something else."""
    assert evidence.baseline is not None
    before = evidence.baseline.baseline
    other = before.model_copy(update={"made": before.made.model_copy(update=made)})
    return replace(evidence, baseline=replace(evidence.baseline, baseline=other))


def lose(evidence: Evidence, *vectors: int) -> Evidence:
    evidence.records.status[list(vectors)] = Status.FAULT
    return evidence


# ---- which vectors count


def right_now(evidence: Evidence) -> np.ndarray:
    """Vectors with the right answer, of those that must not be rejected."""
    return np.flatnonzero((evidence.records.answer == evidence.case.vectors.label) & (np.arange(N) != REJECTED))


def test_accuracy_is_that_of_the_vectors_that_ran_in_both(evidence: Evidence) -> None:
    right = right_now(evidence)
    judged = N - 1  # one is rejected, as it must be
    assert accepted.accuracies(evidence) == (len(right) / judged, len(right) / judged)
    evidence.records.answer[right[-1]] = -1
    assert accepted.accuracies(evidence) == (len(right) / judged, (len(right) - 1) / judged)
    lose(evidence, *right[:40])
    left = len(right) - 40
    assert accepted.accuracies(evidence) == (left / (judged - 40), (left - 1) / (judged - 40))


@pytest.mark.parametrize("label", range(len(LABELS)))
def test_what_the_gate_wrongly_refused_was_not_right_whatever_answer_stands_in_its_record(
    evidence: Evidence, label: int
) -> None:
    assert evidence.baseline is not None
    assert evidence.case.vectors.label is not None
    right = right_now(evidence)
    one = right[evidence.case.vectors.label[right] == label][0]
    evidence.baseline.baseline.columns.status[one] = Status.REJECTED
    assert accepted.accuracies(evidence) == ((len(right) - 1) / (N - 1), len(right) / (N - 1))
    evidence.records.status[one] = Status.REJECTED
    assert accepted.accuracies(evidence)[1] == (len(right) - 1) / (N - 1)


def test_agreement_is_taken_anew_without_the_vectors_that_are_lost(evidence: Evidence) -> None:
    """The float model differs on one vector, in both runs; without it nothing differs any more."""
    far = 5
    assert evidence.references.float_chain is not None
    evidence.references.float_chain[far] += 0.25
    pairs = accepted.agreements(evidence)
    assert pairs["max_abs_error"].now > 0.2
    pairs = accepted.agreements(lose(evidence, far))
    assert (pairs["max_abs_error"].before, pairs["max_abs_error"].chain) == (pairs["max_abs_error"].now, True)
    assert pairs["max_abs_error"].now < 0.2


def test_what_the_accepted_run_lost_does_not_count_now_either(evidence: Evidence) -> None:
    """Neither a wrong answer nor a far output on it is news."""
    lost = int(right_now(evidence)[3])
    right = len(right_now(evidence)) - 1
    assert evidence.baseline is not None
    assert evidence.references.float_chain is not None
    evidence.baseline.baseline.columns.status[lost] = Status.FAULT
    evidence.records.answer[lost] = -1
    evidence.references.float_chain[lost] += 0.25
    assert accepted.accuracies(evidence) == (right / (N - 2), right / (N - 2))
    assert accepted.agreements(evidence)["max_abs_error"].now < 0.2


def test_lost_vectors_are_left_in_where_the_float_model_is_another(evidence: Evidence) -> None:
    """Then the accepted figures are all that there is."""
    evidence = otherwise(evidence, float_model_sha256="77" * 32)
    kept = accepted.agreements(evidence)
    again = accepted.agreements(lose(evidence, 5))
    assert {key: pair.before for key, pair in again.items()} == {key: pair.before for key, pair in kept.items()}


@pytest.mark.parametrize("status", [Status.FAULT, Status.HANG, Status.RESET])
def test_what_did_not_come_through_ran_in_neither(evidence: Evidence, status: Status) -> None:
    evidence.records.status[9] = status
    assert evidence.baseline is not None
    evidence.baseline.baseline.columns.status[11] = status
    assert np.flatnonzero(~accepted.ran_in_both(evidence)).tolist() == [9, 11]
    assert np.flatnonzero(~accepted.done_in_both(evidence)).tolist() == [REJECTED, 9, 11]


# ---- what is a difference


def only_gate(evidence: Evidence) -> None:
    evidence.records.gate[REJECTED] = GateReason.FLAT


def only_reason(evidence: Evidence) -> None:
    evidence.records.reason[12] = DecisionReason.DEBOUNCE


def only_status(evidence: Evidence) -> None:
    evidence.records.status[REJECTED] = Status.DONE


def only_answer(evidence: Evidence) -> None:
    evidence.records.answer[12] = (evidence.records.answer[12] + 1) % len(LABELS)


def no_answer(evidence: Evidence) -> None:
    evidence.records.answer[12] = -1


@pytest.mark.parametrize(
    ("change", "vector"),
    [(only_gate, REJECTED), (only_reason, 12), (only_status, REJECTED), (only_answer, 12), (no_answer, 12)],
)
def test_one_part_of_a_decision_is_enough(evidence: Evidence, change: Callable[[Evidence], None], vector: int) -> None:
    change(evidence)
    assert np.flatnonzero(accepted.decision_changes(evidence)).tolist() == [vector]


def test_labels_in_another_order_are_held_by_their_texts(evidence: Evidence) -> None:
    turned = tuple(reversed(LABELS))
    case = replace(evidence.case, decide=replace(evidence.case.decide, labels=turned))
    records = evidence.records
    known = records.answer >= 0
    records.answer[known] = len(LABELS) - 1 - records.answer[known]
    assert not accepted.decision_changes(replace(evidence, case=case)).any()
    records.answer[30] = -1
    assert np.flatnonzero(accepted.decision_changes(replace(evidence, case=case))).tolist() == [30]


def test_a_new_label_is_no_old_one(evidence: Evidence) -> None:
    renamed = (*LABELS[:-1], "other")
    case = replace(evidence.case, decide=replace(evidence.case.decide, labels=renamed))
    wanted = evidence.records.answer == len(LABELS) - 1
    assert accepted.decision_changes(replace(evidence, case=case)).tolist() == wanted.tolist()


def test_each_stage_did_the_same_work_on_its_own_vectors(evidence: Evidence) -> None:
    """One vector has another tensor, one another output, one another answer."""
    evidence.records.digest[3] ^= 1
    evidence.records.output[4, 0] += 1
    evidence.records.answer[5] = -1
    lose(evidence, 6)
    other = {
        stage: np.flatnonzero(~accepted.same_work(evidence, stage)).tolist()
        for stage in ("prepare", "invoke", "decide", "total")
    }
    assert other == {
        "prepare": [3, 6, REJECTED],
        "invoke": [3, 4, 6, REJECTED],
        "decide": [3, 4, 5, 6, REJECTED],
        "total": [3, 4, 5, 6, REJECTED],
    }


def test_outputs_differ_by_the_worst_element(evidence: Evidence) -> None:
    evidence.records.output[4] += np.array([0, 1, 3, 0], np.int8)
    found = accepted.output_changes(evidence)
    assert (found.dtype, found[4], np.count_nonzero(found)) == (np.int64, 3, 1)


def test_outputs_of_another_shape_cannot_be_compared_and_both_shapes_are_told(evidence: Evidence) -> None:
    wider = np.zeros((N, len(LABELS) + 1), np.int8)
    assert evidence.baseline is not None
    before = evidence.baseline.baseline
    columns = replace(before.columns, output=wider)
    file = replace(evidence.baseline, baseline=before.model_copy(update={"columns": columns}))
    assert isinstance(file, BaselineFile)
    finding = verdict("valid", replace(evidence, baseline=file)).findings[0]
    assert finding.expected == f"outputs [vectors, elements] [{N}, 5]"
    assert finding.observed == f"[{N}, 4]"


# ---- what was put in


def test_what_was_put_in_otherwise_is_named_each_for_itself(evidence: Evidence) -> None:
    assert accepted.put_in(otherwise(evidence, float_model_sha256="77" * 32)) == "not as accepted: another float model"
    flags = otherwise(evidence, flags="-O2 -flto")
    now = replace(flags, hello=replace(flags.hello, flags="-O2 -g"))
    assert accepted.put_in(now) == "not as accepted: other compiler flags (without -flto, with -g)"
    turned = replace(flags, hello=replace(flags.hello, flags="-flto -O2"))
    assert accepted.put_in(turned) == "not as accepted: other compiler flags (in another order)"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ((0, 0), (20, 20), ["threshold"]),
        ((0, 0), (20, 10), ["threshold", "release"]),
        ((0, -5), (20, 20), ["threshold", "release"]),
        ((0, 0), (0, -5), ["release"]),
    ],
)
def test_a_release_that_was_never_set_goes_with_the_threshold(
    evidence: Evidence, before: tuple[int, int], after: tuple[int, int], named: list[str]
) -> None:
    assert evidence.baseline is not None
    kept = evidence.baseline.baseline
    decision = kept.decision.model_copy(update={"threshold": before[0], "release": before[1]})
    file = replace(evidence.baseline, baseline=kept.model_copy(update={"decision": decision}))
    decide = replace(evidence.case.decide, threshold=after[0], release=after[1])
    changed = replace(evidence, baseline=file, case=replace(evidence.case, decide=decide))
    said = accepted.put_in(changed)
    assert [name for name in ("threshold", "release") if f"another {name} of decide" in said] == named


def test_a_case_copied_from_another_is_told_what_became_of_the_file(evidence: Evidence) -> None:
    other = replace(evidence, case=replace(evidence.case, name="gesture"))
    result = verdict("valid", other)
    assert result.outcome is Outcome.FAILED
    assert result.findings[0].hint.startswith("the file was copied or renamed")


# ---- time: how it is told


def mean(*means: float) -> dict[str, Figures]:
    return {
        stage: Figures(mean=value, **{name: int(value) for name in Figures.model_fields if name != "mean"})
        for stage, value in zip(("prepare", "invoke", "decide", "total"), (*means, sum(means)), strict=True)
    }


def factor(before: tuple[float, float, float], now: tuple[float, float, float]) -> str:
    nothing = np.zeros((0, 4), np.int64)
    both = baseline_latency.Pair(np.zeros(0, np.int64), nothing, nothing, mean(*before), mean(*now))
    return baseline_latency._same_factor(both)


def test_all_long_stages_by_one_factor_blame_the_clock() -> None:
    said = "all stages by the same 1.5: clock, wait states, compiler flags?"
    assert factor((2000, 40_000, 100), (3000, 60_000, 100)) == said
    assert factor((2000, 40_000, 100), (3000, 61_990, 100)) == said  # 1.5498: within a tenth of the growth
    assert factor((2000, 40_000, 100), (3000, 62_100, 100)) == ""
    assert factor((1000, 40_000, 1), (1500, 60_000, 9)) == said  # 1,000 units are long enough
    assert factor((999, 40_000, 1), (1498.5, 60_000, 9)) == ""  # one alone
    assert factor((2000, 40_000, 100), (2002, 40_040, 100)) == ""  # a thousandth is nothing
    assert factor((2000, 40_000, 100), (2003, 40_060, 100)) != ""
    assert factor((2000, 40_000, 100), (2000, 60_000, 100)) == ""
    assert factor((20, 40, 100), (30, 60, 150)) == ""


@pytest.mark.parametrize(
    ("before", "now", "percent"), [(200, 250, 25.0), (200, 150, -25.0), (0, 0, 0.0), (0, 1, float("inf")), (1, 0, -100)]
)
def test_a_change_is_told_in_percent_of_the_accepted(before: float, now: float, percent: float) -> None:
    assert baseline_latency._percent(before, now) == percent


def slower(evidence: Evidence, stage: int, rows: slice) -> Evidence:
    done = np.zeros(N, bool)
    done[rows] = True
    done &= evidence.records.status == Status.DONE
    evidence.records.ticks[done, stage:] += 1600
    return evidence


@pytest.mark.parametrize(("rows", "named"), [(slice(100, 101), True), (slice(0, 150), True), (slice(0, 161), False)])
def test_one_vector_is_named_where_few_are_slower(evidence: Evidence, rows: slice, named: bool) -> None:
    """Of 319 windows; half of them and more are all of them."""
    finding = verdict("latency.prepare", slower(evidence, 0, rows)).findings[0]
    assert (finding.vector != "") is named
    assert "most " in finding.observed


def test_operators_are_told_for_invoke_alone_the_one_that_grew_most_first(evidence: Evidence) -> None:
    units = {"CONV_2D": 41_000, "SOFTMAX": 9001}
    grown = tuple(replace(each, units=units[each.operator]) for each in OPERATORS)
    changed = slower(evidence, 0, slice(None)).having(OperatorProfile(grown, 0))
    hints = {stage: baseline_latency._operators(changed, stage) for stage in ("prepare", "invoke", "decide", "total")}
    assert {stage for stage, hint in hints.items() if hint} == {"invoke"}
    assert "most grew CONV_2D #0 40,000 -> 41,000 (+2.5 %), SOFTMAX #1 9,000 -> 9,001" in hints["invoke"]


def test_a_clock_that_stands_still_is_no_time(evidence: Evidence) -> None:
    evidence.records.ticks[40] = evidence.records.ticks[40, 0]
    assert verdict("latency.prepare", evidence).reason.startswith("the clock of the port does not run, or wraps")


def test_a_stage_may_take_nothing_but_the_model_s_run(evidence: Evidence) -> None:
    ticks = evidence.records.ticks[40].copy()
    evidence.records.ticks[40] = (0, ticks[1] - ticks[0], ticks[1] - ticks[0])
    assert verdict("latency.prepare", evidence).outcome is Outcome.PASSED
