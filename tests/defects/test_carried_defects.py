"""Each mistake with a state that the product carries is blamed on execution, and its pair is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from carried_state import write_carried
from carried_table import CARRIED_DEFECTS, C, CarriedDefect, H
from firmware_workbench import Workbench
from native_session import native_board

from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.state import state_cause
from hil.contract.tensors import output_views
from hil.contract.types import Outcome
from hil.image.build import WITH_KERNELS
from hil.image.elf import Image
from hil.session import run_case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workbench(workbench_of: Callable[[str], Workbench]) -> Workbench:
    return workbench_of("native")


@pytest.mark.parametrize("defect", CARRIED_DEFECTS, ids=lambda defect: defect.name)
def test_execution_is_blamed_and_the_pair_named(defect: CarriedDefect, workbench: Workbench, tmp_path: Path) -> None:
    image = Image(workbench.image(defect.edits, (), tmp_path, WITH_KERNELS))
    case = load_case(write_carried(tmp_path / "case"))
    with native_board(tmp_path) as board:
        evidence = run_case(case, board, image).evidence
    found = [judge(check, evidence) for check in checks_for(case)]
    first = next(result for result in found if result.outcome is Outcome.FAILED)
    assert (first.check, first.findings[0].stage) == ("execution.output", "invoke"), first
    hint = first.findings[0].hint
    assert hint.startswith(defect.says), hint
    assert tuple(pair for pair in (H, C) if pair in hint) == defect.pairs, hint
    for view in output_views(evidence):  # the columns of each output say the same
        off = (view.records.output != view.references.output).any(axis=1)
        cause = state_cause(view, np.flatnonzero(off), np.flatnonzero(~off))
        assert not off.any() or cause.startswith(defect.says)
