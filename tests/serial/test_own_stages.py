"""Stages that are the product's own: the native firmware behind a wire, whose front end or decide stage the case does
not know. What is expected of them is judged, each wrong expectation on the stage that it is of; the rest is not judged,
and never passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harness_process import PASSED, run_harness
from native_session import imu_motion
from own_firmware import GATE, OwnCase, own_board

from hil.board.config import read_board
from hil.board.serial import open_board
from hil.case.load import load_case
from hil.case.types import Case
from hil.cli import main
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence, Outcome, References
from hil.image.absent import AbsentImage
from hil.image.elf import Image
from hil.link import messages
from hil.records import Can, GateReason, Hello
from hil.reference.compute import compute
from hil.session import run_case

pytestmark = pytest.mark.slow

Session = Callable[[Case], Evidence]


@pytest.fixture(scope="module")
def session(own_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Session:
    def run(case: Case) -> Evidence:
        folder = tmp_path_factory.mktemp("own")
        with own_board(folder, own_image) as (_, file), open_board(read_board(file), folder / "log") as board:
            (folder / "log").touch()
            return run_case(case, board, AbsentImage()).evidence

    return run


def verdicts(evidence: Evidence) -> Mapping[str, CheckResult]:
    return {check.id: judge(check, evidence) for check in checks_for(evidence.case)}


def outcomes(results: Mapping[str, CheckResult], outcome: Outcome) -> set[str]:
    return {check for check, result in results.items() if result.outcome is outcome}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> References:
    """What the stages of this project give, which the firmware has."""
    return compute(load_case(OwnCase(tmp_path_factory.mktemp("known") / "case").path))


# ---- the front end ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected(session: Session, tmp_path_factory: pytest.TempPathFactory, known: References) -> Evidence:
    """A session in which the case has the right tensors."""
    folder = tmp_path_factory.mktemp("expected")
    made = OwnCase(folder / "own").own_prepare().with_arrays(prepared=known.prepared)
    return session(load_case(made.path))


def test_right_tensors_pass_and_what_only_a_known_stage_shows_is_not_judged(expected: Evidence) -> None:
    results = verdicts(expected)
    assert not outcomes(results, Outcome.FAILED) | outcomes(results, Outcome.INVALID)
    for check in ("input.prepared", "input.gate", "execution.output", "decision.answer", "decision.accuracy"):
        assert results[check].outcome is Outcome.PASSED, check
    assert results["input.prepared"].numbers["vectors_compared"] == 21
    for check in ("input.rejects", "execution.probes", "execution.coverage", "input.parameters"):
        assert results[check].outcome is Outcome.NOT_JUDGED
        assert results[check].reason.startswith("the front end is the product's own: the harness does not know ")
    assert results["agreement.top1"].outcome is Outcome.NOT_JUDGED
    assert "which real values a window stands for" in results["agreement.top1"].reason


def test_a_wrong_tensor_is_blamed_on_the_input_with_its_element(
    session: Session, tmp_path: Path, known: References
) -> None:
    prepared = known.prepared.copy()
    prepared[3, 17] += 1
    made = OwnCase(tmp_path / "own").own_prepare().with_arrays(prepared=prepared)
    results = verdicts(session(load_case(made.path)))
    (finding,) = results["input.prepared"].findings
    assert f"{prepared[3, 17]} at " in finding.expected
    assert f"{prepared[3, 17] - 1} there" in finding.observed
    assert finding.stage == "prepare"
    # The oracle was asked for the expected tensor, so that what follows is told as a consequence.
    assert {check.split(".")[0] for check in outcomes(results, Outcome.FAILED)} <= {"input", "execution"}
    for finding in results["execution.output"].findings:
        assert "see input.prepared" in finding.hint


def test_inside_the_tolerance_the_model_is_held_to_the_tensor_that_it_got(
    session: Session, tmp_path: Path, known: References
) -> None:
    prepared = known.prepared.copy()
    wrong = np.clip(prepared.astype(int) + np.where(np.arange(prepared.shape[1]) % 2, 1, -1), -128, 127)
    wrong[5, 2] = prepared[5, 2] + (3 if prepared[5, 2] < 0 else -3)
    made = OwnCase(tmp_path / "own").own_prepare().with_arrays(prepared=wrong.astype(np.int8))
    made.replace("[contract.input]\n", "[contract.input]\nprepared_lsb = 1\n")
    results = verdicts(session(load_case(made.path)))
    (finding,) = results["input.prepared"].findings
    assert finding.vector == load_case(made.path).vectors.name(5)
    assert "1 is allowed, 3 is the most there" in finding.hint
    assert results["input.prepared"].numbers["vectors_that_differ"] == 1
    # On that vector the oracle was asked for the expected tensor, so that what follows is told as a consequence.
    assert outcomes(results, Outcome.FAILED) <= {"input.prepared", "execution.output", "decision.answer"}
    assert {finding.vector for finding in results["execution.output"].findings} <= {finding.vector}


def test_without_an_expectation_the_model_is_held_to_the_tensor_that_the_device_gives(
    session: Session, tmp_path: Path, known: References
) -> None:
    evidence = session(load_case(OwnCase(tmp_path / "own").own_prepare().path))
    results = verdicts(evidence)
    assert results["input.prepared"].outcome is Outcome.NOT_JUDGED
    assert results["input.prepared"].reason.startswith("no expectation: ")
    assert results["execution.output"].outcome is Outcome.PASSED
    assert results["decision.answer"].outcome is Outcome.PASSED
    valid = evidence.references.gate == GateReason.VALID
    assert np.array_equal(evidence.references.prepared[valid], known.prepared[valid])
    wrong = evidence.records.output.copy()
    wrong[2, 0] ^= 1
    off = verdicts(replace(evidence, records=replace(evidence.records, output=wrong)))
    assert off["execution.output"].outcome is Outcome.FAILED
    assert off["execution.output"].findings[0].stage == "invoke"


def test_without_fetch_too_neither_is_judged(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = messages.decode_hello

    def poorer(result: dict[str, object], boot: int) -> Hello:
        hello = decode(result, boot)
        return replace(hello, can=hello.can & ~Can.FETCH)

    monkeypatch.setattr(messages, "decode_hello", poorer)
    results = verdicts(session(load_case(OwnCase(tmp_path / "own").own_prepare().path)))
    assert not outcomes(results, Outcome.FAILED)
    for check in ("input.prepared", "execution.output", "decision.answer", "sanity.constant_output"):
        assert results[check].outcome is Outcome.NOT_JUDGED, check
    assert "the firmware does not tell the elements of its prepared tensor" in results["execution.output"].reason
    assert "add fetch in hil_product" in results["execution.output"].hint
    assert results["decision.accuracy"].outcome is Outcome.PASSED


def test_without_limits_the_gate_is_not_judged(session: Session, tmp_path: Path) -> None:
    made = OwnCase(tmp_path / "own").own_prepare().replace(GATE, "")
    made.arrays(**{key: array for key, array in made.stored().items() if key != "reject"})
    evidence = session(load_case(made.path))
    results = verdicts(evidence)
    assert (evidence.records.gate == GateReason.RANGE).sum() == 1
    assert results["input.gate"].outcome is Outcome.NOT_JUDGED
    assert results["execution.output"].outcome is Outcome.PASSED
    assert not outcomes(results, Outcome.FAILED)


def test_a_wrong_gate_is_found_where_the_case_has_one(session: Session, tmp_path: Path) -> None:
    made = OwnCase(tmp_path / "own").own_prepare().replace("minimum = -32767 ", "minimum = -32768 ")
    made.arrays(**{key: array for key, array in made.stored().items() if key != "reject"})
    results = verdicts(session(load_case(made.path)))
    assert results["input.gate"].outcome is Outcome.FAILED


def test_agreement_of_the_whole_way_needs_what_the_windows_are_worth(
    session: Session, tmp_path: Path, known: References
) -> None:
    real = imu_motion().model.input.quantisation.real32(known.prepared)
    made = OwnCase(tmp_path / "own").own_prepare()
    made.with_arrays(prepared=known.prepared, prepared_float=real)
    results = verdicts(session(load_case(made.path)))
    assert results["agreement.top1"].outcome is Outcome.PASSED
    assert results["agreement.top1"].numbers["input_share"] == 0.0


# ---- the decide stage ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decided(session: Session, tmp_path_factory: pytest.TempPathFactory, known: References) -> Evidence:
    """A session in which the case has the right answers and scores."""
    folder = tmp_path_factory.mktemp("decided")
    wanted = known
    made = OwnCase(folder / "own").own_decide()
    made.with_arrays(answer=wanted.answer.astype(np.int64), score=wanted.score.astype(float))
    return session(load_case(made.path))


def test_right_answers_pass_and_the_rules_behind_them_are_not_judged(decided: Evidence) -> None:
    results = verdicts(decided)
    assert not outcomes(results, Outcome.FAILED) | outcomes(results, Outcome.INVALID)
    for check in ("decision.answer", "decision.score", "decision.labels", "decision.accuracy", "input.rejects"):
        assert results[check].outcome is Outcome.PASSED, check
    for check in ("decision.threshold", "decision.ties", "decision.stream", "decision.reject", "agreement.flips"):
        assert results[check].outcome is Outcome.NOT_JUDGED
        assert results[check].reason.startswith("the decide stage is the product's own: the harness does not know ")


def of(evidence: Evidence, **arrays: np.ndarray) -> Evidence:
    vectors = replace(evidence.case.vectors, **arrays)
    references = evidence.references
    if "answer" in arrays:
        references = replace(references, answer=arrays["answer"].astype(np.int32))
    return replace(evidence, case=replace(evidence.case, vectors=vectors), references=references)


def test_a_wrong_answer_and_a_wrong_score_are_blamed_on_the_decision(decided: Evidence) -> None:
    assert decided.case.vectors.answer is not None
    assert decided.case.vectors.score is not None
    answer, score = decided.case.vectors.answer.copy(), decided.case.vectors.score.copy()
    answer[4], score[7] = (answer[4] + 1) % 4, score[7] + 2.5
    results = verdicts(of(decided, answer=answer, score=score))
    assert {check.split(".")[0] for check in outcomes(results, Outcome.FAILED)} == {"decision"}
    (finding,) = results["decision.score"].findings
    assert finding.stage == "decide"
    assert finding.expected == f"score {score[7]:g}, off by at most 0"
    assert results["decision.answer"].findings[0].vector == decided.case.vectors.name(4)
    near = replace(decided.case, contracts=replace(decided.case.contracts, score_tolerance=2.5))
    assert verdicts(of(replace(decided, case=near), score=score))["decision.score"].outcome is Outcome.PASSED


def test_a_wrong_answer_in_the_file_is_blamed_on_the_decision(
    session: Session, tmp_path: Path, known: References
) -> None:
    labels = np.array(["badminton", "running", "standing", "walking", "unknown"])
    answer = labels[known.answer]
    answer[2] = "walking" if answer[2] != "walking" else "running"
    made = OwnCase(tmp_path / "own").own_decide().with_arrays(answer=answer)
    results = verdicts(session(load_case(made.path)))
    assert outcomes(results, Outcome.FAILED) == {"decision.answer"}
    assert answer[2] in results["decision.answer"].findings[0].expected
    assert results["decision.score"].outcome is Outcome.NOT_JUDGED


def test_without_expected_answers_labels_and_accuracy_are_still_judged(decided: Evidence) -> None:
    nothing = replace(decided.case, vectors=replace(decided.case.vectors, answer=None, score=None))
    results = verdicts(replace(decided, case=nothing))
    assert results["decision.answer"].outcome is Outcome.NOT_JUDGED
    assert results["decision.labels"].outcome is results["decision.accuracy"].outcome is Outcome.PASSED


# ---- where such a case runs ------------------------------------------------------------------------------------------


def test_a_board_of_our_image_refuses_it_before_the_start(tmp_path: Path, known: References) -> None:
    made = OwnCase(tmp_path / "own").own_prepare().with_arrays(prepared=known.prepared)
    done = run_harness(tmp_path, made.toml, board="native")
    assert done.code != PASSED, done.text
    assert "input.prepare" in done.text
    assert "board 'native' runs the image of this project" in done.text
    assert done.run["cases"][0]["refused"]


def test_a_user_runs_a_case_with_both_stages_of_his_own(own_image: Image, tmp_path: Path, known: References) -> None:
    made = OwnCase(tmp_path / "own").own_prepare().own_decide()
    made.with_arrays(prepared=known.prepared, answer=known.answer.astype(np.int64), score=known.score)
    (tmp_path / "boards").mkdir()
    with own_board(tmp_path, own_image) as (_, file):
        file.rename(tmp_path / "boards" / "mine.toml")
        done = run_harness(tmp_path, made.toml, f"--hil-boards={tmp_path / 'boards'}", board="mine")
    assert done.code == PASSED, done.text
    (ran,) = done.run["cases"]
    assert ran["verdict"] == "passed"
    assert ran["decision"] == {"labels": list(imu_motion().decide.labels), "threshold": None, "unknown": "unknown"}
    found = {check["id"]: check["outcome"] for check in ran["checks"]}
    assert found["input.prepared"] == found["decision.answer"] == found["decision.score"] == "passed"
    assert found["execution.output"] == found["decision.accuracy"] == "passed"
    assert found["execution.probes"] == found["decision.threshold"] == "not judged"
    assert main(["report", str(done.out)]) == 0
    assert "small" in (done.out / "report.html").read_text(encoding="utf-8")
