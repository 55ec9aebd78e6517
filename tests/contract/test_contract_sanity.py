"""What is plainly odd about a model or its vectors is marginal, with its figure; what only looks like it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_evidence import CHANNELS, SAMPLES, STREAM, N
from made_several import each_twice

from hil.case.types import Decide, Prepare, Window
from hil.contract import CHECKS, checks_for, judge
from hil.contract.sanity import at_chance
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import GateReason, Status
from hil.tensor import TensorContract

BY_ID = {check.id: check for check in CHECKS}
KINDS = ("identical_windows", "saturated_input", "constant_output", "chance_accuracy", "unanswered_class")
Damage = Callable[[Evidence], Evidence]


def look(kind: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[f"sanity.{kind}"], evidence)


def among(evidence: Evidence, rows: np.ndarray | list[int]) -> Evidence:
    """The same run, but for the vectors that the gate must refuse now: all others."""
    evidence.references.gate[:] = GateReason.RANGE
    evidence.references.gate[rows] = GateReason.VALID
    return evidence


def labelled(evidence: Evidence, label: np.ndarray | None) -> Evidence:
    vectors = replace(evidence.case.vectors, label=None if label is None else label.astype(np.int64))
    return replace(evidence, case=replace(evidence.case, vectors=vectors))


def meant(evidence: Evidence, *kinds: str) -> Evidence:
    contracts = replace(evidence.case.contracts, meant=kinds)
    return replace(evidence, case=replace(evidence.case, contracts=contracts))


def with_windows(evidence: Evidence, windows: np.ndarray) -> Evidence:
    case = replace(evidence.case, vectors=replace(evidence.case.vectors, windows=windows))
    return replace(evidence, case=case)


def one_window(evidence: Evidence) -> Evidence:
    evidence.case.vectors.windows[:] = evidence.case.vectors.windows[0]
    return evidence


def large_values(evidence: Evidence) -> Evidence:
    """Channel 1 is in other units: nearly all of it lies beyond int8."""
    channels = list(evidence.case.prepare.channels)
    channels[1] = replace(channels[1], gain=65536 * 64 * 1000)
    prepare = replace(evidence.case.prepare, channels=tuple(channels))
    return replace(evidence, case=replace(evidence.case, prepare=prepare))


def one_output(evidence: Evidence) -> Evidence:
    for scores in (evidence.references.output, evidence.references.float_chain):
        assert scores is not None
        scores[:] = scores[0]
    return evidence


def other_labels(evidence: Evidence) -> Evidence:
    """The map of the labels is off by one: outputs are as good as ever, and no answer is right."""
    label = evidence.case.vectors.label
    assert label is not None
    return labelled(evidence, np.where(label >= 0, (label + 1) % 4, -1))


def no_answer_of_one_class(evidence: Evidence) -> Evidence:
    """Where the oracle answered label 2 its winner is label 3 now."""
    output = evidence.references.output
    rows = output.argmax(axis=1) == 2
    output[rows, 3], output[rows, 2] = 110, -128
    return evidence


ODD: tuple[tuple[str, Damage, str], ...] = (
    ("identical_windows", one_window, "all 319 windows are the same, byte for byte"),
    ("saturated_input", large_values, "of channel 1 99."),
    ("constant_output", one_output, "one output for 319 different windows: "),
    ("chance_accuracy", other_labels, "accuracy 0 % over 319 vectors with a true label is no better than chance"),
    ("unanswered_class", no_answer_of_one_class, "never answered on 319 windows: 'shake' ("),
)


@pytest.mark.parametrize(("kind", "damage", "words"), ODD, ids=KINDS)
def test_what_is_odd_is_marginal_with_its_figure_and_a_next_step(
    evidence: Evidence, kind: str, damage: Damage, words: str
) -> None:
    assert look(kind, evidence).outcome is Outcome.PASSED
    result = look(kind, damage(evidence))
    assert (result.outcome, result.findings, result.total) == (Outcome.MARGINAL, (), 0)
    assert words in result.reason
    assert result.value is not None
    assert result.hint.endswith(f'when it is meant so: [contract.sanity] expect = ["{kind}"]')


@pytest.mark.parametrize(("kind", "damage", "words"), ODD, ids=KINDS)
def test_what_the_case_means_so_passes_and_is_still_told(
    evidence: Evidence, kind: str, damage: Damage, words: str
) -> None:
    result = look(kind, meant(damage(evidence), kind))
    assert result.outcome is Outcome.PASSED
    assert result.reason.startswith("meant so by the case: ")
    assert words in result.reason
    other = next(each for each in KINDS if each != kind)
    assert look(kind, meant(damage(evidence), other)).outcome is Outcome.MARGINAL


@pytest.mark.parametrize("kind", KINDS)
def test_an_expectation_that_is_not_met_would_hide_the_next_one(evidence: Evidence, kind: str) -> None:
    result = look(kind, meant(evidence, kind))
    assert (result.outcome, result.reason) == (Outcome.MARGINAL, "the case expects it, and it is not so")


@pytest.mark.parametrize("kind", ["saturated_input", "constant_output"])
def test_of_several_tensors_each_says_that_the_expectation_is_not_met(evidence: Evidence, kind: str) -> None:
    """The gate of a release holds the whole to the worst of them."""
    result = look(kind, meant(each_twice(evidence), kind))
    assert [each.outcome for _, each in result.tensors] == [result.outcome] * 2 == [Outcome.MARGINAL] * 2


def test_a_defect_of_the_device_is_left_to_the_contracts_that_are_for_it(evidence: Evidence) -> None:
    evidence.records.output[:], evidence.records.answer[:], evidence.records.digest[:] = 0, -1, 1
    assert {look(kind, evidence).outcome for kind in KINDS} == {Outcome.PASSED}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_ran_is_no_verdict(evidence: Evidence, kind: str) -> None:
    evidence.records.status[:] = Status.NOT_RUN
    assert look(kind, one_output(one_window(evidence))).outcome is Outcome.NOT_JUDGED


def test_a_case_whose_windows_are_all_rejected_is_not_judged(evidence: Evidence) -> None:
    assert look("constant_output", among(evidence, [])).reason == "the gate rejects every vector of the case"


def test_without_labels_and_float_model_only_the_windows_are_looked_at(evidence: Evidence) -> None:
    asked = {check.id for check in checks_for(labelled(evidence, None).case) if check.contract == "sanity"}
    assert asked == {"sanity.identical_windows"}
    unlabelled = labelled(evidence, np.full(N, -1))
    assert not BY_ID["sanity.constant_output"].applies(unlabelled.case)
    float_only = replace(unlabelled.case, float_model=evidence.case.model)
    assert BY_ID["sanity.constant_output"].applies(float_only)
    assert not BY_ID["sanity.chance_accuracy"].applies(replace(float_only, decide=Decide("none", 1)))


# ---- windows


@pytest.mark.parametrize(("same", "outcome"), [(5, Outcome.PASSED), (6, Outcome.MARGINAL)])
def test_more_than_half_of_the_windows_must_be_one(evidence: Evidence, same: int, outcome: Outcome) -> None:
    evidence.case.vectors.windows[30 : 30 + same] = evidence.case.vectors.windows[30]
    result = look("identical_windows", among(evidence, list(range(30, 40))))
    assert (result.outcome, result.value) == (outcome, same / 10)


def test_a_stream_may_hold_one_window_to_drive_the_decide_stage(evidence: Evidence) -> None:
    evidence.case.vectors.windows[list(STREAM)] = evidence.case.vectors.windows[STREAM[0]]
    assert look("identical_windows", among(evidence, [*STREAM, 31, 32])).outcome is Outcome.PASSED
    assert look("identical_windows", among(evidence, list(STREAM))).outcome is Outcome.MARGINAL


@pytest.mark.parametrize("rows", [[3], [3, 4]])
def test_one_window_and_two_unequal_ones_are_not_identical(evidence: Evidence, rows: list[int]) -> None:
    assert look("identical_windows", among(evidence, rows)).outcome is Outcome.PASSED


@pytest.mark.parametrize(("more", "outcome"), [(0, Outcome.PASSED), (1, Outcome.MARGINAL)])
def test_a_quarter_of_one_channel_may_be_cut_and_not_one_element_more(
    evidence: Evidence, more: int, outcome: Outcome
) -> None:
    """320 windows of 8 samples, gain 255: q = 3 + count / 128.5, so 15,999 counts are cut and 15,998 are not."""
    channels = tuple(replace(channel, gain=255 << 16) for channel in evidence.case.prepare.channels)
    evidence = replace(evidence, case=replace(evidence.case, prepare=replace(evidence.case.prepare, channels=channels)))
    rows = among(evidence, list(range(40)))
    windows = evidence.case.vectors.windows
    windows[:] = 15_998
    windows[:40, :2, 2] = 15_999
    windows[0, 2, 2] += more
    result = look("saturated_input", rows)
    assert (result.outcome, result.value) == (outcome, (80 + more) / 320)
    assert result.numbers["worst_channel"] == 2


@pytest.mark.parametrize(
    ("share", "zero_point", "outcome"),
    [(0.5, 3, Outcome.PASSED), (0.6, 3, Outcome.MARGINAL), (0.9, 127, Outcome.PASSED)],
    ids=["half", "more than half", "what stands for 0"],
)
def test_a_window_that_is_the_tensor_may_be_on_the_rails_by_half(
    evidence: Evidence, share: float, zero_point: int, outcome: Outcome
) -> None:
    windows = np.zeros((N, 10), np.int8)
    windows[:, : round(10 * share)] = 127  # some elements always: one of an image's may well be white
    quantisation = replace(evidence.case.model.input.quantisation, zero_point=zero_point)
    model = replace(evidence.case.model, inputs=(TensorContract("INT8", (1, 10), quantisation, 10),))
    case = replace(evidence.case, prepare=Prepare("tensor", 1), window=Window("int8", 10, 1), model=model)
    assert look("saturated_input", with_windows(replace(evidence, case=case), windows)).outcome is outcome


# ---- outputs


def still(evidence: Evidence, step: int = 0) -> Evidence:
    """The oracle says one thing, but for every other vector's first output, which is `step` LSB higher."""
    evidence.references.output[:] = [-100, 20, -100, -100]
    evidence.references.output[::2, 0] += step
    return evidence


