"""Knows whether the model's answers to windows of the harness's own are the oracle's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hil.contract.blame import done
from hil.contract.causes import guess, guesses
from hil.contract.causes.outputs import Outputs, output_name
from hil.contract.coverage import Coverage
from hil.contract.distance import allowed, shown
from hil.contract.execution import failing_calls
from hil.contract.operators import with_culprit
from hil.contract.ready import asked, ended_before, unready
from hil.contract.sent import GateProbes, ProbeOutput
from hil.contract.tensors import of_each_output
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, plural
from hil.tensor import ranks, steps_between


def _judge_probes(evidence: Evidence) -> CheckResult:
    allowance = allowed(evidence.case)
    element = allowance.element
    sheet = Sheet("execution.probes", evidence, allowance.limit)
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    sent = (*evidence.section(GateProbes).outputs, *evidence.section(Coverage).sent.outputs)
    outputs = [probe for probe in sent if probe.tensor in ("", evidence.case.model.output.name)]
    numbers = {"probes_compared": len(outputs)}
    if not outputs:
        return sheet.not_judged(_no_probes(evidence), numbers)
    largest, hint = 0.0, with_culprit(_hint(evidence, outputs), evidence)
    for probe in outputs:
        wanted, given = (element.read(data) for data in (probe.expected, probe.observed))
        expected, observed = f"{len(wanted)} elements of output", f"{len(given)} elements"
        if len(wanted) == len(given):
            largest, beyond = max(largest, allowance.worst(wanted, given)), allowance.beyond(wanted, given)
            if not beyond.any():
                continue
            place = int(np.where(beyond, steps_between(wanted, given), -1).argmax())
            expected = f"{shown(element, wanted[place])} at {output_name(evidence.case.decide.labels, place)}"
            observed = f"{shown(element, given[place])} ({allowance.off_by(wanted, given, place)})"
        sheet.add(expected, observed, vector=probe.name, stage="invoke", hint=hint)
    return sheet.result(value=largest, numbers=numbers)


def _hint(evidence: Evidence, probes: Sequence[ProbeOutput]) -> str:
    """What all outputs that are off look like, or where to look."""
    output = evidence.case.model.output
    pairs = [(p.expected, p.observed) for p in probes if len(p.expected) == len(p.observed) == output.bytes]
    if not pairs:
        return _PROBE_HINT
    both = np.array([[output.element.read(data) for data in pair] for pair in pairs])
    off = allowed(evidence.case).beyond(both[:, 0], both[:, 1]).any(axis=1)
    if not off.any():
        return _PROBE_HINT
    run = Outputs(
        wanted=ranks(both[:, 0]),
        observed=ranks(both[:, 1]),
        rows=np.flatnonzero(off),
        prepared=np.zeros((len(pairs), 0), np.int64),
        element=output.element,
        zero_point=output.quantisation.zero_point,
        labels=evidence.case.decide.labels,
        operators=evidence.case.model.operators,
        vector=lambda row: probes[row].name,
    )
    cause = guess(guesses(output.element), run)
    return f"{cause} ({int(off.sum()):,} of {plural(len(pairs), 'window')} off)" if cause else _PROBE_HINT


_PROBE_HINT = "other arithmetic at values that the vectors do not reach: compare kernels and clamps with the oracle's"


def _no_probes(evidence: Evidence) -> str:
    """Why there is no output of a window that the harness made."""
    if reason := asked(done(evidence.records), evidence):
        return reason  # they are made from a valid window
    if evidence.faults:
        return ended_before(evidence)
    if failing_calls(evidence):
        return "the model failed on all of them: see execution.complete"
    return "no valid window that the harness made came through: see input.rejects"


CHECKS = (
    Check(
        "execution.probes",
        "outputs of the harness's own valid windows equal the oracle's",
        "max |device - oracle| <= lsb (float32: ulp, or tolerance) over elements and valid windows of `input.rejects`",
        lambda _: True,
        of_each_output(_judge_probes),
    ),
)
