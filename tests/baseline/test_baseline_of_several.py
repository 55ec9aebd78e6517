"""A baseline of a model with several tensors holds all of them, by name; an older file says what it does not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_baseline import accept
from made_evidence import build_evidence
from made_several import each_twice

from hil.acceptance.limits import _agreement
from hil.acceptance.text import show_lines
from hil.baseline.file import read_baseline, write_baseline
from hil.contract import CHECKS, judge
from hil.contract.baseline_latency import same_work
from hil.contract.changes import changes
from hil.contract.measured import measure
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.errors import UsageError

BY_ID = {check.id: check for check in CHECKS if check.contract == "baseline"}


def verdict(name: str, evidence: Evidence) -> CheckResult:
    return judge(BY_ID[f"baseline.{name}"], evidence)


@pytest.fixture
def evidence() -> Evidence:
    return accept(each_twice(build_evidence()))


def kept(evidence: Evidence, **changes: Any) -> Evidence:
    """With another baseline."""
    assert evidence.baseline is not None
    baseline = evidence.baseline.baseline.model_copy(update=changes)
    return replace(evidence, baseline=replace(evidence.baseline, baseline=baseline))


def another_output(evidence: Evidence) -> Evidence:
    output = evidence.records.outputs[0].copy()
    output[3, 1] += 2
    return replace(evidence, records=replace(evidence.records, outputs=(output,)))


def another_input(evidence: Evidence) -> Evidence:
    """Which also gives another output."""
    (seen,) = evidence.records.inputs
    digest = seen.digest.copy()
    digest[3] ^= 1
    changed = another_output(evidence)
    return replace(changed, records=replace(changed.records, inputs=(replace(seen, digest=digest),)))


def test_a_run_that_equals_its_baseline_passes_every_check(evidence: Evidence) -> None:
    assert {judge(check, evidence).outcome for check in BY_ID.values()} == {Outcome.PASSED}
    assert [name for name, _ in verdict("outputs", evidence).tensors] == ["output 'scores'", "output 'aux'"]
    assert not any(change.verdict in ("worse", "better") for change in changes(evidence))


@pytest.mark.parametrize(
    ("change", "stage", "words"),
    [(another_output, "invoke", "the accepted prepared tensor"), (another_input, "prepare", "of input 'right'")],
)
def test_a_further_tensor_that_changed_is_told_by_name(
    evidence: Evidence, change: Callable[[Evidence], Evidence], stage: str, words: str
) -> None:
    found = verdict("outputs", change(evidence))
    assert (found.outcome, found.value, found.findings[0].stage) == (Outcome.FAILED, 2.0, stage)
    assert found.findings[0].expected == "output 'aux': the accepted outputs"
    assert words in found.findings[0].observed
    assert verdict("decisions", change(evidence)).outcome is Outcome.PASSED
    worse = [str(each) for each in changes(change(evidence)) if each.verdict == "worse"]
    assert worse[:2] == [
        "output 'aux': vectors with another output 0 -> 1 vectors",
        "output 'aux': largest change of an output 0 -> 2 LSB",
    ]
    assert not same_work(change(evidence), "invoke")[3]


def test_agreement_that_a_further_output_lost_is_told_by_name(evidence: Evidence) -> None:
    (reference,) = evidence.references.outputs
    assert reference.float_chain is not None
    floats = reference.float_chain + np.float32(0.1)
    worse = replace(reference, float_chain=floats, float_output=floats)
    found = verdict("agreement", replace(evidence, references=replace(evidence.references, outputs=(worse,))))
    assert found.outcome is Outcome.FAILED
    assert {finding.expected.split(":")[0] for finding in found.findings} == {"output 'aux'"}
    assert not any("top1" in name for name in found.numbers if "aux" in name)


def test_a_file_that_does_not_have_further_tensors_stays_valid_and_says_so(evidence: Evidence) -> None:
    old = kept(evidence, further_inputs=[], further_outputs=[])
    valid = verdict("valid", old)
    assert valid.outcome is Outcome.PASSED
    assert "accepted before they were kept: input 'right', output 'aux'" in valid.reason
    outputs = verdict("outputs", old)
    assert outputs.outcome is Outcome.NOT_JUDGED
    assert "output 'aux': accepted before it was kept: accept a run" in outputs.reason
    assert [each.outcome for _, each in outputs.tensors] == [Outcome.PASSED, Outcome.NOT_JUDGED]
    decided = evidence.records.output.copy()
    decided[4, 0] += 1
    assert verdict("outputs", replace(old, records=replace(old.records, output=decided))).outcome is Outcome.FAILED


def test_a_case_that_decides_on_another_output_is_not_comparable(evidence: Evidence) -> None:
    assert evidence.baseline is not None
    (further,) = evidence.baseline.baseline.further_outputs
    turned = kept(evidence, further_outputs=[further.model_copy(update={"name": "scores"})])
    (finding,) = verdict("valid", turned).findings
    assert (finding.expected, finding.observed) == ("another output that is decided on", "'scores'")


def test_the_file_keeps_every_tensor_and_names_none_of_a_model_with_one_of_each(
    evidence: Evidence, tmp_path: Path
) -> None:
    assert evidence.baseline is not None
    baseline, file = evidence.baseline.baseline, tmp_path / "baseline" / "qemu.json"
    write_baseline(file, baseline)
    again = read_baseline(file)
    (output,), (tensor,) = again.baseline.further_outputs, again.baseline.further_inputs
    np.testing.assert_array_equal(output.output, evidence.records.outputs[0])
    np.testing.assert_array_equal(tensor.digest, evidence.records.inputs[0].digest)
    assert (output.name, tensor.name) == ("aux", "right")
    assert any(line.startswith("  output     aux: cosine ") for line in show_lines(again))
    single = accept(build_evidence()).baseline
    assert single is not None
    write_baseline(file, single.baseline)
    assert "further" not in file.read_text(encoding="utf-8")


def test_a_tensor_with_other_vectors_than_the_rest_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    assert evidence.baseline is not None
    (further,) = evidence.baseline.baseline.further_outputs
    short = further.model_copy(update={"output": further.output[:-1]})
    file = tmp_path / "baseline" / "qemu.json"
    write_baseline(file, evidence.baseline.baseline.model_copy(update={"further_outputs": [short]}))
    with pytest.raises(UsageError, match="tensor 'aux': 319 vectors, status has 320"):
        read_baseline(file)


def test_limits_of_agreement_are_proposed_for_each_output_by_name(evidence: Evidence) -> None:
    found: dict[tuple[str, ...], list[str]] = {}
    for entry in _agreement(evidence, measure(evidence)):
        found.setdefault(entry.table, []).append(entry.key)
    own = {name: found["contract", "agreement", "outputs", name] for name in ("scores", "aux")}
    assert own["scores"] == own["aux"] == ["cosine", "sqnr_db", "max_abs_error", "spearman"]
    assert found["contract", "agreement"] == ["top1", "flips"]