@pytest.mark.parametrize(("step", "outcome"), [(1, Outcome.MARGINAL), (2, Outcome.PASSED)])
def test_an_output_that_moves_by_one_lsb_is_constant(evidence: Evidence, step: int, outcome: Outcome) -> None:
    result = look("constant_output", still(evidence, step))
    assert (result.outcome, result.value, result.unit) == (outcome, step, "LSB")


def test_one_class_that_is_always_answered_right_may_have_one_output(evidence: Evidence) -> None:
    """A confident softmax says the same of every window of one class."""
    evidence = labelled(still(evidence), np.ones(N))
    assert look("constant_output", evidence).outcome is Outcome.PASSED
    assert look("constant_output", labelled(evidence, np.zeros(N))).outcome is Outcome.MARGINAL


@pytest.mark.parametrize(
    ("windows", "move", "words"),
    [
        (7, 15, ""),
        (7, 16, "the float model's outputs move by 16 LSB"),
        (8, 0, "no window makes a difference"),
        (1, 16, ""),
    ],
    ids=["too few to say", "the float model moves", "many windows", "one window"],
)
def test_without_labels_the_float_model_or_many_windows_tell(
    evidence: Evidence, windows: int, move: int, words: str
) -> None:
    floats = evidence.references.float_chain
    assert floats is not None
    floats[:] = floats[0]
    floats[30, 2] += move / 256
    evidence = labelled(still(among(evidence, list(range(30, 30 + windows)))), None)
    result = look("constant_output", evidence)
    assert result.outcome is (Outcome.MARGINAL if words else Outcome.PASSED)
    assert words in result.reason
    assert words or "says nothing yet" in result.reason


