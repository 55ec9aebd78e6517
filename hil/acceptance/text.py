"""Knows how a baseline, and a run held against one, read on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hil.acceptance.diff import Diff
from hil.baseline.types import Baseline, BaselineFile
from hil.case.types import STAGES
from hil.contract.accepted import put_in
from hil.contract.types import Outcome
from hil.contract.verdict import number

_POINTS = ("p50", "p95", "p99", "max", "mean")
_SHOWN_FINDINGS = 3  # of one check, as in a run


def diff_lines(found: Diff) -> Iterator[str]:
    """What is not as accepted: figures, then findings in the order of triage."""
    evidence, file = found.evidence, found.file
    head = f"{evidence.case.name} version {evidence.case.version} on {evidence.board}"
    if file is None:
        yield f"{head}: no accepted baseline\n  next: hil baseline accept RUN --reason ..."
        return
    accepted = file.baseline.accepted
    yield f"{head} against {file.path}, accepted {accepted.at} by {accepted.by}: {accepted.reason}"
    yield f"  {put_in(evidence)}"
    shown = [change for change in found.changes if change.before != change.after]
    yield from (f"  {change.verdict:<6}  {change}" for change in shown)
    if not shown:
        yield f"  none of {len(found.changes)} figures changed"
    for result in found.results:
        yield from (f"{result.check}\n{finding}" for finding in result.findings[:_SHOWN_FINDINGS])
        if result.total > _SHOWN_FINDINGS:
            yield f"{result.check}: {number(result.total - _SHOWN_FINDINGS)} findings more"
    unjudged = sorted({result.reason for result in found.results if result.outcome is Outcome.NOT_JUDGED})
    yield from (f"  not judged: {reason}" for reason in unjudged)


def show_lines(file: BaselineFile) -> Iterator[str]:
    """A baseline as a page: what it is, what it holds, its history."""
    kept = file.baseline
    made = kept.made
    yield f"{file.path}: {kept.case} version {kept.version} on {kept.board} ({kept.target}, {kept.clock.kind})"
    yield f"  firmware   {made.firmware} image {made.firmware_sha256[:12]}, {made.compiler}"
    yield f"  kernels    {made.kernels}"
    yield f"  model      {made.model_sha256[:12]}, bundle {made.bundle_sha256[:12]}"
    yield f"  vectors    {len(kept.columns):,}, {len(kept.columns.samples):,} of them latency samples"
    yield from _figures(kept)
    memory = kept.memory
    if not memory.host:
        yield (
            f"  memory     arena {memory.arena_high_water:,} B (interpreter {memory.arena_used:,})"
            f"  stack {memory.stack_high_water:,} B  flash {memory.flash_bytes:,} B"
            f" (image {memory.image_flash_bytes:,} + bundle {memory.bundle_bytes:,})  static RAM {memory.ram_bytes:,} B"
        )
    for entry in kept.history:
        yield f"  accepted   {entry.at} by {entry.by}: {entry.reason}"
        yield from (f"             {line}" for line in entry.changes)


def _listed(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{key} {number(value)}" for key, value in figures.items())


def _figures(kept: Baseline) -> Iterator[str]:
    if kept.accuracy is not None:
        yield f"  accuracy   {number(kept.accuracy)}"
    if kept.agreement:
        yield f"  agreement  {_listed(kept.agreement)}"
    for output in kept.further_outputs:
        yield f"  output     {output.name}: {_listed(output.agreement) or 'kept, without figures of agreement'}"
    for tensor in kept.further_inputs:
        yield f"  input      {tensor.name}: digests kept"
    for stage in STAGES:
        if stage in kept.latency:
            cells = "  ".join(f"{name} {getattr(kept.latency[stage], name):>13,.0f}" for name in _POINTS)
            yield f"  {stage:<10} {cells}  {kept.clock.unit}"
    if kept.operators:
        items = ", ".join(f"{item.operator} #{item.index} {item.units:,}" for item in kept.operators)
        yield f"  operators  of {kept.operators_vector}: {items} {kept.clock.unit}"
