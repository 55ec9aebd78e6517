"""`execution.expected`: references that are not the accepted expectations are named, and the device is not blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from mixed_case import N, mixed_case
from several_tensors import write_several

from hil.case.expected import expected_of
from hil.case.load import load_case
from hil.case.types import Case, Channel
from hil.contract.golden import CHECKS
from hil.contract.types import CheckResult, Evidence, ImageFacts, InputReference, Outcome, OutputReference
from hil.records import Can, ClockSpec, Hello, RunRecords
from hil.reference import compute

(CHECK,) = CHECKS


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A small case whose expectations are those of its references."""
    case = load_case(mixed_case(tmp_path_factory.mktemp("golden") / "small").path)
    return replace(case, expected=expected_of(case, compute(case)))


def judged(case: Case, spoil: Callable[[np.ndarray], object] | None = None, column: str = "output") -> CheckResult:
    """The verdict on a run of `case`, after `spoil` has changed a column of its references."""
    references = compute(case)
    if spoil is not None:
        spoil(getattr(references, column))
    hello = Hello(
        **{name: "" for name in ("firmware", "target", "compiler", "flags", "kernels", "clock", "bundle_hash")},
        **{name: "" for name in ("model_hash", "case")},
        **{name: 0 for name in ("protocol", "clock_hz", "frame_bytes", "arena_bytes", "stack_bytes", "bundle_status")},
        **{name: 0 for name in ("bundle_detail", "case_version", "arena_used", "arena_high_water", "boot")},
        can=Can(0),
        operators=(),
        labels=(),
        input=case.model.input,
        output=case.model.output,
    )
    evidence = Evidence(
        case=case,
        board="qemu",
        clock=ClockSpec("instructions", "instructions", 1, 1, 0, True),
        image=ImageFacts("", 0, 0, 0),
        bundle_bytes=0,
        bundle_sha256="",
        hello=hello,
        records=RunRecords.empty(len(case.vectors), case.model.output.elements),
        references=references,
    )
    return CHECK.judge(evidence)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The same with two inputs and two outputs."""
    case = load_case(write_several(tmp_path_factory.mktemp("several")))
    return replace(case, expected=expected_of(case, compute(case)))


def test_a_further_output_of_another_oracle_is_told_by_its_name(several: Case) -> None:
    assert judged(several).outcome is Outcome.PASSED

    def spoil(outputs: tuple[OutputReference, ...]) -> None:
        outputs[0].output[2, 1] ^= 1

    result = judged(several, spoil, "outputs")
    assert (result.outcome, result.total, result.findings[0].stage) == (Outcome.FAILED, 1, "invoke")
    assert result.findings[0].expected.startswith("invoke: output 'level': ")


def test_a_further_input_that_is_prepared_otherwise_is_told_by_its_name(several: Case) -> None:
    def spoil(inputs: tuple[InputReference, ...]) -> None:
        inputs[0].digest[2] ^= 1

    result = judged(several, spoil, "inputs")
    assert [finding.expected for finding in result.findings] == ["prepare: the accepted digest of input 'right'"]


def test_expectations_that_were_accepted_without_a_tensor_are_not_judged_until_they_are_accepted_again(
    several: Case,
) -> None:
    assert several.expected is not None
    old = replace(several.expected, digests={}, outputs={})
    result = judged(replace(several, expected=old))
    assert result.outcome is Outcome.NOT_JUDGED
    assert "expected.npz has nothing of input 'right', output 'level': accept it again" in result.reason
    spoilt = judged(replace(several, expected=old), lambda output: output.__setitem__((1, 1), 9))
    assert spoilt.outcome is Outcome.FAILED


def test_only_a_case_with_expectations_asks_for_it(case: Case) -> None:
    assert CHECK.applies(case)
    assert not CHECK.applies(replace(case, expected=None))


def test_references_that_are_as_accepted_pass(case: Case) -> None:
    result = judged(case)
    assert (result.outcome, result.value) == (Outcome.PASSED, 0)
    assert result.numbers["vectors_compared"] == N


def test_another_oracle_is_named_and_not_the_device(case: Case) -> None:
    """As another version of the package would do: one output is 2 LSB off, the decision stays."""

    def rounds_otherwise(output: np.ndarray) -> None:
        place = int(output[4].argmin())
        output[4, place] += 2

    result = judged(case, rounds_otherwise)
    (finding,) = result.findings
    assert result.outcome is Outcome.FAILED
    assert (finding.vector, finding.stage) == (case.vectors.name(4), "invoke")
    assert "tflite-micro" in finding.hint
    assert "hil case regen" in finding.hint
    assert result.numbers["largest_step_lsb"] == 2


def test_another_threshold_is_a_change_of_decisions(case: Case) -> None:
    result = judged(replace(case, decide=replace(case.decide, threshold=115, release=115)))
    assert result.outcome is Outcome.FAILED
    assert {finding.stage for finding in result.findings} == {"decide"}


def test_another_preparation_is_told_with_what_follows_from_it(case: Case) -> None:
    channels = tuple(Channel(each.source, each.offset + 3000, each.gain) for each in case.prepare.channels)
    result = judged(replace(case, prepare=replace(case.prepare, channels=channels)))
    assert result.findings[0].stage == "prepare"
    assert {finding.stage for finding in result.findings} <= {"prepare", "invoke", "decide"}


def test_a_window_that_is_not_the_accepted_one_is_told_once(case: Case) -> None:
    windows = case.vectors.windows.copy()
    windows[0] = -windows[0]
    result = judged(replace(case, vectors=replace(case.vectors, windows=windows)))
    (finding,) = result.findings
    assert finding.vector == case.vectors.name(0)
    assert (finding.expected, finding.observed) == ("the accepted window", "other bytes")


def test_vectors_that_came_or_went_are_told(case: Case) -> None:
    names = tuple("new" if row == 1 else case.vectors.name(row) for row in range(N))
    result = judged(replace(case, vectors=replace(case.vectors, names=names)))
    assert [finding.vector for finding in result.findings] == ["new", case.vectors.name(1)]


def test_another_true_label_is_told(case: Case) -> None:
    assert case.vectors.label is not None
    label = case.vectors.label.copy()
    label[0] = (label[0] + 1) % 4
    (finding,) = judged(replace(case, vectors=replace(case.vectors, label=label))).findings
    assert finding.expected.startswith("label: ")