def test_a_float_model_that_overflows_is_no_reason_to_stop(evidence: Evidence) -> None:
    floats = evidence.references.float_chain
    assert floats is not None
    floats[4, 0], floats[5, 0], floats[6, 0] = np.inf, -np.inf, np.nan
    for kind in KINDS:
        assert look(kind, evidence).outcome is Outcome.PASSED


# ---- answers


def decided(evidence: Evidence, truth: list[int], answers: list[int]) -> Evidence:
    """As many vectors as there are labels, the oracle's answer of each being given; -1: below the threshold."""
    rows = [row for row in range(N) if evidence.references.gate[row] == GateReason.VALID][: len(truth)]
    label, output = np.full(N, -1), evidence.references.output
    label[rows] = truth
    output[rows] = -100
    for row, answer in zip(rows, answers, strict=True):
        output[row, max(answer, 0)] = 90 if answer >= 0 else -50
    return labelled(among(evidence, rows), label)


CHANCE = {
    "always the most frequent of 3 to 1": ([0] * 30 + [1] * 10, [0] * 40, True),
    "drawn without a look": ([0, 1, 2, 3] * 10, [0, 1, 2, 3, 1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2, *([1] * 24)], True),
    "all wrong": ([0, 1] * 10, [1, 0] * 10, True),
    "all unknown": ([0, 1] * 10, [-1] * 20, True),
    "all right": ([0, 1] * 10, [0, 1] * 10, False),
    "half right of four": ([0, 1, 2, 3] * 10, [0, 1, 2, 3, 1, 2, 3, 0] * 5, False),
    "rare class found": ([0] * 60 + [1] * 6, [0] * 57 + [1] * 3 + [1] * 6, False),
    "a cautious threshold": ([0] * 20 + [1] * 20, [0] * 12 + [-1] * 8 + [1] * 12 + [-1] * 8, False),
    "four vectors, all right": ([0, 1, 0, 1], [0, 1, 0, 1], False),
    "one class": ([2] * 20, [2] * 15 + [1] * 5, False),
    "49 to 1, the one missed": ([0] * 49 + [1], [0] * 50, False),
}


