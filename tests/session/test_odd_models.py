"""Models of unusual kinds run right, or are refused for a reason that is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from native_session import PROJECT
from odd_models import REFUSED, RUN, convolution_in_groups, unread_input, unread_output

from hil.board.config import kind_module, load_board
from hil.case.start.new import new_case
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.image.build import WITH_KERNELS, build
from hil.image.elf import Image
from hil.model.check import faults_of
from hil.model.kernels.upstream import UPSTREAM
from hil.session import run_case


@pytest.mark.slow
@pytest.mark.parametrize("place", range(len(RUN)), ids=lambda place: RUN[place].__name__)
def test_it_runs_as_the_oracle_does(place: int, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(RUN[place]())
    case = new_case(tmp_path / "case", tmp_path / "model.tflite").case
    config = load_board("native", [PROJECT / "boards"])
    with kind_module(config).open_board(config, tmp_path / "board.log") as board:
        evidence = run_case(case, board, Image(build("native", PROJECT, image=WITH_KERNELS))).evidence
    results = {check.id: judge(check, evidence) for check in checks_for(case)}
    assert [name for name, each in results.items() if each.outcome in (Outcome.FAILED, Outcome.INVALID)] == []
    assert results["execution.output"].outcome is Outcome.PASSED


@pytest.mark.parametrize("model", RUN, ids=lambda model: model.__name__)
def test_it_is_accepted(model: Callable[[], bytes]) -> None:
    assert faults_of(model(), Path("model.tflite")) == []


@pytest.mark.parametrize("model", REFUSED, ids=lambda model: model.__name__)
def test_it_is_refused_for_what_it_is(model: Callable[[], bytes]) -> None:
    (fault,) = faults_of(model(), Path("model.tflite"))
    where, problem = REFUSED[model]
    assert fault.where == where
    assert problem in fault.problem


@pytest.mark.parametrize("model", [unread_input, unread_output, convolution_in_groups])
def test_what_the_tflm_of_2020_cannot_do_and_todays_can_is_told(model: Callable[[], bytes]) -> None:
    (fault,) = faults_of(model(), Path("model.tflite"))
    assert "--hil-tflm=upstream" in fault.fix
    assert faults_of(model(), Path("model.tflite"), kernels=UPSTREAM) == []
