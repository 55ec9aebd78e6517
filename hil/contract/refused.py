"""Knows what a refused window may cost: no more than the slowest window that was worth an answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hil.case.types import Limit
from hil.contract.blame import done
from hil.contract.latency import stage_units
from hil.contract.ready import asked, unready
from hil.contract.sent import GateProbes
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, number
from hil.records import Status


def _judge_refused(evidence: Evidence) -> CheckResult:
    sheet = Sheet("latency.refused", evidence)
    if evidence.clock.kind == "host time":
        return sheet.not_judged(f"host time is no measure; {evidence.board} counts nothing else")
    rows = np.flatnonzero(done(evidence.records))
    if reason := unready(evidence) or asked(done(evidence.records), evidence):
        return sheet.not_judged(reason)
    spent = list(_refused(evidence))
    if not spent:
        return sheet.not_judged("the firmware does not tell, or no window was refused")
    slowest = int(stage_units(evidence, rows)[:, 3].max())
    sheet.limit = Limit(maximum=slowest, unit=evidence.clock.unit)
    for name, units in spent:
        if units > slowest:
            sheet.add(
                f"{number(slowest)} {evidence.clock.unit} at most, as the slowest window that was done",
                f"{number(units)} until the gate refused it",
                vector=name,
                stage="gate",
                hint="the gate must stop at the first rule that holds: look at what it does before",
            )
    return sheet.result(value=float(max(units for _, units in spent)), numbers={"refused": len(spent)})


def _refused(evidence: Evidence) -> Iterator[tuple[str, int]]:
    """Name and units of each window that the gate refused and that has a time, the harness's own among them."""
    records, clock = evidence.records, evidence.clock
    refused = (records.status == Status.REJECTED) & (records.gate_ticks >= 0)
    units = clock.units(records.gate_ticks)
    for vector in np.flatnonzero(refused):
        yield evidence.case.vectors.name(int(vector)), int(units[vector])
    for probe in evidence.section(GateProbes).probes:
        record = probe.record
        if record is not None and record.status == Status.REJECTED and record.gate_ticks is not None:
            yield probe.name, int(clock.units(np.array(record.gate_ticks, np.int64)))


CHECKS = (
    Check(
        "latency.refused",
        "time of the windows that the gate refuses, the harness's own among them",
        "largest units at the end of the gate of a refused window <= largest total of a window that was done",
        lambda _: True,
        _judge_refused,
    ),
)
