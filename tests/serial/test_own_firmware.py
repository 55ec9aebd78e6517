"""A firmware that holds its own model, on a board that gives no memory: it is judged by what it tells, with its ELF or
without, and nothing passes that nobody looked at.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from harness_process import PASSED, USAGE_ERROR, run_harness
from native_session import IMU_MOTION, imu_motion, with_vectors
from own_firmware import own_board

from hil.board.config import read_board
from hil.board.serial import open_board
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.image.absent import AbsentImage
from hil.image.elf import Image
from hil.session import run_case


def case() -> Case:
    return with_vectors(imu_motion(), range(0, 300, 30))


@pytest.fixture(scope="module")
def unseen(own_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """A session without any ELF."""
    folder = tmp_path_factory.mktemp("own")
    with own_board(folder, own_image) as (_, file), open_board(read_board(file), folder / "log") as board:
        (folder / "log").touch()
        return run_case(case(), board, AbsentImage()).evidence


def verdicts(evidence: Evidence, case: Case) -> dict[str, CheckResult]:
    return {check.id: judge(check, evidence) for check in checks_for(case)}


def test_without_an_elf_all_is_judged_that_the_firmware_shows(unseen: Evidence) -> None:
    results = verdicts(unseen, case())
    assert {result.outcome for result in results.values()} == {Outcome.PASSED, Outcome.NOT_JUDGED}
    for check in ("input.prepared", "input.gate", "execution.output", "execution.model", "decision.answer"):
        assert results[check].outcome is Outcome.PASSED
    reasons = {check: result.reason for check, result in results.items() if result.outcome is Outcome.NOT_JUDGED}
    assert (
        reasons["memory.flash"]
        == reasons["memory.ram"]
        == ("no image was given, so that its sizes are not known: name its ELF")
    )
    assert reasons["execution.bundle"] == "the firmware does not tell whether it reads bundles: its model is its own"
    assert reasons["execution.operators"].startswith("the firmware does not tell its operators")
    assert reasons["memory.arena"].startswith("the firmware does not tell how much of arena and stack it used")
    assert reasons["instruments.deadline"] == "this board gives no memory, in which a fault would be seen"
    assert unseen.bundle_sha256 == ""


def test_another_model_than_the_cases_is_told_by_its_hash(unseen: Evidence) -> None:
    other = replace(unseen.case, model=replace(unseen.case.model, sha256="ab" * 32))
    result = verdicts(replace(unseen, case=other), case())["execution.model"]
    assert result.outcome is Outcome.FAILED
    assert result.findings[0].observed == imu_motion().model.sha256


def test_a_firmware_that_tells_no_hash_and_no_labels_is_told_to(unseen: Evidence) -> None:
    hello = replace(unseen.hello, model_hash="00" * 32, labels=())
    results = verdicts(replace(unseen, hello=hello), case())
    for check, words in (("execution.model", "model_hash"), ("decision.labels", "labels")):
        assert results[check].outcome is Outcome.NOT_JUDGED
        assert results[check].hint == f"give {words} in describe (docs/agent.md)"


def test_a_user_runs_it_with_one_table(own_image: Image, tmp_path: Path) -> None:
    """The board file names the command that builds, and what it makes."""
    (tmp_path / "boards").mkdir()
    build = f"cp {own_image.path} {tmp_path / 'boards' / 'app.elf'}"
    with own_board(tmp_path, own_image, image="app.elf", build=build) as (_, file):
        file.rename(tmp_path / "boards" / "mine.toml")
        done = run_harness(tmp_path, IMU_MOTION / "case.toml", f"--hil-boards={tmp_path / 'boards'}", board="mine")
    assert done.code == PASSED, done.text
    (ran,) = done.run["cases"]
    assert ran["verdict"] == "passed"
    assert ran["image"]["sha256"] == own_image.sha256
    assert (done.out / "native.elf").read_bytes() == own_image.path.read_bytes()
    outcomes = {check["id"]: check["outcome"] for check in ran["checks"]}
    assert outcomes["execution.output"] == outcomes["agreement.top1"] == "passed"
    assert outcomes["execution.bundle"] == "not judged"


@pytest.mark.parametrize(
    ("firmware", "says"),
    [
        ({"image": "nowhere.elf"}, r"[firmware] image: there is no "),
        ({"imagee": "x"}, "imagee: unknown key"),
        ({"build": "false", "image": "app.elf"}, "false: ended with code 1"),
    ],
)
def test_what_is_wrong_with_the_table_is_named(
    own_image: Image, tmp_path: Path, firmware: dict[str, str], says: str
) -> None:
    (tmp_path / "boards").mkdir()
    with own_board(tmp_path, own_image, **firmware) as (_, file):
        file.rename(tmp_path / "boards" / "mine.toml")
        done = run_harness(tmp_path, IMU_MOTION / "case.toml", f"--hil-boards={tmp_path / 'boards'}", board="mine")
    assert done.code != PASSED
    assert says in done.text


def test_a_kind_that_reads_the_bundle_from_memory_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    native = (IMU_MOTION.parents[1] / "boards" / "native.toml").read_text()
    (tmp_path / "boards" / "mine.toml").write_text(f'{native}\n[firmware]\nbundle = "none"\n')
    done = run_harness(tmp_path, IMU_MOTION / "case.toml", f"--hil-boards={tmp_path / 'boards'}", board="mine")
    assert done.code == USAGE_ERROR
    assert "[firmware] bundle: kind 'native' needs firmware that reads bundles\n" in done.text
