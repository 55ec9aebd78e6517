"""The compact table that a run leaves on the terminal, and the progress line of long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Self

from hil.contract.types import CheckResult, Evidence, Outcome
from hil.report.run_json import CaseReport

_EVERY_S = 0.2
_STATISTICS = ("p50", "p95", "p99", "max")


def case_table(report: CaseReport) -> Iterator[str]:
    """Lines for one case: verdict, one row per contract, latency and memory figures with their units."""
    case = report.case
    board = f" on {report.evidence.board}" if report.evidence else ""
    size = f"{len(case.vectors):,} vectors, {report.seconds:.1f} s"
    yield f"{case.name} version {case.version}{board}: {report.verdict.upper()} ({size})"
    if report.error:
        yield from (f"  {line}" for line in report.error.splitlines())
        return
    for contract, group in groupby(report.results, lambda result: result.check.split(".", 1)[0]):
        yield _contract_row(contract, list(group))
    if report.evidence is not None:
        yield from _figures(report.evidence)


def _contract_row(contract: str, results: list[CheckResult]) -> str:
    count = {outcome: sum(result.outcome == outcome for result in results) for outcome in Outcome}
    row = f"  {contract:<10} {count[Outcome.PASSED]:>3} passed"
    if count[Outcome.FAILED]:
        names = ", ".join(_short(result) for result in results if result.outcome == Outcome.FAILED)
        row += f", {count[Outcome.FAILED]} FAILED: {names}"
    if count[Outcome.NOT_JUDGED]:
        names = ", ".join(_short(result) for result in results if result.outcome == Outcome.NOT_JUDGED)
        row += f", {count[Outcome.NOT_JUDGED]} not judged here: {names}"
    return row


def _short(result: CheckResult) -> str:
    return result.check.split(".", 1)[1]


def _figures(evidence: Evidence) -> Iterator[str]:
    # Imported here: the table is printed once, scipy behind the statistics is slow to load.
    from hil.contract.latency import latency_summary

    summary = latency_summary(evidence)
    for stage, numbers in summary["stages"].items():
        cells = "  ".join(f"{name} {numbers[name]:>13,.0f}" for name in _STATISTICS)
        yield f"  {stage:<10} {cells}  {summary['unit']}"
    if not evidence.clock.deterministic:
        yield f"  ({evidence.clock.kind}: for information, no limit is judged on it)"
    if not evidence.image.host:
        yield _memory_row(evidence)


def _memory_row(evidence: Evidence) -> str:
    records = evidence.records
    arena = max(int(records.arena_high_water.max(initial=0)), evidence.hello.arena_high_water)
    stack = int(records.stack_high_water.max(initial=0))
    flash = evidence.image.flash_bytes + evidence.bundle_bytes
    return (
        f"  memory     arena {arena:,} of {evidence.case.arena_bytes:,} B"
        f"  stack {stack:,} of {evidence.hello.stack_bytes:,} B"
        f"  flash {flash:,} B (image {evidence.image.flash_bytes:,} + bundle {evidence.bundle_bytes:,})"
        f"  static RAM {evidence.image.ram_bytes:,} B"
    )


class ProgressLine:
    """One line that overwrites itself; `write` puts text on the terminal, and is None when there is none."""

    def __init__(self, write: Callable[[str], None] | None, title: str) -> None:
        self._write, self._title = write, title
        self._next = time.monotonic() + _EVERY_S
        self._width = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Called for every step; prints a few times a second at most."""
        now = time.monotonic()
        if self._write is None or now < self._next:
            return
        self._next = now + _EVERY_S
        amount = f" {done:,} of {total:,}" if total else f" {done:,}"
        self._show(f"{self._title}: {what}{amount}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away again."""
        if self._write is not None and self._width:
            self._show("")
            self._write("\r")
            self._width = 0

    def _show(self, text: str) -> None:
        assert self._write is not None
        self._write("\r" + text.ljust(self._width))
        self._width = max(self._width, len(text))
