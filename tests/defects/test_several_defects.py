"""Each mistake with further inputs and outputs is blamed on its stage, and its tensor is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_workbench import Workbench
from native_session import native_board
from several_table import SEVERAL_DEFECTS, SeveralDefect
from several_tensors import write_several

from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.image.build import WITH_KERNELS
from hil.image.elf import Image
from hil.session import run_case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workbench(workbench_of: Callable[[str], Workbench]) -> Workbench:
    return workbench_of("native")


@pytest.mark.parametrize("defect", SEVERAL_DEFECTS, ids=lambda defect: defect.name)
def test_the_stage_is_blamed_and_the_tensor_named(defect: SeveralDefect, workbench: Workbench, tmp_path: Path) -> None:
    image = Image(workbench.image(defect.edits, (), tmp_path, WITH_KERNELS))
    case = load_case(write_several(tmp_path / "case"))
    with native_board(tmp_path) as board:
        evidence = run_case(case, board, image).evidence
    found = [judge(check, evidence) for check in checks_for(case)]
    first = next(result for result in found if result.outcome is Outcome.FAILED)
    assert (first.check, first.findings[0].stage) == (defect.check, defect.stage), first
    named = {finding.expected.split(":")[0] for finding in first.findings}
    assert named == {*defect.tensors}, first
    assert defect.says in first.findings[0].expected
