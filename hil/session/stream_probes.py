"""A stream of the case's own windows through the whole pipeline, where the decide stage has a memory."""

from __future__ import annotations

import numpy as np

from hil.case.types import Decide
from hil.contract.scores import ScoreProbe, StreamProbes
from hil.records import Status
from hil.reference.decide import Decider
from hil.session.state import SessionState
from hil.session.step import Scope, Step
from hil.tensor import ranks

_LONGEST_RUN = 40  # windows of one label


def _collect(run: SessionState) -> StreamProbes:
    """A stream of the case's own windows through the whole pipeline, made of answers that any share brought.

    Two windows with different answers alternate in runs that are long enough for every rule. Expected: the reference
    decide on the outputs that the device gave.
    """
    decide = run.case.decide
    if run.stopped:
        return StreamProbes()
    length = min(decide.debounce + decide.cooldown + 2, _LONGEST_RUN)
    decider = Decider(decide)
    probes: list[ScoreProbe] = []
    for number, vector in enumerate(np.repeat(_two_answers(run), length).tolist()):
        record = run.vector(vector, fresh=number == 0)
        run.note_other(record)
        if record is None or record.status != Status.DONE:
            break
        scores = run.case.model.output.element.read(record.output)
        name = f"stream through the pipeline, window {number}"
        probes.append(ScoreProbe(name, tuple(ranks(scores).tolist()), decider.step(scores), record.decision))
    return StreamProbes(tuple(probes))


def _has_memory(decide: Decide) -> bool:
    """Whether an answer depends on the windows before: debounce, cooldown or hysteresis."""
    memoryless = decide.debounce == 1 and decide.cooldown == 0 and decide.release == decide.threshold
    return decide.id == "argmax" and not memoryless


def _two_answers(run: SessionState) -> list[int]:
    """Vectors whose winning score passes the threshold: one, one with another winner if there is any, and back."""
    rows = run.records
    passing = np.flatnonzero((rows.status == Status.DONE) & (rows.score > run.case.decide.threshold))
    if not len(passing):
        return []
    first = int(passing[0])
    others = passing[rows.winner[passing] != rows.winner[first]]
    return [first, int(others[0]), first] if len(others) else [first]


STEP = Step(StreamProbes, Scope.WHOLE, _collect, applies=lambda case: _has_memory(case.decide))
