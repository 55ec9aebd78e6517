"""What a check says beside that it does not judge: its limit stands in the report all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import said

from hil.contract import checks_for, judge
from hil.contract.types import Evidence, Outcome

FROM_THE_RUN = "latency.refused"  # its limit is a share of what the run's own windows took


@pytest.mark.parametrize("change", [said.refused, said.nothing_ran, said.all_rejected], ids=lambda each: each.__name__)
def test_a_limit_that_is_not_judged_is_still_told(evidence: Evidence, change: Callable[[Evidence], Evidence]) -> None:
    checks = [check for check in checks_for(evidence.case) if check.id != FROM_THE_RUN]
    limits = {check.id: judge(check, evidence).limit for check in checks}
    found = {check.id: judge(check, change(evidence)) for check in checks}
    silent = {check: result.limit for check, result in found.items() if result.outcome is Outcome.NOT_JUDGED}
    assert silent == {check: limits[check] for check in silent}
    assert sum(limit is not None for limit in silent.values()) > 10


def test_an_arena_of_a_workstation_is_held_to_no_limit(evidence: Evidence) -> None:
    """Its pointers are wider, so that the budget of the case is not its own."""
    hosted = replace(evidence, image=replace(evidence.image, host=True))
    (found,) = (judge(check, hosted) for check in checks_for(hosted.case) if check.id == "execution.arena")
    assert (found.outcome, found.limit, found.value) == (Outcome.NOT_JUDGED, None, None)
