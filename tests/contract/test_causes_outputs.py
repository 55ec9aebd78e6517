"""Each usual mistake around the model's run is named from the outputs of a run, and says how many vectors are off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from made_evidence import LABELS, REJECTED, with_section
from numpy.typing import NDArray

from hil.contract import CHECKS, judge
from hil.contract.causes import OUTPUTS, guess
from hil.contract.causes.outputs import Outputs
from hil.contract.sent import GateProbes, ProbeOutput
from hil.contract.types import Evidence, Finding, Outcome

BY_ID = {check.id: check for check in CHECKS}
N = 60
Change = Callable[[NDArray[np.int16]], NDArray[np.int16]]


def right_outputs(elements: int = 4) -> NDArray[np.int16]:
    """Scores as they come out of a softmax, none of them saturated."""
    scores = np.random.default_rng(7).integers(-120, 60, (N, elements)).astype(np.int16)
    if elements > 1:
        scores[np.arange(N), np.random.default_rng(8).integers(0, elements, N)] = 90
    return scores


def look(observed: NDArray[np.int16], wanted: NDArray[np.int16] | None = None, lsb: int = 0) -> str:
    wanted = right_outputs(observed.shape[1]) if wanted is None else wanted
    off = np.abs(observed - wanted).max(axis=1) > lsb
    assert off.any()
    run = Outputs(
        wanted=wanted,
        observed=observed,
        rows=np.flatnonzero(off),
        prepared=np.random.default_rng(9).integers(-128, 128, (len(wanted), 24)).astype(np.int8),
        zero_point=-128,
        labels=LABELS,
        operators=("CONV_2D", "SOFTMAX"),
        vector=lambda row: f"#{row}",
    )
    return guess(OUTPUTS, run)


def at(rows: slice | list[int], values: Change) -> NDArray[np.int16]:
    """The right outputs, changed on these rows."""
    outputs = right_outputs()
    outputs[rows] = values(outputs)[rows]
    return outputs


def skipped(rows: list[int]) -> NDArray[np.int16]:
    """The output of the window before stays where the model's run is left out."""
    outputs = right_outputs()
    for row in rows:
        outputs[row] = outputs[row - 1]
    return outputs


