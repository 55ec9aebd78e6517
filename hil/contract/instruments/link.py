"""Knows whether the firmware's end of the link drops what is damaged, and answers a repeated request from its cache."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.ready import ended_before, refused
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet

_HINT = "look at the agent: CRC before anything else, the last reply for a repeated request (docs/link.md)"


@dataclass(frozen=True)
class LinkProbe:
    """Frames that the harness sent on purpose, what must come of them, and what came."""

    name: str
    expected: str
    observed: str


@dataclass(frozen=True)
class LinkTest(Section):
    tried: bool = False
    probes: tuple[LinkProbe, ...] = ()


def _judge_link(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.link", evidence), evidence.section(LinkTest)
    if reason := refused(evidence):
        return sheet.not_judged(reason)
    if not found.tried or not found.probes:
        return sheet.not_judged(ended_before(evidence))
    for probe in found.probes:
        if probe.observed != probe.expected:
            sheet.add(f"{probe.name}: {probe.expected}", probe.observed, hint=_HINT)
    return sheet.result(numbers={"probes": len(found.probes)})


CHECKS = (
    Check(
        "instruments.link",
        "damaged, cut, overlong, repeated, reordered and stale frames",
        "damaged: no reply; repeated: the same reply, nothing run twice; reordered: each reply has its request's id "
        "and record",
        lambda _: True,
        _judge_link,
    ),
)
