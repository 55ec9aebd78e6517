"""Each mistake with further inputs and outputs is blamed on its stage, and its tensor is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from defect_bench import RunWith
from several_table import SEVERAL_DEFECTS, SeveralDefect
from several_tensors import write_several

from hil.contract.types import Outcome

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("defect", SEVERAL_DEFECTS, ids=lambda defect: defect.name)
def test_the_stage_is_blamed_and_the_tensor_named(defect: SeveralDefect, run_with: RunWith, tmp_path: Path) -> None:
    _, found = run_with(defect.edits, write_several(tmp_path / "case"))
    first = next(result for result in found if result.outcome is Outcome.FAILED)
    assert (first.check, first.findings[0].stage) == (defect.check, defect.stage), first
    named = {finding.expected.split(":")[0] for finding in first.findings}
    assert named == {*defect.tensors}, first
    assert defect.says in first.findings[0].expected
