"""Firmware that breaks while it sets a model up: a broken contract of this model, not a broken bench."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_edit import read_model, write_model
from native_session import imu_motion, native_board, native_image, with_vectors

from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import CheckResult, Outcome
from hil.errors import BoardError, UsageError
from hil.model.check import check_model
from hil.reference.models import CaseModels
from hil.session import run_case


def case_with(edit: Callable[[Any], None]) -> Case:
    """imu_motion with a changed model, and a few vectors."""
    case = with_vectors(imu_motion(), range(3))
    model = read_model(case.model.data)
    edit(model)
    data = write_model(model)
    return replace(case, model=replace(case.model, data=data, sha256=hashlib.sha256(data).hexdigest()))


def without_options(operator: int) -> Callable[[Any], None]:
    """What the schema calls optional, the kernels of this TFLM read without looking."""

    def edit(model: Any) -> None:
        node = model.subgraphs[0].operators[operator]
        node.builtinOptions, node.builtinOptionsType = None, 0

    return edit


@pytest.fixture(scope="module", params=[(0, "conv"), (1, "depthwise_conv"), (4, "fully_connected")])
def broken(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, CheckResult]]:
    """Name of the kernel, and the checks of a run in which it faulted."""
    operator, kernel = request.param
    case = case_with(without_options(operator))
    check_model(case.model.data, case.model.path)
    with native_board(tmp_path_factory.mktemp("start")) as board:
        evidence = run_case(case, board, native_image()).evidence
    return kernel, {check.id: judge(check, evidence) for check in checks_for(case)}


def test_it_is_a_finding_of_the_bundle_and_of_the_fault(broken: tuple[str, dict[str, CheckResult]]) -> None:
    kernel, results = broken
    failed = {name for name, result in results.items() if result.outcome is Outcome.FAILED}
    assert {"execution.bundle", "execution.fault"} <= failed
    (bundle,) = results["execution.bundle"].findings
    assert (bundle.stage, bundle.vector) == ("start", "")
    assert "in stage start; without a bundle it starts" in bundle.observed
    (fault,) = results["execution.fault"].findings
    assert "in stage start" in fault.observed
    assert f"tflite::ops::micro::{kernel}::" in fault.observed
    assert "while it set the model up" in fault.hint


def test_nothing_else_is_blamed(broken: tuple[str, dict[str, CheckResult]]) -> None:
    _, results = broken
    failed = {name for name, result in results.items() if result.outcome is Outcome.FAILED}
    assert failed <= {"execution.bundle", "execution.fault", "execution.complete"}


def test_firmware_that_does_not_start_without_a_bundle_either_is_the_bench(tmp_path: Path) -> None:
    """A board that faults at every start says nothing about a model."""
    case = case_with(without_options(0))
    with native_board(tmp_path) as board:
        provision = board.provision
        seen: list[bytes] = []

        def always_with_a_bundle(image: Any, bundle: bytes) -> None:
            seen.append(bundle)
            provision(image, seen[0])

        board.provision = always_with_a_bundle
        with pytest.raises(BoardError, match="boot: the firmware faulted before it said hello"):
            run_case(case, board, native_image())


def test_a_model_that_the_oracle_refuses_is_refused_to_each_who_asks() -> None:
    """Not only to the first: its process has gone by then."""

    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.operators[4].outputs[0]].quantization.scale = [1e-9]

    with CaseModels(case_with(edit)) as models:
        for _ in range(2):
            with pytest.raises(UsageError, match=r"the int8 oracle .* refuses this model"):
                models.answer(np.zeros((1, 240), np.int8))
