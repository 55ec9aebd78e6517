"""Raw scores around thresholds, with ties, and in streams, given straight to the decide stage."""

from __future__ import annotations

from functools import partial

import numpy as np

from hil.contract.scores import ScoreProbe, ScoreProbes
from hil.records import Can, Status
from hil.session.effort import effort
from hil.session.refuser import Refuser
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import expected_decisions, score_stimuli


def _collect(run: SessionState) -> ScoreProbes:
    if not run.device.hello.can & Can.DECIDE:
        return ScoreProbes()
    done = np.flatnonzero(run.records.status == Status.DONE)
    refuser = Refuser(run, run.case.vectors.payload(int(done[0])) if len(done) else None)
    probes: list[ScoreProbe] = []
    element = run.case.model.output.element
    stimuli = score_stimuli(run.case.decide, element, refuser.kinds, effort(run.case, run.device.board))
    for stimulus, expected in expected_decisions(run.case.decide, element, stimuli):
        if run.stopped or (stimulus.refused is not None and not refuser.refuse(stimulus.refused)):
            break
        scores = element.write(element.of_ranks(stimulus.scores))
        observed = run.attempt(NO_VECTOR, partial(run.device.decide, scores, fresh=stimulus.fresh))
        if observed is None:
            break
        probes.append(ScoreProbe(stimulus.name, stimulus.scores, expected, observed))
        if len(probes) % _TOLD_EVERY == 0:
            run.progress("score probes", len(probes), 0)
    return ScoreProbes(tuple(probes))


_TOLD_EVERY = 64  # steps

STEP = Step(ScoreProbes, Scope.LEAD, _collect, applies=lambda case: not case.decide.own)
