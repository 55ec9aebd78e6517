"""Tests that users write in Python: the fixtures, `expect`, and the example of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness_process import FAILED, PASSED, Finished, run_harness
from native_session import PROJECT, CaseFolder

OWN_TESTS = '''
import numpy as np
import pytest
from hil.expect import ExpectationFailed, expect
from hil.records import GateReason

pytestmark = pytest.mark.hil_case("golden_vectors/imu_motion")


def test_session_board(board, device):
    assert board is device.board
    assert board.config.name == "native"


def test_clean_state_a(device, case):
    assert device.hello.case == case.name
    expect(device.run(case.vectors.payload(0), sequence=1), case).done().answer("standing")


def test_clean_state_b(device, case):
    """The capture number of the test before is not known any more."""
    record = device.run(case.vectors.payload(0), sequence=1)
    expect(record, case).done().prepared(np.frombuffer(device.prepared(), np.int8)).output(
        np.frombuffer(record.output, np.int8)
    )
    expect(device.run(case.vectors.payload(0), sequence=1), case).rejected(GateReason.STALE)


def test_wrong_answer(device, case):
    expect(device.run(case.vectors.payload(0)), case).answer("walking")


def test_wrong_rejection(device, case):
    expect(device.run(case.vectors.payload(0)), case).rejected(GateReason.FLAT)


def test_finding(device, case):
    with pytest.raises(ExpectationFailed) as caught:
        expect(device.run(b""), case).done()
    finding = caught.value.finding
    assert (finding.check, finding.stage, finding.observed) == ("execution.complete", "gate", "rejected (length)")


@pytest.mark.hil_case("golden_vectors/none_such")
def test_case_that_is_not_there(case):
    pass
'''
WITHOUT_MARK = "def test_without_mark(case):\n    pass\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, image: str) -> Finished:
    """One run of tests written in Python, those of the documentation among them."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "golden_vectors").symlink_to(PROJECT / "golden_vectors")
    page = (PROJECT / "docs" / "python-tests.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert examples
    for number, text in enumerate(examples):
        (folder / f"test_documentation_{number}.py").write_text(text)
    (folder / "test_own.py").write_text(OWN_TESTS)
    (folder / "test_unmarked.py").write_text(WITHOUT_MARK)
    return run_harness(folder, "-v", image, *sorted(file.name for file in folder.glob("test_*.py")))


def outcomes(finished: Finished) -> dict[str, str]:
    found = re.findall(r"^(\w+)\.py::(\w+) (PASSED|FAILED|ERROR)", finished.text, re.MULTILINE)
    return {f"{file}.{name}": outcome for file, name, outcome in found}


def test_the_example_of_the_documentation_runs(finished: Finished) -> None:
    documented = {name: outcome for name, outcome in outcomes(finished).items() if "documentation" in name}
    assert len(documented) == 2
    assert set(documented.values()) == {"PASSED"}, finished.text


def test_fixtures_give_board_case_and_a_clean_device(finished: Finished) -> None:
    found = outcomes(finished)
    for name in ("session_board", "clean_state_a", "clean_state_b", "finding"):
        assert found[f"test_own.test_{name}"] == "PASSED", finished.text


def test_an_expectation_that_does_not_hold_shows_its_finding(finished: Finished) -> None:
    found = outcomes(finished)
    assert found["test_own.test_wrong_answer"] == found["test_own.test_wrong_rejection"] == "FAILED"
    finding = finished.text.split("test_wrong_answer ___")[1].split("test_wrong_rejection ___")[0]
    assert re.search(r"check +decision\.answer\n", finding)
    assert re.search(r"expected +walking\n", finding)
    assert re.search(r"observed +standing\n", finding)
    finding = finished.text.split("test_wrong_rejection ___")[1]
    assert re.search(r"expected +rejected, flat, answer -1\n", finding)


def test_a_case_that_is_not_there_or_not_named_is_told_in_one_line(finished: Finished) -> None:
    found = outcomes(finished)
    assert found["test_own.test_case_that_is_not_there"] == "ERROR"
    assert "golden_vectors/none_such: cannot be read (No such file or directory)" in finished.text
    assert found["test_unmarked.test_without_mark"] == "ERROR"
    assert 'needs @pytest.mark.hil_case("golden_vectors/NAME")' in finished.text


def test_python_tests_alone_are_a_run_of_their_own(finished: Finished) -> None:
    assert finished.code == FAILED
    assert "a gate in which nothing ran fails" not in finished.text
    assert finished.run["cases"] == []


OF_A_PROJECT = """
import pytest


@pytest.fixture
def board():
    return "a chess board"


def test_its_own(board):
    assert board == "a chess board"
"""
AROUND = OF_A_PROJECT.replace("def board():\n    return", "def board(board):\n    assert board.config.kind\n    return")


@pytest.mark.parametrize(("text", "takes"), [(OF_A_PROJECT, False), (AROUND, True)], ids=["its own", "around ours"])
def test_a_fixture_of_a_project_that_is_called_board_needs_none(
    text: str, takes: bool, image: str, tmp_path: Path
) -> None:
    """Neither tools nor the output folder, which another run may hold."""
    (tmp_path / "test_own.py").write_text(text, encoding="utf-8")
    finished = run_harness(tmp_path, "test_own.py", image)
    assert finished.code == PASSED, finished.text
    assert (finished.out / "run.json").exists() == takes


def test_a_device_alone_needs_a_board(image: str, tmp_path: Path) -> None:
    case = CaseFolder(tmp_path / "small")
    (tmp_path / "test_own.py").write_text(
        f'import pytest\n\n@pytest.mark.hil_case("{case.path.name}")\ndef test_it(device):\n    assert device.hello\n',
        encoding="utf-8",
    )
    finished = run_harness(tmp_path, "test_own.py", image)
    assert finished.code == PASSED, finished.text
    assert (finished.out / "run.json").exists()
