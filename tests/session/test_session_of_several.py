"""Models with several inputs and outputs on the firmware: every tensor is judged, and named where it is wrong."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from native_session import PROJECT, native_board
from several_tensors import REFUSED, N, several_model, write_several

from hil.board.config import kind_module, load_board
from hil.bundle import build_bundle
from hil.case.load import load_case
from hil.case.types import Case
from hil.compare.runs import COLUMNS, _first_difference
from hil.contract import checks_for, judge
from hil.contract.coverage import Coverage
from hil.contract.sent import GateProbes
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.device import Device
from hil.errors import UsageError
from hil.expect import ExpectationFailed, expect
from hil.image.build import FIRMWARE, WITH_KERNELS, build
from hil.image.elf import Image
from hil.records import GateReason, Status
from hil.report.run_json import records_archive
from hil.session import run_case


@cache
def image(target: str, name: str = WITH_KERNELS) -> Image:
    return Image(build(target, PROJECT, image=name))


def run(case: Case, folder: Path, board: str = "native", name: str = WITH_KERNELS) -> Evidence:
    config = load_board(board, [PROJECT / "boards"])
    with kind_module(config).open_board(config, folder / "board.log") as opened:
        return run_case(case, opened, image(config.target, name)).evidence


def results(evidence: Evidence) -> dict[str, CheckResult]:
    return {check.id: judge(check, evidence) for check in checks_for(evidence.case)}


def failures(evidence: Evidence) -> list[str]:
    bad = (Outcome.FAILED, Outcome.INVALID)
    return [f"{name}: {result.findings}" for name, result in results(evidence).items() if result.outcome in bad]


SHORT, LONG = 9, 10  # vectors that send less of the first window, and more of the second


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("several")
    lengths = {
        "samples.left": np.where(np.arange(N) == SHORT, 3, 8),
        "samples.right": np.where(np.arange(N) == LONG, 3, 2),
    }
    return run(load_case(write_several(folder / "case", **lengths)), folder)


def test_a_window_of_another_length_is_refused_whichever_input_it_is_of(evidence: Evidence) -> None:
    rejected = np.flatnonzero(evidence.records.status == Status.REJECTED)
    assert {int(row): GateReason(int(evidence.records.gate[row])) for row in rejected} == {
        SHORT: GateReason.LENGTH,
        LONG: GateReason.LENGTH,
        REFUSED: GateReason.RANGE,
    }
    assert results(evidence)["input.gate"].outcome is Outcome.PASSED


def test_every_tensor_equals_its_reference(evidence: Evidence) -> None:
    assert failures(evidence) == []
    records, references = evidence.records, evidence.references
    assert records.status.tolist().count(Status.DONE) == N - 3
    assert (records.status[REFUSED], records.gate[REFUSED]) == (Status.REJECTED, GateReason.RANGE)
    np.testing.assert_array_equal(records.output, references.output)
    np.testing.assert_array_equal(records.outputs[0], references.outputs[0].output)
    np.testing.assert_array_equal(records.digest, references.digest)
    np.testing.assert_array_equal(records.inputs[0].digest, references.inputs[0].digest)
    assert len(np.unique(records.outputs[0], axis=0)) > N // 2


def test_the_device_says_what_its_tensors_are(evidence: Evidence) -> None:
    hello, model = evidence.hello, evidence.case.model
    assert (hello.input, *hello.inputs) == model.inputs
    assert (hello.outputs[0], hello.output) == model.outputs


def test_a_test_in_python_reaches_every_tensor(evidence: Evidence, tmp_path: Path) -> None:
    case = evidence.case
    with native_board(tmp_path) as board:
        board.provision(image("native"), build_bundle(case))
        device = Device(board, case.model)
        expected = expect(device.run(case.vectors.payload(2)), case).done()
        expected.output(evidence.references.output[2]).output(evidence.references.outputs[0].output[2], name="level")
        with pytest.raises(ExpectationFailed):
            expected.output(evidence.references.output[2], name="level")
        with pytest.raises(UsageError, match="'level', 'scores'"):
            expected.output(evidence.references.output[2], name="levels")
        tensors = evidence.references.prepared[2].tobytes() + evidence.references.inputs[0].prepared[2].tobytes()
        assert device.prepared() == tensors
        assert device.restart().inputs == case.model.inputs[1:]


def test_windows_of_the_harness_are_made_for_each_input(evidence: Evidence) -> None:
    sent = evidence.section(GateProbes)
    assert {probe.input for probe in sent.probes} == {0, 1}
    assert {probe.tensor for probe in sent.outputs} == {"level", "scores"}
    assert any(probe.name.startswith("right: ") and probe.expected is GateReason.NONFINITE for probe in sent.probes)


def test_windows_of_all_inputs_are_searched_for_and_sent(evidence: Evidence) -> None:
    coverage, found = evidence.section(Coverage), results(evidence)
    assert (len(coverage.operators), coverage.problem, coverage.vectors) == (4, "", N - 3)
    assert {probe.record.status for probe in coverage.sent.probes if probe.record} == {Status.DONE}
    assert {probe.tensor for probe in coverage.sent.outputs} == {"level", "scores"}
    assert found["execution.clamps"].numbers["shown_by_probes"]
    assert found["execution.coverage"].outcome is found["execution.clamps"].outcome is Outcome.PASSED


def damaged_output(evidence: Evidence) -> Evidence:
    level = evidence.records.outputs[0].copy()
    level[4, 2] ^= 3
    return replace(evidence, records=replace(evidence.records, outputs=(level,)))


def swapped_outputs(evidence: Evidence) -> Evidence:
    records = evidence.records
    return replace(evidence, records=replace(records, output=records.outputs[0], outputs=(records.output,)))


def damaged_input(evidence: Evidence) -> Evidence:
    (seen,) = evidence.records.inputs
    digest = seen.digest.copy()
    digest[4] ^= 1
    return replace(evidence, records=replace(evidence.records, inputs=(replace(seen, digest=digest),)))


@pytest.mark.parametrize(
    ("damage", "check", "names", "stage", "others"),
    [
        (damaged_output, "execution.output", ["output 'level'"], "invoke", ["decision.answer", "input.prepared"]),
        (swapped_outputs, "execution.output", ["output 'scores'", "output 'level'"], "invoke", ["input.prepared"]),
        (damaged_input, "input.prepared", ["input 'right'"], "prepare", ["execution.output"]),
    ],
)
def test_what_is_wrong_is_said_of_its_tensor(
    evidence: Evidence,
    damage: Callable[[Evidence], Evidence],
    check: str,
    names: list[str],
    stage: str,
    others: list[str],
) -> None:
    found = results(damage(evidence))
    result = found[check]
    assert result.outcome is Outcome.FAILED
    assert sorted({finding.expected.split(":")[0] for finding in result.findings}) == sorted(names)
    assert {finding.stage for finding in result.findings} == {stage}
    assert all(found[other].outcome is Outcome.PASSED for other in others)


def test_outputs_from_elsewhere_are_held_against_each_output(evidence: Evidence) -> None:
    level = evidence.references.outputs[0].output.copy()
    level[0, 1] += 1
    vectors = replace(evidence.case.vectors, further_expected=(level,))
    result = results(replace(evidence, case=replace(evidence.case, vectors=vectors)))["execution.golden"]
    assert result.outcome is Outcome.FAILED
    assert [finding.expected.split(":")[0] for finding in result.findings] == ["output 'level'"]


@pytest.mark.slow
def test_an_output_of_reals_has_its_own_budget(tmp_path: Path) -> None:
    evidence = run(load_case(write_several(tmp_path / "case", several_model("FLOAT32"))), tmp_path)
    assert failures(evidence) == []
    assert evidence.records.outputs[0].dtype == np.float32
    assert "output 'level': float32 outputs, bit for bit" in results(evidence)["execution.output"].reason


def test_the_smaller_image_refuses_the_bundle_and_says_which_takes_it(tmp_path: Path) -> None:
    evidence = run(load_case(write_several(tmp_path / "case")), tmp_path, name=FIRMWARE)
    assert evidence.hello.bundle_status == 24
    (finding,) = results(evidence)["execution.bundle"].findings
    assert "hil_firmware_kernels" in finding.observed


def test_a_bundle_of_other_tensors_than_the_models_is_refused(tmp_path: Path) -> None:
    case = load_case(write_several(tmp_path / "case"))
    right = replace(case.model.inputs[1], quantisation=replace(case.model.inputs[1].quantisation, zero_point=-4))
    level = replace(case.model.outputs[0], shape=(1, 2, 2))
    for model, status in (
        (replace(case.model, inputs=(case.model.inputs[0], right)), 43),
        (replace(case.model, outputs=(level, case.model.outputs[1])), 46),
        (replace(case.model, outputs=case.model.outputs[1:], decided=0), 36),
    ):
        with native_board(tmp_path) as board:
            board.provision(image("native"), build_bundle(replace(case, model=model)))
            assert Device(board).hello.bundle_status == status


def test_a_stored_run_is_judged_from_the_records_of_every_tensor(evidence: Evidence) -> None:
    """What the gate and `hil compare` read of a run: a difference in a further output is one."""

    def stored(seen: Evidence) -> dict[str, np.ndarray]:
        with np.load(io.BytesIO(records_archive(seen.case, seen.records, seen))) as archive:
            return dict(archive)

    right, wrong = stored(evidence), stored(damaged_output(evidence))
    assert {"digest.1", "output.1", "reference_output.1"} <= right.keys()
    exact = {"output": 0, "output.1": 0}
    assert _first_difference("several", right, right, ("one", "other"), exact) is None
    found = _first_difference("several", right, wrong, ("one", "other"), exact)
    assert found is not None
    assert (found.stage, found.column) == (COLUMNS["output"], "output.1, element 2")
    other = _first_difference("several", right, wrong, ("one", "other"), {"output": 9, "output.1": 0})
    assert other is not None
    assert other.column == found.column
    assert _first_difference("several", right, wrong, ("one", "other"), {"output": 0, "output.1": 3}) is None
