"""Knows what is not as accepted, figure by figure: for run.json, for reports, and for the history of a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hil.case.types import STAGES
from hil.contract import measured
from hil.contract.accepted import accepted, accuracies, agreements, decision_changes, output_changes
from hil.contract.baseline import (
    ROUNDING_OTHERS,
    agreement_worse,
    memory_tolerance,
)
from hil.contract.baseline_latency import operator_growth, pair, regressed
from hil.contract.distance import allowed_since
from hil.contract.regression import STATISTICS
from hil.contract.tensors import output_views
from hil.contract.types import Evidence
from hil.contract.verdict import number
from hil.tensor import Elements

_MEMORY = {  # of MemoryFacts: (what, the tolerance it is held to, "" for none)
    "arena_high_water": ("arena high-water mark", "arena"),
    "arena_used": ("arena used", "arena"),
    "stack_high_water": ("stack high-water mark", "stack"),
    "flash_bytes": ("flash", "flash"),
    "image_flash_bytes": ("flash of the image", ""),
    "bundle_bytes": ("flash of the bundle", ""),
    "ram_bytes": ("static RAM", "ram"),
}
_VERSION = "case version"  # a number that is no quantity
_AGREEMENT_UNITS = {"sqnr_db": "dB", "flips": "vectors"}


@dataclass(frozen=True)
class Change:
    """One figure, accepted and now. verdict: `better`, `same` (inside the tolerance), `worse`, or `info` for what only
    explains. change_percent: None where the accepted value is 0.
    """

    what: str
    unit: str
    before: float
    after: float
    verdict: str

    @property
    def change_percent(self) -> float | None:
        return (
            None if self.before == 0 or self.what == _VERSION else 100 * (self.after - self.before) / abs(self.before)
        )

    def __str__(self) -> str:
        percent = f" ({self.change_percent:+.3g} %)" if self.change_percent else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.what} {number(self.before)} -> {number(self.after)}{unit}{percent}"


def changes(evidence: Evidence) -> tuple[Change, ...]:
    """Every figure that this run and its baseline both have, in the order of triage; none without a baseline.

    What cannot be compared is left out: vectors of another version's, times of another clock, sizes of another target.
    """
    if evidence.baseline is None or accepted(evidence).board != evidence.board:
        return ()
    return tuple(_changes(evidence))


def baseline_document(evidence: Evidence) -> dict[str, Any] | None:
    """The key `baseline` of a case in run.json (`BaselineFacts`); None without a baseline."""
    file = evidence.baseline
    if file is None:
        return None
    kept = file.baseline
    return {
        "file": file.path.as_posix(),
        "sha256": file.sha256,
        "board": kept.board,
        "case_version": kept.version,
        "accepted_at": kept.accepted.at,
        "accepted_by": kept.accepted.by,
        "reason": kept.accepted.reason,
        "firmware_sha256": kept.made.firmware_sha256,
        "model_sha256": kept.made.model_sha256,
        "changes": [
            {
                "what": change.what,
                "unit": change.unit,
                "before": float(change.before),
                "after": float(change.after),
                "change_percent": change.change_percent,
                "verdict": change.verdict,
            }
            for change in changes(evidence)
        ],
    }


def notable(found: Iterable[Change]) -> list[Change]:
    """Those that are better or worse."""
    return [change for change in found if change.verdict in ("better", "worse")]


def _changes(evidence: Evidence) -> Iterator[Change]:
    before = accepted(evidence)
    if before.version != evidence.case.version:
        yield Change(_VERSION, "", before.version, evidence.case.version, "info")
    same_vectors = before.made.vectors_sha256 == measured.made(evidence).vectors_sha256
    if same_vectors:
        yield from _vectors(evidence)
        yield from _quality(evidence)
    if same_vectors and before.clock == measured.clock_facts(evidence.clock):
        yield from _latency(evidence)
    if before.target == evidence.hello.target and not (before.memory.host or evidence.image.host):
        yield from _memory(evidence)


def _alike(before: Elements, now: Elements) -> bool:
    return before.shape == now.shape and before.dtype == now.dtype


def _vectors(evidence: Evidence) -> Iterator[Change]:
    decided = False
    for of, view in _outputs(evidence):
        if not _alike(accepted(view).columns.output, view.records.output):
            continue
        distance, allowance = output_changes(view), allowed_since(view.case)
        outputs = int((distance > 0).sum())
        verdict = "worse" if (distance > allowance.steps).any() else "same"
        yield Change(f"{of}vectors with another output", "vectors", 0, outputs, verdict)
        yield Change(
            f"{of}largest change of an output", allowance.element.step, 0, int(distance.max(initial=0)), verdict
        )
        decided = True
    if decided:
        decisions = int(decision_changes(evidence).sum())
        yield Change("vectors with another decision", "vectors", 0, decisions, "worse" if decisions else "same")


def _outputs(evidence: Evidence) -> Iterator[tuple[str, Evidence]]:
    """The view of each output, and how what is said of it begins: with its name, where there are several."""
    for view in output_views(evidence):
        yield "" if view is evidence else f"output {view.case.model.output.name!r}: ", view


def _quality(evidence: Evidence) -> Iterator[Change]:
    tolerance = evidence.case.contracts.baseline
    first_share, share = accuracies(evidence)
    if first_share is not None and share is not None:
        loss = first_share - share
        verdict = "worse" if loss > tolerance.accuracy + ROUNDING_OTHERS else "better" if loss < 0 else "same"
        yield Change("accuracy", "", first_share, share, verdict)
    for of, view in _outputs(evidence):
        for key, figure in agreements(view).items():
            first, value = figure.before, figure.now
            worse = agreement_worse(key, first, value, tolerance.agreement.get(key, 0.0))
            better = agreement_worse(key, value, first, 0.0)  # as far apart, the other way round
            verdict = "worse" if worse else "better" if better else "same"
            yield Change(f"{of}agreement {key}", _AGREEMENT_UNITS.get(key, ""), first, value, verdict)


def _latency(evidence: Evidence) -> Iterator[Change]:
    both, unit = pair(evidence), evidence.clock.unit
    if not len(both.rows):
        return
    for stage in STAGES:
        worse = regressed(evidence, both, stage)
        better = regressed(evidence, both.swapped(), stage)
        for name in STATISTICS:
            first, now = (getattr(side[stage], name) for side in (both.figures_before, both.figures_after))
            verdict = "worse" if worse and name in worse.statistics else "same"
            if now < first and better and name in better.statistics:
                verdict = "better"
            yield Change(f"{stage} {name}", unit, first, now, verdict)
    for name, first, now in operator_growth(evidence):
        yield Change(f"operator {name}", unit, first, now, "info")


def _memory(evidence: Evidence) -> Iterator[Change]:
    before, after = accepted(evidence).memory, measured.memory(evidence)
    for name, (what, tolerance) in _MEMORY.items():
        first, now = getattr(before, name), getattr(after, name)
        if not (first and now):
            continue  # a mark of 0 was not measured
        verdict = "better" if now < first else "same"
        if tolerance and now - first > memory_tolerance(evidence, tolerance):
            verdict = "worse"
        yield Change(what, "bytes", first, now, verdict if tolerance else "info")
