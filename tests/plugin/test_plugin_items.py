"""What pytest shows of a case: items, selection, skips, verdicts, options."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness_process import FAILED, PASSED, USAGE_ERROR, run_harness
from native_session import CaseFolder

from hil.case.load import load_case
from hil.contract import checks_for

pytestmark = pytest.mark.slow


def test_each_check_of_a_case_is_one_item(example) -> None:
    finished = example.finished
    assert finished.code == PASSED, finished.text
    ids = [check.id for check in checks_for(load_case(example.case.path))]
    assert len(ids) > 30
    lines = [line for line in finished.text.splitlines() if line.startswith("small/case.toml::")]
    assert [line.split("::")[1].split(" ")[0] for line in lines] == ids


def test_what_is_not_judged_is_skipped_with_the_clock_that_it_needs(example) -> None:
    lines = [line for line in example.finished.text.splitlines() if line.startswith("small/") and "SKIPPED" in line]
    skipped = {line.split("::")[1].split(" ")[0] for line in lines}
    assert skipped >= {"latency.total.p50", "latency.total.max"}
    others = {
        "instruments.stages",
        "instruments.core",
        "execution.core",
        "execution.arena",
    }  # need a core, or its sizes
    assert {name for name in skipped if not name.startswith(("latency.", "memory."))} == others
    reason = "needs a board whose clock counts instructions; native counts host time"
    assert f"not judged here: <= 600,000 instructions: {reason}" in example.finished.text


def test_the_terminal_has_a_table_of_the_case(example) -> None:
    text = example.finished.text
    assert "hil on board native" in text
    assert "small version 1 on native: PASSED (12 vectors" in text
    for contract in ("input", "execution", "decision", "agreement", "latency", "memory"):
        assert f"\n  {contract} " in text
    assert f"results: {example.finished.out}" in text


def test_k_selects_checks_by_their_name(case: CaseFolder, tmp_path: Path, image: str) -> None:
    finished = run_harness(tmp_path, "-v", "-k", "arena", image, "small")
    run = [line.split(" ")[0] for line in finished.text.splitlines() if line.startswith("small/")]
    wanted = [check.id for check in checks_for(load_case(case.path)) if "arena" in check.id]
    assert (finished.code, run) == (PASSED, [f"small/case.toml::{name}" for name in wanted])
    assert wanted


def test_collecting_starts_nothing(case: CaseFolder, tmp_path: Path) -> None:
    """Not even a build: there is no compiler and no emulator on this PATH."""
    empty = tmp_path / "empty"
    empty.mkdir()
    finished = run_harness(tmp_path, "--collect-only", "-q", "small", env={"PATH": str(empty)})
    assert finished.code == PASSED, finished.text
    assert "small/case.toml::memory.arena" in finished.text
    assert not finished.out.exists()


def test_a_run_in_which_nothing_was_judged_fails(case: CaseFolder, tmp_path: Path, image: str) -> None:
    finished = run_harness(tmp_path, "-k", "latency", image, "small")
    assert finished.code == FAILED
    assert "no check was judged: a gate in which nothing ran fails" in finished.text
    assert finished.run["verdict"] == "passed"  # of the case, all of whose checks were judged when it ran


def test_a_broken_contract_fails_with_its_finding(case: CaseFolder, tmp_path: Path, image: str) -> None:
    stored = case.stored()
    stored["label"] = (stored["label"] + 1) % 4
    case.arrays(**stored)
    finished = run_harness(tmp_path, image, "small")
    assert finished.code == FAILED
    assert finished.run["verdict"] == "failed"
    broken = [check["id"] for check in finished.run["cases"][0]["checks"] if check["outcome"] == "failed"]
    assert broken == ["decision.accuracy"]
    assert "decision.accuracy is broken" in finished.text
    assert "FAILED: accuracy" in finished.text


# ---- options: command line, environment, ini file, default


def test_the_board_is_named_by_option_then_environment_then_ini_then_default(tmp_path: Path) -> None:
    """Each of four runs leaves the strongest source out; names that are not there tell themselves."""
    plain, set_up = tmp_path / "plain", tmp_path / "set_up"
    plain.mkdir()
    set_up.mkdir()
    (set_up / "pytest.ini").write_text("[pytest]\nhil_board = from-ini\n")
    (plain / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    environment = {"HIL_BOARD": "from-environment"}
    sources = {
        "from-option": ("from-option", environment),
        "from-environment": ("", environment),
        "from-ini": ("", None),
    }
    CaseFolder(set_up / "small")
    for name, (board, env) in sources.items():
        finished = run_harness(set_up, board=board, env=env)
        assert finished.code == USAGE_ERROR
        assert f"unknown board '{name}'; known boards: native, nucleo, nucleo-virtual, qemu, renode" in finished.text
        assert "fix: use one of them, or add " in finished.text
    finished = run_harness(
        plain, "-q", board=""
    )  # the default is a board that is there; a run without cases needs none
    assert finished.code == PASSED, finished.text
    assert not finished.out.exists()


def test_every_option_has_its_twins(tmp_path: Path) -> None:
    text = " ".join(run_harness(tmp_path, "--help").text.split())
    for option, twin, ini in (
        ("--board", "HIL_BOARD", "hil_board"),
        ("--hil-out", "HIL_OUT", "hil_out"),
        ("--hil-image", "HIL_IMAGE", "hil_image"),
        ("--hil-bundle", "HIL_BUNDLE", "hil_bundle"),
        ("--hil-boards", "HIL_BOARDS", "hil_boards"),
    ):
        assert f"{option}=" in text
        assert f"environment {twin}, ini {ini}" in text


# ---- the bench breaks


def test_when_the_bench_breaks_the_first_test_errors_and_the_others_are_skipped(
    case: CaseFolder, tmp_path: Path, image: str
) -> None:
    boards = tmp_path / "boards"
    boards.mkdir()
    small = 'kind = "native"\ntarget = "native"\n[native]\nshared_base = 0x2100_0000\nshared_bytes = 0x1_0000\n'
    (boards / "cramped.toml").write_text(small)
    other = CaseFolder(tmp_path / "other", name="other")
    assert other.path.is_dir()
    finished = run_harness(tmp_path, image, "small", "other", board="cramped")
    count = len(checks_for(load_case(case.path)))
    assert finished.code == FAILED
    assert f"{2 * count - 2} skipped, 2 errors in" in finished.text
    assert "BoardError: " in finished.text
    assert "the run of case small broke, see its first test: BoardError" in " ".join(finished.text.split())
    assert "Traceback" not in finished.text
    assert finished.run["verdict"] == "error"
    assert [report["verdict"] for report in finished.run["cases"]] == ["error", "error"]
    assert all("BoardError" in report["error"] for report in finished.run["cases"])
    assert os.listdir(finished.out).count("run.json") == 1


@pytest.mark.parametrize("option", ["--hil-image", "--hil-bundle"])
def test_a_file_that_is_not_there_is_named(option: str, tmp_path: Path) -> None:
    finished = run_harness(tmp_path, f"{option}=missing.bin")
    assert finished.code == USAGE_ERROR
    assert f"{option}: no such file: {tmp_path / 'missing.bin'}" in finished.text


# No clock shows as much of five naps: the very session, with an expectation that nothing can meet.
IMPATIENT = "import hil.contract.instruments.clock as clock\n\nclock._NAP_S = 100.0\n"


def test_an_invalid_check_is_an_error_and_neither_passed_nor_failed(
    case: CaseFolder, tmp_path: Path, image: str
) -> None:
    (tmp_path / "conftest.py").write_text(IMPATIENT)
    finished = run_harness(tmp_path, "-v", image, "small")
    assert finished.code == FAILED, finished.text
    assert "small version 1 on native: INVALID" in finished.text
    errors = {
        line.split("::")[1].split(" ")[0] for line in finished.text.splitlines() if line.startswith("ERROR small")
    }
    assert errors == {"instruments.clock", "execution.plain"}  # the latency limits need another clock anyway
    assert "instruments.clock is invalid, because this instrument is broken" in finished.text
    assert "it stops while the core sleeps" in finished.text
    assert "execution.plain is invalid: because instruments.clock is broken: " in finished.text
    (report,) = finished.run["cases"]
    assert (finished.run["verdict"], report["verdict"]) == ("invalid", "invalid")
    outcomes = {check["id"]: check["outcome"] for check in report["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "invalid"} == errors
    assert "failed" not in outcomes.values()
    suite = finished.junit().find("testsuite")
    assert suite is not None
    assert (suite.get("errors"), suite.get("failures")) == ("2", "0")
    item = next(item for item in suite.iter("testcase") if item.get("name") == "instruments.clock")
    assert {p.get("name"): p.get("value") for p in item.iter("property")}["outcome"] == "invalid"


def test_selecting_only_what_rests_on_a_broken_instrument_is_no_pass(
    case: CaseFolder, tmp_path: Path, image: str
) -> None:
    (tmp_path / "conftest.py").write_text(IMPATIENT)
    finished = run_harness(tmp_path, "-k", "plain", image, "small")
    assert finished.code == FAILED, finished.text
    assert "1 error" in finished.text
