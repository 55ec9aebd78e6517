"""Agreement on outputs of one element, threshold borders, and the size of a run."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from hil.case.types import Decide, Limit
from hil.contract import CHECKS, judge
from hil.contract.agreement import threshold_score
from hil.contract.types import Evidence, Outcome
from hil.tensor import Quantisation

BY_ID = {check.id: check for check in CHECKS}


@pytest.mark.parametrize("key", ["cosine", "spearman"])
def test_outputs_of_one_element_are_compared_across_the_vectors(evidence: Evidence, key: str) -> None:
    """An anomaly score has no order within one vector; over the run it has."""
    valid = evidence.references.gate == 0
    floats = evidence.references.float_output
    assert floats is not None
    references = replace(
        evidence.references, output=evidence.references.output[:, :1].copy(), float_output=floats[:, :1].copy()
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
    floats = evidence.references.float_output
    assert floats is not None
    floats[3, floats[3].argmax()] = score
    assert judge(BY_ID["agreement.flips"], evidence).value == flips


def test_without_a_float_model_nothing_is_judged(evidence: Evidence) -> None:
    evidence = replace(evidence, references=replace(evidence.references, float_output=None))
    result = judge(BY_ID["agreement.top1"], evidence)
    assert (result.outcome, result.reason) == (Outcome.NOT_JUDGED, "the case has no float model")


def test_a_float_model_that_gives_nan_fails(evidence: Evidence) -> None:
    floats = evidence.references.float_output
    assert floats is not None
    floats[12, 1] = np.nan
    for key in ("cosine", "sqnr_db", "max_abs_error", "spearman"):
        assert judge(BY_ID[f"agreement.{key}"], evidence).outcome is Outcome.FAILED


def test_the_unit_of_sqnr_is_db_and_a_perfect_run_is_infinite(
    evidence: Evidence, with_contracts: Callable[..., Evidence]
) -> None:
    exact = ((evidence.references.output.astype(np.float32) + 128) / 256).astype(np.float32)
    evidence = replace(evidence, references=replace(evidence.references, float_output=exact))
    result = judge(BY_ID["agreement.sqnr_db"], with_contracts(evidence, agreement={"sqnr_db": Limit(minimum=20)}))
    assert (result.value, result.unit, result.outcome) == (np.inf, "dB", Outcome.PASSED)


def test_wide_outputs_are_widened_a_block_at_a_time(evidence: Evidence) -> None:
    """3,000 vectors of 640 elements: 15 MB as float64 each; a pass over them takes a few blocks of 8 MB."""
    n, width = 3000, 640
    random = np.random.default_rng(8)
    output = random.integers(-128, 128, (n, width), np.int8)
    quantisation = Quantisation(0.5, 0)
    repeat = np.arange(n) % 6  # vectors 0 to 5 of the evidence, all valid, again and again
    references = replace(
        evidence.references,
        output=output,
        float_output=output.astype(np.float32) * np.float32(0.5),
        **{
            name: getattr(evidence.references, name)[repeat]
            for name in ("gate", "prepared", "digest", "winner", "score", "answer", "reason")
        },
    )
    columns = {name: column[repeat] for name, column in vars(evidence.records).items() if name != "label_texts"}
    records = replace(evidence.records, **{**columns, "output": output.copy()})
    vectors = replace(
        evidence.case.vectors,
        windows=evidence.case.vectors.windows[repeat],
        sequence=None,
        reject=None,
        label=None,
        expected_output=None,
    )
    model = replace(evidence.case.model, output=replace(evidence.case.model.output, quantisation=quantisation))
    case = replace(evidence.case, vectors=vectors, model=model)
    evidence = replace(evidence, references=references, records=records, case=case)
    tracemalloc.start()
    result = judge(BY_ID["agreement.max_abs_error"], evidence)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.value == 0
    assert peak < 3 * n * width * 8  # less than reference, observed and difference in full
