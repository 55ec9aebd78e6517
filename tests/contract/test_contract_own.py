"""Stages of the product's own, checked with data alone: how far a tensor may be off, what is said of each that is, and
what is judged when nobody knows what it should be.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_evidence import N, with_section
from situations import held_to, of_case, of_vectors, own_stages, own_stages_that_are_wrong, real_inputs

from hil.case.types import OWN, Prepare
from hil.contract import checks_for, judge
from hil.contract.input import PreparedDifference, PreparedTensors, element_name, input_cure, tensor_channels
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.records import Can
from hil.reference.prepare import digest
from hil.tensor import Quantisation, TensorContract


def result(evidence: Evidence, check: str) -> CheckResult:
    (found,) = (judge(each, evidence) for each in checks_for(evidence.case) if each.id == check)
    return found


# ---- how far a tensor may be off -------------------------------------------------------------------------------------


def test_each_tensor_that_is_not_the_expected_one_is_told_with_what_it_was(evidence: Evidence) -> None:
    """Within the tolerance (1 LSB) an element is right: the digest of the window was that of another tensor then."""
    wrong = own_stages_that_are_wrong(evidence)
    far, near, unfetched = result(wrong, "input.prepared").findings
    assert far.observed.endswith("; -55 there, 1 of 24 elements differ")
    assert far.hint == "1 is allowed, 3 is the most there; compare the front end with what made the expected tensor"
    (tensor,) = (each.observed for each in wrong.section(PreparedTensors).differences if each.vector == 40)
    assert near.observed.endswith(f"; the tensor fetched afterwards has the digest {digest(tensor):08x}, and is right")
    assert near.hint == "look for a race or uninitialised memory"
    assert unfetched.hint == (
        "compare the front end with what made the expected tensor; the tensor of this vector was not fetched"
    )


@pytest.mark.parametrize(("allowed", "off", "right"), [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True)])
@pytest.mark.parametrize("place", [0, 23])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_element_may_be_off_by_what_the_case_allows_and_no_more(
    evidence: Evidence, allowed: int, off: int, right: bool, place: int, sign: int
) -> None:
    evidence = held_to(own_stages(evidence), prepared_lsb=allowed)
    evidence.references.prepared[9, place] = 0
    tensor = evidence.references.prepared[9].copy()
    tensor[place] = sign * off
    evidence.records.digest[9] ^= 1
    evidence = with_section(evidence, PreparedTensors, differences=(PreparedDifference(9, tensor),))
    (finding,) = result(evidence, "input.prepared").findings
    assert ("and is right" in finding.observed) is right
    assert ("1 of 24 elements differ" in finding.observed) is not right


def test_a_tensor_fetched_again_that_is_the_references_is_a_race(evidence: Evidence) -> None:
    evidence.records.digest[0] ^= 1
    same = evidence.references.prepared[0].copy()
    fetched = with_section(evidence, PreparedTensors, differences=(PreparedDifference(0, same),))
    (finding,) = result(fetched, "input.prepared").findings
    assert finding.expected.startswith(f"digest {int(evidence.references.digest[0]):08x}; min ")
    assert finding.observed.startswith(f"digest {int(evidence.records.digest[0]):08x}; min ")
    assert finding.observed.endswith(
        "; the tensor fetched afterwards is the reference's: the difference did not repeat"
    )
    assert finding.hint == "look for a race or uninitialised memory"


def test_a_tensor_of_another_length_is_told_by_it(evidence: Evidence) -> None:
    evidence.records.digest[0] ^= 1
    for length in (0, 23, 25):
        tensors = (PreparedDifference(0, np.zeros(length, np.int8)),)
        (finding,) = result(with_section(evidence, PreparedTensors, differences=tensors), "input.prepared").findings
        assert finding.hint == f"looks like the tensor has {length} elements instead of 24"


def test_a_firmware_that_gives_no_tensors_says_so(evidence: Evidence) -> None:
    evidence.records.digest[0] ^= 1
    untold = replace(evidence, hello=replace(evidence.hello, can=~Can.FETCH))
    (finding,) = result(untold, "input.prepared").findings
    assert finding.hint.endswith("; the firmware does not tell the elements of its prepared tensor")


# ---- what is not known -----------------------------------------------------------------------------------------------

RESTS = (
    *("input.saturation", "execution.output", "execution.golden", "sanity.constant_output"),
    *(f"agreement.{key}" for key in ("top1", "topk", "cosine", "sqnr_db", "max_abs_error", "spearman")),
)


def unknown_at(evidence: Evidence, *vectors: int) -> Evidence:
    """Own front end without expectations; the float model has the values that its tensors stand for."""
    real = evidence.case.model.input.quantisation.real32(evidence.references.prepared)
    evidence = of_vectors(own_stages(evidence), prepared=None, prepared_float=real)
    mask = np.zeros(N, np.bool_)
    mask[list(vectors)] = True
    return replace(evidence, references=replace(evidence.references, unknown=mask))


@pytest.mark.parametrize("vector", [0, N - 1])
@pytest.mark.parametrize("check", RESTS)
def test_nothing_passes_as_long_as_one_tensor_is_not_known(evidence: Evidence, check: str, vector: int) -> None:
    found = result(unknown_at(evidence, vector), check)
    assert found.outcome is Outcome.NOT_JUDGED
    assert found.reason == "of 1 vector the prepared tensor is not known: the device gave no tensor for them"
    assert result(unknown_at(evidence), check).outcome is Outcome.PASSED


@pytest.mark.parametrize("vector", [7])
def test_a_window_that_the_gate_refuses_has_no_tensor_to_know(evidence: Evidence, vector: int) -> None:
    assert result(unknown_at(evidence, vector), "execution.output").outcome is Outcome.PASSED


def test_what_the_known_tensors_show_can_fail_all_the_same(evidence: Evidence) -> None:
    broken = unknown_at(evidence, 0)
    broken.records.output[9, 2] ^= 1
    assert result(broken, "execution.output").outcome is Outcome.FAILED
    broken.references.unknown[:] = True  # of none: then nothing can
    assert result(broken, "execution.output").outcome is Outcome.NOT_JUDGED


def test_an_answer_of_the_known_stage_rests_on_the_tensor_and_that_of_an_own_stage_does_not(evidence: Evidence) -> None:
    unknown = unknown_at(evidence, 0)
    assert result(unknown, "decision.answer").outcome is Outcome.PASSED
    known = of_case(unknown, decide=evidence.case.decide)
    assert result(known, "decision.answer").outcome is Outcome.NOT_JUDGED
    known.records.answer[5] = -1
    assert result(known, "decision.answer").outcome is Outcome.FAILED


def test_an_own_stage_is_asked_only_for_what_is_expected_of_it(evidence: Evidence) -> None:
    """Each stage by itself, so that the one that is known keeps its checks."""
    front = of_case(own_stages(evidence), decide=evidence.case.decide)
    back = of_case(own_stages(evidence), prepare=evidence.case.prepare)
    for check in ("decision.threshold", "decision.ties", "decision.reject", "agreement.flips", "decision.parameters"):
        assert result(back, check).outcome is Outcome.NOT_JUDGED, check
    for check in ("decision.threshold", "decision.ties", "decision.reject", "decision.parameters"):
        assert result(front, check).outcome is Outcome.PASSED, check
    for check in ("input.rejects", "execution.probes", "execution.clamps", "input.parameters"):
        assert result(front, check).outcome is Outcome.NOT_JUDGED, check
        assert result(back, check).outcome is Outcome.PASSED, check


# ---- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [0, N - 1])
@pytest.mark.parametrize(("off", "outcome"), [(2, Outcome.PASSED), (-2, Outcome.PASSED), (3, Outcome.FAILED)])
def test_a_score_may_be_off_by_what_the_case_allows_and_no_more(
    evidence: Evidence, vector: int, off: int, outcome: Outcome
) -> None:
    evidence = held_to(own_stages(evidence), score_tolerance=2.0)
    assert evidence.case.vectors.score is not None
    evidence.case.vectors.score[vector] += off
    found = result(evidence, "decision.score")
    assert (found.outcome, found.numbers["vectors_that_differ"]) == (outcome, int(outcome is Outcome.FAILED))


def test_a_wrong_score_behind_a_wrong_tensor_is_blamed_on_it(evidence: Evidence) -> None:
    evidence = own_stages(evidence)
    assert evidence.case.vectors.score is not None
    evidence.case.vectors.score[0] += 5
    evidence.records.digest[0] ^= 1
    (finding,) = result(evidence, "decision.score").findings
    assert finding.hint == "input broke first on this vector: see input.prepared"


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "shape", "channels"),
    [
        (Prepare(OWN, 0), (1, 8, 3), 3),
        (Prepare(OWN, 0), (1, 24), 24),
        (Prepare(OWN, 0), (24,), 1),
        (Prepare("tensor", 1), (1, 3, 8), 8),
        (Prepare("quantize", 1, factor=1.0), (1, 24), 3),
    ],
)
def test_the_channels_of_a_tensor_are_those_of_its_last_dimension_or_of_the_window(
    evidence: Evidence, stage: Prepare, shape: tuple[int, ...], channels: int
) -> None:
    tensor = TensorContract("INT8", shape, Quantisation(0.125, 3), 24)
    case = replace(evidence.case, prepare=stage, model=replace(evidence.case.model, inputs=(tensor,)))
    assert tensor_channels(case) == channels


def test_an_element_is_named_by_its_place_in_the_tensor_or_in_the_window(evidence: Evidence) -> None:
    case = evidence.case
    assert [element_name(case, place) for place in (0, 4, 23)] == [
        *("[sample 0, channel 0]", "[sample 1, channel 1]", "[sample 7, channel 2]"),
    ]
    own = replace(case, prepare=Prepare(OWN, 0))
    assert [element_name(own, place) for place in (0, 4, 23)] == ["[0, 0]", "[1, 1]", "[7, 2]"]
    flat = replace(own, model=replace(case.model, inputs=(replace(case.model.input, shape=(1,)),)))
    assert element_name(flat, 0) == "[0]"


@pytest.mark.parametrize(
    ("stage", "cure"),
    [
        (Prepare(OWN, 0), "or mend the front end"),
        (Prepare("scale", 1), "or mend full_scale and offset"),
        (Prepare("quantize", 1, factor=1.0), "or bring the windows into the units that it was trained in"),
        (Prepare("tensor", 1), "or quantise the windows with its input scale 0.125"),
    ],
)
def test_the_cure_of_an_input_is_the_stage_that_makes_it(evidence: Evidence, stage: Prepare, cure: str) -> None:
    assert input_cure(replace(evidence.case, prepare=stage)).endswith(cure)


@pytest.mark.parametrize(("vector", "before"), [(1, 0), (8, 6), (N - 1, N - 2), (22, 20)])
def test_the_tensor_of_the_window_before_is_known_again(evidence: Evidence, vector: int, before: int) -> None:
    """The one that the board prepared just before: none of a refused window, and of a stream the one before in it."""
    stale = evidence.references.prepared[before].copy()
    evidence.records.digest[vector] = digest(stale)
    fetched = with_section(evidence, PreparedTensors, differences=(PreparedDifference(vector, stale),))
    (finding,) = result(fetched, "input.prepared").findings
    assert finding.hint.startswith("looks like stale input buffer: the tensor is that of the vector before")
    evidence.records.digest[vector] = digest(evidence.references.prepared[50])
    other = (PreparedDifference(vector, evidence.references.prepared[50]),)
    (finding,) = result(with_section(evidence, PreparedTensors, differences=other), "input.prepared").findings
    assert "stale" not in finding.hint


def test_a_tensor_of_float32_may_be_off_by_a_tolerance_and_nan_by_nothing(evidence: Evidence) -> None:
    evidence = of_case(real_inputs(evidence), prepare=Prepare(OWN, 0))
    evidence = held_to(of_vectors(evidence, prepared=evidence.references.prepared.copy()), prepared_tolerance=0.5)
    evidence.records.digest[[9, 10, 11]] ^= 1
    tensors = [evidence.references.prepared[vector].copy() for vector in (9, 10, 11)]
    tensors[0][3] += np.float32(0.5)
    tensors[1][3] += np.float32(0.75)
    tensors[2][3] = np.nan
    taken = tuple(PreparedDifference(vector, tensor) for vector, tensor in zip((9, 10, 11), tensors, strict=True))
    near, far, lost = result(with_section(evidence, PreparedTensors, differences=taken), "input.prepared").findings
    assert near.observed.endswith("and is right")
    assert far.hint.startswith("0.5 is allowed, 0.75 is the most there; ")
    assert lost.hint.startswith("0.5 is allowed, inf is the most there; ")