@pytest.mark.parametrize(("truth", "answers", "odd"), CHANCE.values(), ids=CHANCE)
def test_answers_are_told_from_chance(evidence: Evidence, truth: list[int], answers: list[int], odd: bool) -> None:
    result = look("chance_accuracy", decided(evidence, truth, answers))
    assert result.outcome is (Outcome.MARGINAL if odd else Outcome.PASSED)
    assert result.value == pytest.approx(np.mean(np.array(truth) == answers))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.99))
def test_chance_is_the_exact_binomial_bound(counts: tuple[int, int], chance: float) -> None:
    right, n = counts
    tail = sum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(right, n + 1))
    if abs(tail - 0.05) > 1e-9 and abs(right / n - (1 + chance) / 2) > 1e-9:
        assert at_chance(right, n, chance) == (tail > 0.05 and right / n < (1 + chance) / 2)


def test_the_float_model_tells_whether_training_or_conversion_is_to_blame(evidence: Evidence) -> None:
    evidence = decided(evidence, [0, 1] * 10, [1, 0] * 10)
    floats, label = evidence.references.float_chain, evidence.case.vectors.label
    assert floats is not None
    assert label is not None
    floats[:] = 0.1
    assert "the order of the labels, the training" in look("chance_accuracy", evidence).hint
    rows = np.flatnonzero(label >= 0)
    floats[rows, label[rows]] = 0.9
    hint = look("chance_accuracy", evidence).hint
    assert hint.startswith("the float model reaches 100 % on the same windows: look at the conversion")


def test_without_labels_the_float_model_says_what_the_answers_should_be(evidence: Evidence) -> None:
    evidence = decided(evidence, [0, 1, 2] * 10, [0, 0, 2] * 10)
    floats, label = evidence.references.float_chain, evidence.case.vectors.label
    assert floats is not None
    assert label is not None
    rows = np.flatnonzero(label >= 0)
    floats[:] = 0.1
    floats[rows, label[rows]] = 0.9
    result = look("unanswered_class", labelled(evidence, None))
    assert result.reason == "never answered on 30 windows: 'idle' (10 vectors), by the answer of the float model"
    floats[:] = 0.1  # below the threshold: the float model answers nothing, and nobody says what is right
    for kind in ("unanswered_class", "chance_accuracy"):
        assert look(kind, labelled(evidence, None)).outcome is Outcome.PASSED


@pytest.mark.parametrize(("vectors", "outcome"), [(4, Outcome.PASSED), (5, Outcome.MARGINAL)])
def test_a_class_needs_enough_vectors_to_be_missed(evidence: Evidence, vectors: int, outcome: Outcome) -> None:
    """With 5 vectors the recall is below 1/2 at 95 %: 0.5^5 < 0.05 < 0.5^4."""
    evidence = decided(evidence, [0] * 20 + [3] * vectors, [0] * 20 + [1] * vectors)
    result = look("unanswered_class", evidence)
    assert result.outcome is outcome
    assert 0.5**5 < 0.05 < 0.5**4


def test_an_answer_on_any_window_counts(evidence: Evidence) -> None:
    evidence = decided(evidence, [0] * 20 + [3] * 20, [0] * 19 + [3] + [1] * 20)
    assert look("unanswered_class", evidence).outcome is Outcome.PASSED


def test_debounce_takes_no_part(evidence: Evidence) -> None:
    """With a debounce of 3 the device accepts no window that stands alone; that is no matter of the model."""
    decide = replace(evidence.case.decide, debounce=3)
    evidence.references.answer[:] = -1
    evidence = replace(evidence, case=replace(evidence.case, decide=decide))
    assert {look(kind, evidence).outcome for kind in KINDS} == {Outcome.PASSED}


def test_the_hand_made_run_is_what_the_figures_here_are_of() -> None:
    assert (N, SAMPLES, CHANNELS) == (320, 8, 3)
