"""Each mistake with a state that the product carries is blamed on execution, and its pair is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from carried_state import write_carried
from carried_table import CARRIED_DEFECTS, NO_STATE, C, CarriedDefect, H
from defect_bench import RunWith

from hil.contract.state import state_cause
from hil.contract.tensors import output_views
from hil.contract.types import Outcome

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("defect", CARRIED_DEFECTS, ids=lambda defect: defect.name)
def test_execution_is_blamed_and_the_pair_named(defect: CarriedDefect, run_with: RunWith, tmp_path: Path) -> None:
    evidence, found = run_with(defect.edits, write_carried(tmp_path / "case"))
    first = next(result for result in found if result.outcome is Outcome.FAILED)
    assert (first.check, first.findings[0].stage) == ("execution.output", "invoke"), first
    hint = first.findings[0].hint
    assert hint.startswith(defect.says), hint
    assert tuple(pair for pair in (H, C) if pair in hint) == defect.pairs, hint
    for view in output_views(evidence):  # the columns of each output say the same
        off = (view.records.output != view.references.output).any(axis=1)
        cause = state_cause(view, np.flatnonzero(off), np.flatnonzero(~off))
        assert not off.any() or cause.startswith("" if defect.says == NO_STATE else defect.says)
