"""Branches that few runs take: what is said where a label is no label, where nothing was clean, where a figure cannot
be had, and which of several states is the wrong one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import LABELS, N, score_probe, with_section
from made_several import each_twice
from situations import held_to, of_case, of_vectors, real_inputs, stateful

from hil.case.types import Limit
from hil.contract import CHECKS, judge
from hil.contract.accuracy import accuracy
from hil.contract.agreement import figures
from hil.contract.coverage import Coverage
from hil.contract.execution import InvokeRun, Invokes
from hil.contract.plain import PlainDifference, PlainRuns
from hil.contract.scores import ScoreProbes, StreamProbes
from hil.contract.sent import GateProbes
from hil.contract.soak import Soak
from hil.contract.state import OtherState, OtherStates, Slip, WrongPairs, state_cause
from hil.contract.types import CheckResult, Evidence, Outcome, ReplayDifference, VectorFault
from hil.records import Can, FaultReport, GateReason, Status

BY_ID = {check.id: check for check in CHECKS}
FAULT = VectorFault(-1, Status.FAULT, FaultReport("bus fault", "invoke", "pc 0"))


def verdict(check: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[check], evidence)


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_texts_that_are_no_labels_look_like_no_order_of_the_labels(evidence: Evidence) -> None:
    """With the last label another one, the three others exchanged: an order, but for the text that is none."""
    texts = dict(zip(LABELS, ("idle", "circle", "shake", "nothing"), strict=True))
    evidence.records.label_texts[:] = [texts[label] for label in reversed(LABELS)]
    hint = verdict("decision.answer", evidence).findings[0].hint
    assert hint == "right index, wrong text: see decision.labels, then how the firmware looks the label up"
    evidence.records.label_texts[:] = [{**texts, "tap": "tap"}[label] for label in reversed(LABELS)]
    assert verdict("decision.answer", evidence).findings[0].hint.startswith("looks like ")


@pytest.mark.parametrize("check", ["decision.answer", "decision.reject"])
def test_right_answers_from_wrong_tensors_prove_nothing(evidence: Evidence, check: str) -> None:
    evidence.records.digest[:] ^= 1
    found = verdict(check, evidence)
    assert (found.outcome, found.total) == (Outcome.NOT_JUDGED, 0)
    assert found.reason == "an earlier contract broke on every vector: see input.prepared"
    assert found.numbers == {"vectors_compared": 0, "vectors_that_differ": 0}


def test_one_right_answer_is_enough_to_judge(evidence: Evidence) -> None:
    evidence.records.digest[1:] ^= 1
    assert verdict("decision.answer", evidence).outcome is Outcome.PASSED


def test_accuracy_is_of_vectors_with_a_true_label_alone(evidence: Evidence) -> None:
    label = np.full(N, -1, np.int64)
    assert accuracy(of_vectors(evidence, label=label)) is None
    assert accuracy(of_vectors(evidence, label=None)) is None
    label[0] = evidence.records.answer[0]
    assert accuracy(of_vectors(evidence, label=label)) == 1.0
    label[N - 1] = (evidence.records.answer[N - 1] + 1) % 4
    assert accuracy(of_vectors(evidence, label=label)) == 0.5
    none = np.zeros(N, np.bool_)
    assert accuracy(evidence, none) is None


def test_a_vector_that_was_not_done_is_answered_with_nothing(evidence: Evidence) -> None:
    """A rejection that the case does not expect is a wrong answer, whatever stands in the row."""
    label = np.full(N, -1, np.int64)
    label[[0, 1]] = evidence.records.answer[[0, 1]]
    evidence = of_vectors(evidence, label=label)
    evidence.records.status[0] = Status.REJECTED
    assert accuracy(evidence) == 0.5


# ---- agreement -------------------------------------------------------------------------------------------------------


def test_figures_are_over_the_vectors_that_are_asked_for(evidence: Evidence) -> None:
    floats = evidence.references.float_chain
    assert floats is not None
    floats[[0, N - 1]] += 0.5
    first, last = (np.arange(N) == vector for vector in (0, N - 1))
    for among, error in ((first, 0.5), (last, 0.5), (~(first | last), 0.0)):
        assert figures(evidence, among)["max_abs_error"].chain == pytest.approx(error, abs=0.002)
    assert figures(evidence, np.zeros(N, np.bool_)) == {}
    assert set(figures(evidence)) - set(figures(evidence, of_scores=False)) == {"top1", "topk", "flips"}
    other = evidence.references.output.copy()
    other[5] = other[5][::-1]
    assert figures(evidence, ~(first | last), other)["max_abs_error"].chain > 0.1


def test_a_float_input_loses_nothing_in_prepare(evidence: Evidence) -> None:
    evidence = real_inputs(evidence)
    floats = evidence.references.float_chain
    assert floats is not None
    chain = replace(evidence, references=replace(evidence.references, float_chain=floats + np.float32(0.2)))
    (finding,) = verdict("agreement.max_abs_error", chain).findings
    assert finding.hint.endswith("; prepare changes no value here: look at what the float model is given")


def test_a_loss_of_both_the_input_and_quantisation_names_both_figures(evidence: Evidence) -> None:
    floats = evidence.references.float_chain
    assert floats is not None
    columns = replace(evidence.references, float_chain=floats + np.float32(0.3), float_output=floats + np.float32(0.1))
    (finding,) = verdict("agreement.max_abs_error", replace(evidence, references=columns)).findings
    assert finding.hint.startswith(
        "the int8 oracle is as far off: the loss is in quantisation, but for the input's share, 0.3"
    )
    assert " in place of 0.1" in finding.hint


# ---- what did not come -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", ["threshold", "ties", "stream"])
def test_without_scores_the_decide_stage_is_not_judged(evidence: Evidence, check: str) -> None:
    nothing = evidence.having(ScoreProbes(()), StreamProbes(()))
    assert verdict(f"decision.{check}", nothing).findings[0].observed == "none were given"
    ended = verdict(f"decision.{check}", replace(nothing, faults=(FAULT,)))
    assert (ended.outcome, ended.reason) == (Outcome.NOT_JUDGED, "the run ended before: see execution.fault")
    untold = replace(nothing, hello=replace(evidence.hello, can=~Can.DECIDE))
    assert verdict(f"decision.{check}", untold).reason == (
        "the firmware does not tell what its decide stage makes of raw scores"
    )


def test_a_stream_of_windows_is_judged_without_a_way_to_give_scores(evidence: Evidence) -> None:
    probe = score_probe("stream step 0", (90, -128, -128, -128), 0, True)
    untold = replace(evidence, hello=replace(evidence.hello, can=~Can.DECIDE))
    right = untold.having(ScoreProbes(()), StreamProbes((probe,)))
    assert verdict("decision.stream", right).outcome is Outcome.PASSED
    wrong = replace(probe, observed=replace(probe.observed, reason=2))
    assert verdict("decision.stream", untold.having(StreamProbes((probe, wrong)))).outcome is Outcome.FAILED


def test_probes_that_the_model_failed_on_are_not_compared(evidence: Evidence) -> None:
    nothing = with_section(evidence, GateProbes, outputs=())
    found = verdict("execution.probes", nothing.having(Invokes((InvokeRun(9, (9,)),))))
    assert found.reason == "the model failed on all of them: see execution.complete"
    assert verdict("execution.probes", nothing).reason.endswith("came through: see input.rejects")


def test_a_model_that_cannot_be_looked_into_says_why(evidence: Evidence) -> None:
    closed = with_section(evidence, Coverage, problem="the worker ended")
    for check in ("execution.coverage", "execution.clamps"):
        assert verdict(check, closed).reason == "the model cannot be looked into: the worker ended"


def test_no_refused_window_costs_nothing(evidence: Evidence) -> None:
    evidence.records.gate_ticks[:] = -1
    untold = with_section(evidence, GateProbes, probes=())
    found = verdict("latency.refused", untold)
    assert (found.outcome, found.reason) == (
        Outcome.NOT_JUDGED,
        "the firmware does not tell, or no window was refused",
    )
    untold.records.gate_ticks[7] = 0  # the one that is refused; it may take no time at all
    assert verdict("latency.refused", untold).numbers == {"refused": 1}


# ---- plain windows ---------------------------------------------------------------------------------------------------


def test_a_refused_window_is_plain_in_the_time_of_its_gate(evidence: Evidence) -> None:
    refused = np.array([7])
    gate = int(evidence.clock.units(evidence.records.gate_ticks[refused])[0])
    for units, longer in ((gate + 500, 0), (gate + 501, 1)):
        runs = PlainRuns(True, True, refused, np.array([units]))
        assert len(runs.longer(evidence)) == longer
    evidence.records.gate_ticks[7] = -1
    assert not PlainRuns(True, True, refused, np.array([10**6])).longer(evidence)


@pytest.mark.parametrize("many", [1, 2, 3])
def test_plain_windows_are_longer_when_most_of_them_are(evidence: Evidence, many: int) -> None:
    found = evidence.section(PlainRuns)
    units = found.units.copy()
    units[:many] += 10_000
    assert len(replace(found, units=units).longer(evidence)) == (many if many > 1 else 0)


def test_decisions_that_are_wrong_anyway_do_not_count_against_the_plain_way(evidence: Evidence) -> None:
    decision = PlainDifference(4, "decision", "(1,)", "(2,)")
    output = PlainDifference(9, "output", "01", "02")
    assert verdict("execution.plain", with_section(evidence, PlainRuns, differences=(decision,))).total == 1
    evidence.records.answer[100] = (evidence.records.answer[100] + 1) % 4
    elsewhere = verdict("execution.plain", with_section(evidence, PlainRuns, differences=(decision,)))
    assert elsewhere.reason == "decisions are wrong when they are measured too: see decision.answer"
    both = verdict("execution.plain", with_section(evidence, PlainRuns, differences=(decision, output)))
    assert [finding.vector for finding in both.findings] == ["#9"]


# ---- a long run ------------------------------------------------------------------------------------------------------


def test_a_window_that_was_not_done_is_in_no_median(evidence: Evidence) -> None:
    """Of vector 3: 20 windows, of which 15 were not done. The slow one is held to the four others."""
    soak = evidence.section(Soak)
    total, of_three = soak.total.copy(), np.flatnonzero(soak.vector == 3)
    total[of_three[:15]] = 0
    total[of_three[15:]] = 50_000
    total[of_three[-1]] = 56_000
    (finding,) = verdict("soak.latency", with_section(evidence, Soak, total=total)).findings
    assert finding.expected == "50,000 instructions, the median of #3, + 10 %"
    assert finding.observed == f"56,000 instructions in window {of_three[-1] + 1}"
    nothing = with_section(evidence, Soak, total=np.zeros_like(total))
    assert verdict("soak.latency", nothing).reason == "no window was done: see soak.output"


@pytest.mark.parametrize(("first", "wrong", "words"), [(150, 26, "from some window on"), (150, 25, "now and then")])
def test_wrong_from_a_window_on_is_more_than_half_of_the_rest(
    evidence: Evidence, first: int, wrong: int, words: str
) -> None:
    """Of 200 windows 51 are left from the 150th on."""
    difference = ReplayDifference(9, "soak", first, "output", "00", "01")
    broken = with_section(evidence, Soak, differences=(difference,), wrong=wrong)
    found = verdict("soak.output", broken)
    assert words in found.findings[0].hint
    assert found.total == wrong


# ---- state -----------------------------------------------------------------------------------------------------------


def of_state(evidence: Evidence, slip: Slip, what: str, outputs: np.ndarray, vectors: np.ndarray) -> Evidence:
    return evidence.having(OtherStates((OtherState(slip, what, vectors, (outputs,)),)))


BEHIND = np.array([1, 2, 22, 24])


@pytest.mark.parametrize(
    ("slip", "what", "words"),
    [
        (Slip.CLEARED, "", "what resets VAR_HANDLE h, VAR_HANDLE c?"),
        (Slip.NEVER, "", "does `fresh` reach what is kept by VAR_HANDLE h, VAR_HANDLE c?"),
        (Slip.RAW, "h", "when h is set back to 0 and not to its zero point"),
        (Slip.SHORT, "c", "when the last byte of c stays what it was"),
        (Slip.EXCHANGED, "h and c", "when h and c are exchanged"),
    ],
)
def test_outputs_of_another_state_name_it(evidence: Evidence, slip: Slip, what: str, words: str) -> None:
    evidence = stateful(evidence)
    other = evidence.references.output[BEHIND] ^ 1
    evidence.records.output[BEHIND] = other
    right = np.setdiff1d(np.arange(N), BEHIND)
    assert words in state_cause(of_state(evidence, slip, what, other, BEHIND), BEHIND, right)


@pytest.mark.parametrize("place", range(len(BEHIND)))
def test_one_output_that_is_not_of_that_state_is_of_none(evidence: Evidence, place: int) -> None:
    evidence = stateful(evidence)
    other = evidence.references.output[BEHIND] ^ 1
    evidence.records.output[BEHIND] = other
    claimed = other.copy()
    claimed[place, -1] ^= 2
    right = np.setdiff1d(np.arange(N), BEHIND)
    cause = state_cause(of_state(evidence, Slip.CLEARED, "", claimed, BEHIND), BEHIND, right)
    assert cause.startswith("right where a stream begins, and off only behind that")
    assert cause.endswith("it is kept by VAR_HANDLE h, VAR_HANDLE c")
    alone = of_state(evidence, Slip.CLEARED, "", claimed, BEHIND).having(WrongPairs(("h", "c")))
    assert state_cause(alone, BEHIND, right).endswith("carried alone, it is wrong with h, c")


@pytest.mark.parametrize("first", [0, 20, 30])
def test_a_stream_that_begins_wrong_is_no_matter_of_state(evidence: Evidence, first: int) -> None:
    """The first of a stream, or a vector that stands alone."""
    evidence = stateful(evidence)
    off = np.array([first, *BEHIND])
    evidence.records.output[off] = evidence.references.output[off] ^ 1
    claimed = evidence.references.output[BEHIND] ^ 2
    right = np.setdiff1d(np.arange(N), off)
    assert state_cause(of_state(evidence, Slip.CLEARED, "", claimed, BEHIND), off, right) == ""


def test_a_long_list_of_what_keeps_state_is_cut(evidence: Evidence) -> None:
    evidence = stateful(evidence)
    model = replace(evidence.case.model, state=tuple("abcdef"))
    evidence = of_case(evidence, model=model)
    other = evidence.references.output[BEHIND] ^ 1
    evidence.records.output[BEHIND] = other
    cause = state_cause(of_state(evidence, Slip.CLEARED, "", other, BEHIND), BEHIND, np.arange(30, N))
    assert cause.endswith("what resets a, b, c, d and 2 more?")


def test_the_states_of_an_output_are_that_output_s(evidence: Evidence) -> None:
    both = (np.zeros((2, 4), np.int8), np.ones((2, 4), np.int8))
    states = OtherStates((OtherState(Slip.NEVER, "", np.array([1, 2]), both),))
    for place in (0, 1):
        (state,) = states.of_output(place).states
        assert np.array_equal(state.outputs[0], both[place])
        assert len(state.outputs) == 1


# ---- several inputs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "name"), [(0, "left"), (1, "right")])
@pytest.mark.parametrize("vector", [0, N - 1])
def test_a_window_that_is_not_valid_is_told_with_its_input(
    evidence: Evidence, which: int, name: str, vector: int
) -> None:
    """The device lets it through."""
    several = each_twice(evidence)
    windows = (several.case.vectors.windows, *several.case.vectors.further)[which]
    windows[vector, 3, 1] = 32000
    several.references.gate[vector] = GateReason.RANGE
    (finding,) = (each for each in verdict("input.gate", several).findings if each.stage)
    assert finding.expected == f"rejected: range, for the window of {name!r}"


def test_a_limit_of_one_output_is_no_limit_of_another(evidence: Evidence) -> None:
    several = held_to(each_twice(evidence), agreement={"cosine": Limit(minimum=0.9)})
    assert verdict("agreement.cosine", several).limit == Limit(minimum=0.9)
