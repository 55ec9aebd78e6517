"""Knows whether damaged bundles were refused: what the harness provisioned, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from hil.contract.ready import ended_before, refused
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet


@dataclass(frozen=True)
class BundleProbe:
    """A bundle that the harness changed, the status it must get, and what became of it in words and status.

    observed: the status that the device reported, -1 when it did not say hello.
    """

    name: str
    expected: int
    observed: int
    text: str = ""


@dataclass(frozen=True)
class BundleProbes(Section):
    """Damaged bundles, in the order in which they were provisioned. spared: the board file spares the flash.

    remembered: when this image was shown them, if not in this session ("").
    """

    probes: tuple[BundleProbe, ...] = ()
    spared: bool = False
    remembered: str = ""


def _judge_damaged(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("execution.damaged", evidence), evidence.section(BundleProbes)
    if reason := refused(evidence):
        return sheet.not_judged(reason)
    if found.spared:
        return sheet.not_judged("the board file spares the flash: bundle_probes = false")
    if not found.probes and evidence.faults:
        return sheet.not_judged(ended_before(evidence))
    if not found.probes:
        sheet.add("damaged bundles provisioned", "none was", hint="the run was cut short: run the case again")
    for probe in found.probes:
        if probe.observed != probe.expected:
            answer = f"status {probe.observed}" if probe.observed >= 0 else f"no hello: {probe.text}"
            wanted = f"refused with status {probe.expected}" if probe.expected else "accepted (status 0)"
            sheet.add(
                f"{probe.name}: {wanted}",
                "accepted (status 0)" if probe.observed == 0 else answer,
                hint="the parser must check magic and all of the hash before anything else (docs/bundle-format.md)",
            )
    reason = f"shown to this image on {found.remembered}" if found.remembered else ""
    return sheet.result(reason=reason, numbers={"bundles_sent": len(found.probes)})


CHECKS = (
    Check(
        "execution.damaged",
        "a damaged bundle is refused with the status that names the damage",
        "bundle status of each damaged bundle = 1 (absent) or 7 (hash); with other bytes behind its end: 0",
        lambda _: True,
        _judge_damaged,
    ),
)
