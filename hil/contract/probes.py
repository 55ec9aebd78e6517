"""Knows whether the model's answers to windows of the harness's own are the oracle's."""

from __future__ import annotations

import numpy as np

from hil.case.types import Limit
from hil.contract.blame import done
from hil.contract.execution import element_name
from hil.contract.ready import asked, unready
from hil.contract.rejects import GateProbes
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet


def _judge_probes(evidence: Evidence) -> CheckResult:
    lsb = evidence.case.contracts.lsb
    sheet = Sheet("execution.probes", evidence, Limit(maximum=lsb, unit="LSB"))
    if reason := unready(evidence):
        return sheet.not_judged(reason)
    numbers = {"probes_compared": len(evidence.section(GateProbes).outputs)}
    if not evidence.section(GateProbes).outputs:
        return sheet.not_judged(_no_probes(evidence), numbers)
    largest = 0
    for probe in evidence.section(GateProbes).outputs:
        wanted, given = (np.frombuffer(data, np.int8).astype(int) for data in (probe.expected, probe.observed))
        expected, observed = f"{len(wanted)} elements of output", f"{len(given)} elements"
        if len(wanted) == len(given):
            distance = np.abs(given - wanted)
            largest = max(largest, int(distance.max(initial=0)))
            if not (distance > lsb).any():
                continue
            place = int(distance.argmax())
            expected = f"{wanted[place]} at {element_name(evidence.case, place)}"
            observed = f"{given[place]} ({distance[place]} LSB off)"
        sheet.add(expected, observed, vector=probe.name, stage="invoke", hint=_PROBE_HINT)
    return sheet.result(value=float(largest), numbers=numbers)


_PROBE_HINT = "other arithmetic at values that the vectors do not reach: compare kernels and clamps with the oracle's"


def _no_probes(evidence: Evidence) -> str:
    """Why there is no output of a window that the harness made."""
    if reason := asked(done(evidence.records), evidence):
        return reason  # they are made from a valid window
    if evidence.faults:
        return "the run ended before: see execution.fault"
    return "no valid window that the harness made came through: see input.rejects"


CHECKS = (
    Check(
        "execution.probes",
        "outputs of the harness's own valid windows equal the oracle's",
        "max |device - oracle| <= lsb over all valid windows of `input.rejects` and elements",
        lambda _: True,
        _judge_probes,
    ),
)
