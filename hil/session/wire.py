"""What the link had to mend while a session ran, and on which vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from hil.contract.wire import Wire
from hil.session.state import SessionState
from hil.session.step import Scope, Step


def _collect(run: SessionState) -> Wire:
    counters = run.device.counters
    return Wire(counters.repeats, counters.damaged, counters.ignored, tuple(sorted(set(run.repeated))))


def _merge(sections: Sequence[Wire]) -> Wire:
    vectors = set(chain.from_iterable(each.vectors for each in sections))
    return Wire(
        sum(each.repeats for each in sections),
        sum(each.damaged for each in sections),
        sum(each.ignored for each in sections),
        tuple(sorted(vectors)),
    )


STEP = Step(Wire, Scope.EACH, _collect, _merge)
