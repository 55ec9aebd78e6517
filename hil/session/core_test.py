"""The read-back of the core is shown a mask that is set."""

from __future__ import annotations

from functools import partial

from hil.contract.instruments.core import CoreTest
from hil.link.messages import SelfTest
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> CoreTest:
    if run.stopped:
        return CoreTest()
    before = len(run.faults)
    record = run.attempt(NO_VECTOR, partial(run.device.self_test, SelfTest.MASKS))
    if record is None:
        return CoreTest(tried=len(run.faults) == before)
    return CoreTest(True, True, record.core)


STEP = Step(CoreTest, Scope.LEAD, _collect)
