"""A run keeps the references open from the check of its first case until that ran, and leaves no interpreter behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness_process import processes
from native_session import PROJECT, CaseFolder, native_image, only_steps

from hil.case.load import load_case
from hil.case.types import Case
from hil.contract import checks_for
from hil.interpreter.process import InterpreterProcess
from hil.reference import models
from hil.run.run import HilRun
from hil.run.settings import Settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Process ids of the references' interpreters, in the order of their start."""
    pids: list[int] = []

    class Noted(InterpreterProcess):
        def __init__(self) -> None:
            super().__init__()
            pids.append(self.pid)

    monkeypatch.setattr(models, "InterpreterProcess", Noted)
    return pids


@pytest.fixture
def run(tmp_path: Path) -> Iterator[HilRun]:
    made = HilRun(Settings("native", tmp_path / "out", (PROJECT / "boards",), image=native_image().path))
    yield made
    made.close()


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    return [load_case(CaseFolder(tmp_path / name, name=name).path) for name in ("one", "two")]


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if pid in processes()]


def test_the_first_case_runs_with_the_interpreters_of_its_check(
    run: HilRun, cases: list[Case], started: list[int]
) -> None:
    run.prepare(cases)
    assert len(started) == 4
    assert living(started) == started[:2]  # oracle and float model of the first case
    with only_steps():
        for case, count in zip(cases, (4, 6), strict=True):
            check = next(check for check in checks_for(case) if check.id == "execution.output")
            assert str(run.result(case, check).outcome) == "passed"
            assert len(started) == count
            assert living(started) == []


def test_a_run_that_ends_before_its_first_case_leaves_none_behind(
    run: HilRun, cases: list[Case], started: list[int]
) -> None:
    run.prepare(cases)
    run.close()
    assert living(started) == []
