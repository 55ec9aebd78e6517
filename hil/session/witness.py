"""What the records of all windows of the session tell beside answers: of their way to the product, and of the core."""

from __future__ import annotations

from collections.abc import Sequence

from hil.contract.witnessed import Witnessed
from hil.session.state import SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> Witnessed:
    seen = run.device.witness
    return Witnessed(True, seen.received, seen.damaged, seen.read_back, seen.masked)


def _merge(sections: Sequence[Witnessed]) -> Witnessed:
    return Witnessed(
        any(each.tried for each in sections),
        sum(each.received for each in sections),
        sum(each.damaged for each in sections),
        sum(each.read_back for each in sections),
        next((each.left for each in sections if each.left is not None), None),
    )


STEP = Step(Witnessed, Scope.SHARE, _collect, _merge)
