"""`pytest -n`: the same verdict, records and reports as with one worker, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness_process import (
    FAILED,
    INTERRUPTED,
    PASSED,
    USAGE_ERROR,
    Finished,
    HarnessRun,
    children_of,
    is_board,
    observe,
    run_harness,
)
from native_session import IMU_MOTION, CaseFolder

pytestmark = pytest.mark.slow

LOOKED_AT = {"slept_units", "windows", "runs_compared"}
TWO = ("-n", "2", "--basetemp=base")  # pytest-xdist makes that folder, which pytest keeps
ALL_VECTORS = 527  # of imu_motion: enough to be worth sharing
OF_THE_HOST = ("host_seconds", "started", "seal", "workers", "inferences", "latency", "numbers", "units")
OF_THE_RUN = (*OF_THE_HOST, "records_sha256", "boot", "repeats", "ignored")  # what a busy host sends twice


@dataclass(frozen=True)
class Pair:
    alone: Finished
    together: Finished


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, image: str) -> Pair:
    """The same two cases, run by one and by two workers; one check of one of them is broken."""
    finished = []
    for workers in ((), TWO):
        folder = tmp_path_factory.mktemp("pair")
        CaseFolder(folder / "long", "long", ALL_VECTORS)
        CaseFolder(folder / "broken", "broken").replace("accuracy = { min = 0.98 }", "accuracy = { max = 0.5 }")
        finished.append(run_harness(folder, "-v", *workers, image, "long", "broken"))
    return Pair(*finished)


def lasting(value: Any) -> Any:
    """Of run.json, what does not depend on the clock of this host or the number of workers."""
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in OF_THE_RUN}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def test_two_workers_write_the_same_run_json(pair: Pair) -> None:
    assert pair.alone.code == pair.together.code == FAILED, pair.together.text
    assert lasting(pair.together.run) == lasting(pair.alone.run)
    assert pair.together.run["workers"] == 2


def test_two_workers_leave_the_same_records(pair: Pair) -> None:
    for name in ("long.native.npz", "broken.native.npz"):
        with np.load(pair.alone.out / name) as one, np.load(pair.together.out / name) as other:
            assert one.files == other.files
            for column in one.files:
                if column not in ("ticks", "gate_ticks", "units"):  # host time on this board
                    np.testing.assert_array_equal(one[column], other[column], err_msg=column)


def test_both_workers_had_a_share(pair: Pair) -> None:
    """The log of a case is made of those of its shares; each begins with the firmware's greeting."""
    greetings = [(run.out / "long.native.log").read_text().count("hil firmware") for run in (pair.alone, pair.together)]
    assert greetings[1] > greetings[0]
    assert sorted(file.name for file in pair.together.out.glob("*.log")) == ["broken.native.log", "long.native.log"]


def test_the_same_checks_fail_and_pass(pair: Pair) -> None:
    def verdicts(run: Finished) -> dict[str, str]:
        tests = run.junit().iter("testcase")
        return {f"{test.get('classname')} {test.get('name')}": ",".join(part.tag for part in test) for test in tests}

    assert verdicts(pair.together) == verdicts(pair.alone)
    assert "decision.accuracy is broken" in pair.together.text
    assert "1 failed" in pair.together.text


def test_properties_of_each_test_survive(pair: Pair) -> None:
    for test in pair.together.junit().iter("testcase"):
        names = {item.get("name") for item in test.iter("property")}
        assert names >= {"case", "board", "firmware_sha256", "outcome"}, test.get("name")


def test_nothing_judged_is_told_by_workers_too(tmp_path: Path, image: str) -> None:
    CaseFolder(tmp_path / "small")
    finished = run_harness(tmp_path, *TWO, image, "small", "-k", "latency")
    assert finished.code == FAILED
    assert "no check was judged" in finished.text


def test_a_wrong_case_is_an_error_of_its_own(tmp_path: Path, image: str) -> None:
    CaseFolder(tmp_path / "small").replace("threshold = 0.60", "threshold = 7.0")
    finished = run_harness(tmp_path, *TWO, image, "small")
    assert finished.code == FAILED, finished.text
    assert "1 error in" in finished.text
    (case,) = finished.run["cases"]
    assert (case["verdict"], case["refused"]) == ("error", True)
    assert "threshold" in case["error"]