def one_behind(outputs: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.vstack([outputs[:1], outputs[:-1]])


MISTAKES = {
    "constant": (
        np.tile(np.int16([-128, 5, 30, 127]), (N, 1)),
        "constant output: every vector gives [-128, 5, 30, 127]",
    ),
    "never written": (np.zeros((N, 4), np.int16), "[0, 0, 0, 0]; is the model run at all"),
    "skipped at times": (skipped([7, 20, 41]), "skipped invoke, or a stale output"),
    "skipped from 50 on": (skipped(list(range(50, N))), "skipped invoke: from #50 on the output stays that of #49"),
    "one behind": (one_behind(right_outputs()), "stale output, that of the vector before"),
    "rotated": (np.roll(right_outputs(), 1, axis=1), "permuted outputs: output [0] (circle) holds output [3] (tap)"),
    "two swapped": (
        right_outputs()[:, [0, 2, 1, 3]],
        "permuted outputs: output [1] (idle) holds output [2] (shake), output [2] (shake) holds output [1] (idle)",
    ),
    "clamp at 80": (np.minimum(right_outputs(), 80), "other clamp: scores are cut at 80;"),
    "offset": (right_outputs() + np.int16(5), "offset: every score is off by +5; is it the zero point"),
    "offset by one": (right_outputs() - np.int16(1), "offset: every score is off by -1"),
    "half the scale": (((right_outputs() + 128) // 2 - 128).astype(np.int16), "scale factor: scores are 0.499 times"),
    "bias of one": (
        right_outputs() + np.int16([0, 0, 3, 0]),
        "offset: output [2] (shake) is off by +3 on every vector; look at the bias",
    ),
    "one place": (
        at([3, 9, 30, 44], lambda o: o + np.outer(np.arange(N) % 3 + 1, [0, 1, 0, 0]).astype(np.int16)),
        "off only at output [1] (idle): another kernel or flag would move the other scores too",
    ),
    "from 30 on": (
        at(slice(30, None), lambda o: o ^ np.int16(2)),
        "off only from #30 on, window 31 of the run (30 of 30): look for a counter",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_named(name: str) -> None:
    observed, words = MISTAKES[name]
    assert words in look(observed)


def test_one_class_is_named() -> None:
    wanted = right_outputs()
    of_class = np.flatnonzero(wanted.argmax(axis=1) == 2)
    found = look(at(of_class.tolist(), lambda o: o ^ np.int16(4)))
    assert found.startswith("off only where the highest score is output [2] (shake), and on all of these")


def test_all_that_they_have_in_common_is_said() -> None:
    found = look(at(slice(30, None), lambda o: o ^ np.int16([0, 2, 0, 0])))
    assert found.startswith(
        "off only from #30 on, window 31 of the run (30 of 30), and only at output [1] (idle): look for"
    )


def test_scores_that_are_alike_on_most_vectors_do_not_hide_a_permutation() -> None:
    """As they come from a model that is sure: all but one place are equal."""
    wanted = np.full((N, 4), -128, np.int16)
    wanted[np.arange(N), np.repeat(np.arange(4), N // 4)] = 127
    assert "output [1] (idle) holds output [2] (shake)" in look(wanted[:, [0, 2, 1, 3]], wanted)


def test_an_offset_shows_through_scores_at_the_bounds() -> None:
    wanted = np.where(right_outputs() < 60, -128, 127).astype(np.int16)
    wanted[:, 1] = 5
    cut = np.clip(wanted - 2, -128, 127).astype(np.int16)
    assert look(cut, wanted).startswith("offset: every score is off by -2; is it")
    around = (wanted - 2).astype(np.int8).astype(np.int16)
    assert look(around, wanted).startswith("offset: every score is off by -2; what goes beyond the bounds wraps around")


def test_values_that_wrapped_around_lack_a_clamp() -> None:
    wanted = right_outputs()
    wanted[[4, 9, 17], [0, 1, 2]] = 127
    observed = wanted.copy()
    observed[[4, 9, 17], [0, 1, 2]] = [-126, -100, -128]
    assert look(observed, wanted).startswith("missing clamp: scores beyond [-128, 127] wrapped around")


def test_the_input_memory_is_recognised_when_the_model_never_ran() -> None:
    prepared = np.random.default_rng(9).integers(-128, 128, (N, 24)).astype(np.int16)
    assert "the output is the input tensor's memory, from element 6 on" in look(prepared[:, 6:10])


def test_off_by_one_here_and_there_asks_for_kernels_and_flags_before_any_budget() -> None:
    found = look(at([3, 20, 41], lambda o: o + np.random.default_rng(3).integers(-1, 2, o.shape).astype(np.int16)))
    assert found.startswith("other rounding: look first at the version of the kernels and at the compiler's flags")
    assert "CONV_2D, SOFTMAX" in found
    assert found.index("flags") < found.index("lsb in [contract.execution]")


@pytest.mark.parametrize("name", ["one place", "from 30 on", "bias of one", "offset by one"])
def test_what_is_off_by_one_in_one_way_only_is_no_matter_of_a_budget(name: str) -> None:
    wanted = right_outputs()
    step = np.sign(MISTAKES[name][0] - wanted).astype(np.int16)
    assert "lsb" not in look((wanted + step).astype(np.int16))


def test_noise_has_no_name() -> None:
    noise = np.random.default_rng(11).integers(-128, 128, (N, 4)).astype(np.int16)
    assert look(noise) == ""


def test_one_element_that_is_off_has_no_name() -> None:
    observed = right_outputs()
    observed[13, 2] += 9
    assert look(observed) == ""


@pytest.mark.parametrize("elements", [1, 2, 10, 300])
def test_outputs_of_any_width_are_looked_at(elements: int) -> None:
    assert look(right_outputs(elements) + np.int16(3)).startswith("offset")
    noise = np.random.default_rng(11).integers(-128, 128, (N, elements)).astype(np.int16)
    assert look(noise) == ""


# ---- in the finding


def finding(evidence: Evidence, check: str = "execution.output") -> Finding:
    result = judge(BY_ID[check], evidence)
    assert result.outcome is Outcome.FAILED
    return result.findings[0]


def test_the_finding_says_how_many_vectors_are_off(evidence: Evidence) -> None:
    evidence.records.output[[9, 30, 80], 1] ^= 1
    hint = finding(evidence).hint
    assert hint.endswith("(3 of 319 vectors off, by at most 1 LSB)")
    assert hint.startswith("off only at output [1] (idle)")


def test_a_vector_whose_input_broke_first_is_no_part_of_it(evidence: Evidence) -> None:
    evidence.records.output[[9, 30, 80], 1] ^= 1
    evidence.records.digest[30] ^= 1
    assert "2 of 318 vectors off" in finding(evidence).hint


def test_a_skipped_run_is_looked_for_in_the_order_of_the_run(evidence: Evidence, stream: tuple[int, ...]) -> None:
    """The board ran stream[1] right behind stream[0], not behind the vector that stands before it in the file."""
    evidence.records.output[stream[1]] = evidence.records.output[stream[0]]
    assert finding(evidence).hint.startswith("skipped invoke, or a stale output")


def test_two_mistakes_are_told_apart_vector_by_vector(evidence: Evidence) -> None:
    evidence.records.output[50] = evidence.records.output[49]
    evidence.records.output[80] = [3, 99, -4, 17]
    first, second = judge(BY_ID["execution.output"], evidence).findings
    assert "stale output" in first.hint
    assert second.hint.startswith("other arithmetic: compare kernels")


def test_no_cure_is_offered_that_the_model_check_has_excluded(evidence: Evidence) -> None:
    """A model with FULLY_CONNECTED weights quantised per channel never gets as far as a board."""
    assert "FULLY_CONNECTED" in evidence.case.model.operators
    evidence.records.output[80] = [3, 99, -4, 17]
    assert "per channel" not in finding(evidence).hint


def test_a_clamp_that_only_the_harness_windows_reach_is_named(evidence: Evidence) -> None:
    rows = np.random.default_rng(2).integers(-128, 128, (20, 4)).astype(np.int8)
    outputs = tuple(
        ProbeOutput(f"noise {at}", row.tobytes(), np.clip(row, -128, 100).tobytes()) for at, row in enumerate(rows)
    )
    hint = finding(with_section(evidence, GateProbes, outputs=outputs), "execution.probes").hint
    assert hint.startswith("other clamp: scores are cut at 100;")
    assert "of 20 windows off" in hint


def test_the_rejected_vector_is_no_part_of_a_run(evidence: Evidence) -> None:
    """Its row holds zeros on both sides."""
    evidence.records.output[:] = [1, 2, 3, 4]
    evidence.records.output[REJECTED] = 0
    assert finding(evidence).hint.startswith("constant output: every vector gives [1, 2, 3, 4]")
