"""Raw scores around thresholds, with ties, and in streams, given straight to the decide stage."""

from __future__ import annotations

from functools import partial

import numpy as np

from hil.contract.scores import ScoreProbe, ScoreProbes
from hil.session.state import NO_VECTOR, SessionState
from hil.session.step import Scope, Step
from hil.session.stimuli import expected_decisions, score_stimuli


def _collect(run: SessionState) -> ScoreProbes:
    probes: list[ScoreProbe] = []
    for stimulus, expected in expected_decisions(run.case.decide, list(score_stimuli(run.case.decide))):
        if run.stopped:
            break
        scores = np.array(stimulus.scores, np.int8).tobytes()
        if stimulus.refused and run.attempt(NO_VECTOR, partial(run.device.run, b"", fresh=False)) is None:
            break
        observed = run.attempt(NO_VECTOR, partial(run.device.decide, scores, fresh=stimulus.fresh))
        if observed is None:
            break
        probes.append(ScoreProbe(stimulus.name, stimulus.scores, expected, observed))
    return ScoreProbes(tuple(probes))


STEP = Step(ScoreProbes, Scope.LEAD, _collect)
