"""Which of the model's runs failed, by their number since the firmware started."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from hil.contract.execution import InvokeRun, Invokes
from hil.session.state import SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> Invokes:
    return Invokes(tuple(InvokeRun(start.calls, tuple(start.failed)) for start in run.device.invokes))


def _merge(sections: Sequence[Invokes]) -> Invokes:
    return Invokes(tuple(chain.from_iterable(each.starts for each in sections)))


STEP = Step(Invokes, Scope.EACH, _collect, _merge)
