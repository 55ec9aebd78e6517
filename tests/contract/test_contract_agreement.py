"""Agreement on outputs of one element, threshold borders, and the size of a run."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from hil.case.types import Channel, Decide, Limit, Prepare
from hil.contract import CHECKS, judge
from hil.contract.alone import threshold_score
from hil.contract.input import input_cure
from hil.contract.types import Evidence, Outcome
from hil.tensor import Quantisation

BY_ID = {check.id: check for check in CHECKS}


@pytest.mark.parametrize("key", ["cosine", "spearman"])
def test_outputs_of_one_element_are_compared_across_the_vectors(evidence: Evidence, key: str) -> None:
    """An anomaly score has no order within one vector; over the run it has."""
    valid = evidence.references.gate == 0
    floats = evidence.references.float_chain
    assert floats is not None
    references = replace(
        evidence.references, output=evidence.references.output[:, :1].copy(), float_chain=floats[:, :1].copy()
    )
    records = replace(evidence.records, output=references.output.copy())
    evidence = replace(evidence, references=references, records=records)
    observed = (references.output[valid, 0].astype(float) + 128) / 256
    reference = floats[valid, 0].astype(float)
    expected = {
        "spearman": spearmanr(reference, observed).statistic,
        "cosine": reference @ observed / np.sqrt((reference @ reference) * (observed @ observed)),
    }
    result = judge(BY_ID[f"agreement.{key}"], evidence)
    assert result.value == pytest.approx(expected[key], abs=1e-9)


@pytest.mark.parametrize(
    ("raw", "border"),
    [(25, (25.5 + 128) / 256), (-129, -np.inf), (127, np.inf)],
    ids=["between two raw scores", "everything accepted", "nothing accepted"],
)
def test_the_border_lies_where_the_device_starts_to_accept(evidence: Evidence, raw: int, border: float) -> None:
    """Output scale 1/256, zero point -128: raw 25 is rejected (0.598), raw 26 accepted (0.602)."""
    case = replace(evidence.case, decide=Decide("argmax", 1, raw, raw, labels=evidence.case.decide.labels))
    assert threshold_score(case) == border


@pytest.mark.parametrize(("score", "flips"), [(0.54, 0), (0.56, 1)])
def test_a_flip_inside_the_band_is_excused(evidence: Evidence, score: float, flips: int) -> None:
    """Raw threshold 0 is 0.502 in score; the band of 0.05 ends at 0.552. Vector 3 is far below it on the device."""
    floats = evidence.references.float_chain
    assert floats is not None
    floats[3, floats[3].argmax()] = score
    assert judge(BY_ID["agreement.flips"], evidence).value == flips


def test_without_a_float_model_nothing_is_judged(evidence: Evidence) -> None:
    evidence = replace(evidence, references=replace(evidence.references, float_output=None, float_chain=None))
    result = judge(BY_ID["agreement.top1"], evidence)
    assert (result.outcome, result.reason) == (Outcome.NOT_JUDGED, "the case has no float model")


def test_a_float_model_that_gives_nan_fails(evidence: Evidence) -> None:
    floats = evidence.references.float_chain
    assert floats is not None
    floats[12, 1] = np.nan
    for key in ("cosine", "sqnr_db", "max_abs_error", "spearman"):
        assert judge(BY_ID[f"agreement.{key}"], evidence).outcome is Outcome.FAILED


def test_the_unit_of_sqnr_is_db_and_a_perfect_run_is_infinite(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    exact = ((evidence.references.output.astype(np.float32) + 128) / 256).astype(np.float32)
    evidence = replace(evidence, references=replace(evidence.references, float_chain=exact))
    result = judge(BY_ID["agreement.sqnr_db"], with_contracts(evidence, agreement={"sqnr_db": Limit(minimum=20)}))
    assert (result.value, result.unit, result.outcome) == (np.inf, "dB", Outcome.PASSED)


def test_wide_outputs_are_widened_a_block_at_a_time(evidence: Evidence) -> None:
    """3,000 vectors of 640 elements: 15 MB as float64 each; a pass over them takes a few blocks of 8 MB."""
    n, width = 3000, 640
    random = np.random.default_rng(8)
    output = random.integers(-128, 128, (n, width), np.int8)
    quantisation = Quantisation(0.5, 0)
    repeat = np.arange(n) % 6  # vectors 0 to 5 of the evidence, all valid, again and again
    floats = output.astype(np.float32) * np.float32(0.5)
    references = replace(
        evidence.references,
        output=output,
        float_output=floats,
        float_chain=floats,
        **{
            name: getattr(evidence.references, name)[repeat]
            for name in ("gate", "prepared", "digest", "winner", "score", "answer", "reason")
        },
    )
    columns = {name: column[repeat] for name, column in evidence.records.columns()}
    records = replace(evidence.records, **{**columns, "output": output.copy()})
    vectors = replace(
        evidence.case.vectors,
        windows=evidence.case.vectors.windows[repeat],
        sequence=None,
        reject=None,
        label=None,
        expected_output=None,
    )
    model = replace(evidence.case.model, outputs=(replace(evidence.case.model.output, quantisation=quantisation),))
    case = replace(evidence.case, vectors=vectors, model=model)
    evidence = replace(evidence, references=references, records=records, case=case)
    tracemalloc.start()
    result = judge(BY_ID["agreement.max_abs_error"], evidence)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.value == 0
    assert peak < 3 * n * width * 8  # less than reference, observed and difference in full


# ---- the whole chain -------------------------------------------------------------------------------------------------


def tensor_agrees(evidence: Evidence, by: float) -> Evidence:
    """The float model on the raw windows is off by so much; on the prepared tensors it stays where it was."""
    floats = evidence.references.float_chain
    assert floats is not None
    return replace(evidence, references=replace(evidence.references, float_chain=floats + np.float32(by)))


def test_the_limit_holds_for_the_whole_chain_and_the_input_is_named(evidence: Evidence) -> None:
    before = judge(BY_ID["agreement.max_abs_error"], evidence)
    result = judge(BY_ID["agreement.max_abs_error"], tensor_agrees(evidence, 0.2))
    assert result.outcome is Outcome.FAILED
    assert result.value == pytest.approx(0.2, abs=0.01)
    assert result.numbers["on_the_prepared_tensor"] == before.value
    assert result.numbers["input_share"] == pytest.approx(0.2, abs=0.01)
    (finding,) = result.findings
    assert "on the same prepared tensor 0.00" in finding.observed
    assert finding.hint.startswith("the input: on the same prepared tensor the limit holds; ")
    assert finding.stage == ""


def test_a_tensor_that_agrees_does_not_make_up_for_a_chain_that_does_not(evidence: Evidence) -> None:
    """And the other way round: nobody asks for what both make of a tensor that the window does not stand for."""
    floats = evidence.references.float_output
    assert floats is not None
    off = replace(evidence, references=replace(evidence.references, float_output=floats + np.float32(0.2)))
    result = judge(BY_ID["agreement.max_abs_error"], off)
    assert result.outcome is Outcome.PASSED
    assert result.numbers["input_share"] == pytest.approx(-0.2, abs=0.01)


@pytest.mark.parametrize(
    ("stage", "keys"),
    [
        (Prepare("scale", 1, tuple(Channel(c, 0, 1 << 30) for c in range(3))), {"full_scale", "offset"}),
        (Prepare("quantize", 1, factor=8.0), set()),
        (Prepare("tensor", 1), set()),
    ],
    ids=lambda value: value.name if isinstance(value, Prepare) else "",
)
def test_advice_names_keys_that_the_stage_has(evidence: Evidence, stage: Prepare, keys: set[str]) -> None:
    """Of [input] scale/1 alone has keys that reach the tensor's values."""
    advice = input_cure(replace(evidence.case, prepare=stage))
    assert {key for key in ("full_scale", "offset", "source_channels") if key in advice} == keys


def test_an_input_that_is_cut_and_one_that_is_rounded_have_other_cures(evidence: Evidence) -> None:
    off = tensor_agrees(evidence, 0.2)
    rounded = judge(BY_ID["agreement.max_abs_error"], off).findings[0].hint
    assert "the rounding to steps of 0.125" in rounded
    channels = tuple(replace(channel, gain=1 << 30) for channel in off.case.prepare.channels)
    cut = replace(off, case=replace(off.case, prepare=replace(off.case.prepare, channels=channels)))
    hint = judge(BY_ID["agreement.max_abs_error"], cut).findings[0].hint
    assert "% of the elements; calibrate the model on data like these windows" in hint


def test_a_run_without_the_chain_is_not_judged_by_the_tensor(evidence: Evidence) -> None:
    """A stored run that is older than the figures of the whole chain."""
    stored = replace(evidence, references=replace(evidence.references, float_chain=None))
    result = judge(BY_ID["agreement.top1"], stored)
    assert (result.outcome, result.reason) == (
        Outcome.NOT_JUDGED,
        "the run kept no outputs of the float model on the raw windows",
    )