@pytest.mark.parametrize(("board", "error"), [("native", "UsageError"), ("cramped", "BoardError")])
def test_what_ends_the_run_of_a_case_is_said_by_one_worker(board: str, error: str, tmp_path: Path, image: str) -> None:
    """A case that is refused, and a bench that breaks. Both workers have tests of the case."""
    case = CaseFolder(tmp_path / "small")
    (case.path / "baseline").mkdir()
    case.write("baseline/native.json", b"{}")
    (tmp_path / "boards").mkdir()
    small = 'kind = "native"\ntarget = "native"\n[native]\nshared_base = 0x2100_0000\nshared_bytes = 0x1_0000\n'
    (tmp_path / "boards" / "cramped.toml").write_text(small)
    options = (*TWO, image, f"--hil-boards={tmp_path / 'boards'}")
    finished = run_harness(tmp_path, "-v", *options, "small", board=board)
    assert finished.code == FAILED
    tests = re.findall(r"^\[(gw\d)\] \[.*%\] (\w+) small/", finished.text, re.M)
    assert {worker for worker, _ in tests} == {"gw0", "gw1"}
    assert [outcome for _, outcome in tests if outcome != "SKIPPED"] == ["ERROR"]
    assert f"the run of case small broke, see its first test: {error}" in finished.text


def test_a_folder_in_use_is_refused(tmp_path: Path, image: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("one", "two"):
        CaseFolder(tmp_path / name / "long", "long", ALL_VECTORS).replace("passes = 2", "passes = 200")
    out = str(tmp_path / "shared-out")
    with HarnessRun(tmp_path / "one", *TWO, image, "long", out=out) as first:
        observe(lambda: any(is_board(pid) for worker in first.children() for pid in children_of(worker)), limit_s=90)
        refused = run_harness(tmp_path / "two", *TWO, image, "long", out=out)
        assert refused.code == USAGE_ERROR, refused.text
        assert "is in use by pid" in refused.text
        first.process.send_signal(signal.SIGINT)
        assert first.wait().run["verdict"] == "interrupted"


def test_tests_in_python_have_a_board_each(tmp_path: Path, image: str) -> None:
    CaseFolder(tmp_path / "small")
    lines = ["import pytest", "@pytest.mark.hil_case('small')", "@pytest.mark.parametrize('n', range(6))"]
    lines += ["def test_hello(device, n):", "    assert device.hello.case == 'small'", ""]
    (tmp_path / "test_own.py").write_text("\n".join(lines))
    finished = run_harness(tmp_path, *TWO, image, "test_own.py")
    assert finished.code == PASSED, finished.text
    assert {file.name for file in finished.out.glob("python.*.log")} == {
        "python.native.gw0.log",
        "python.native.gw1.log",
    }


def test_a_worker_that_dies_costs_a_test_and_nothing_else(tmp_path: Path, image: str) -> None:
    CaseFolder(tmp_path / "long", "long", ALL_VECTORS).replace("passes = 2", "passes = 30")
    with HarnessRun(tmp_path, *TWO, image, "long") as run:
        worker = observe(lambda: next((w for w in run.children() if any(map(is_board, children_of(w)))), 0))
        os.kill(worker, signal.SIGKILL)
        finished = run.wait()
    assert finished.code == FAILED
    assert "crashed" in finished.text
    assert finished.run["cases"][0]["verdict"] == "passed"
    assert finished.run["verdict"] == "error"
    (lost,) = finished.run["lost_workers"]
    assert f"the run broke: workers that ended before their time: {lost}; others took up their cases" in finished.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_workers_leave_nothing(tmp_path: Path, image: str, number: signal.Signals) -> None:
    CaseFolder(tmp_path / "long", "long", ALL_VECTORS).replace("passes = 2", "passes = 200")
    with HarnessRun(tmp_path, *TWO, image, "long") as run:
        observe(lambda: any(is_board(pid) for worker in run.children() for pid in children_of(worker)))
        run.process.send_signal(number)
        finished = run.wait()
    assert finished.code == INTERRUPTED, finished.text
    assert finished.run["verdict"] == "interrupted"
    assert finished.run["lost_workers"] == []


def without_counts(check: dict[str, Any]) -> dict[str, Any]:
    """A check without what tells how much it looked at: a crew shows each of its boards the same instruments."""
    return check | {"numbers": {key: value for key, value in check["numbers"].items() if key not in LOOKED_AT}}


def test_on_qemu_two_workers_leave_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for number, workers in enumerate(((), TWO)):
        folder = tmp_path / str(number)
        folder.mkdir()
        finished = run_harness(folder, *workers, IMU_MOTION, board="qemu")
        assert finished.code == PASSED, finished.text
        document = json.loads((finished.out / "run.json").read_text())
        case = document["cases"][0]
        figures = (case["latency"], case["memory"], [without_counts(check) for check in case["checks"]])
        files.append(((finished.out / "imu_motion.qemu.npz").read_bytes(), figures))
    assert files[0] == files[1]
