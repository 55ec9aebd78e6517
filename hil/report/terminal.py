"""The compact table that a run leaves on the terminal, and the progress line of long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Self

from hil.report import comparison, tensors
from hil.runfile import Board, Case, Check, Document, Latency, Link, Memory
from hil.verdict import HELD, MARGINAL

_EVERY_S = 0.2
_STATISTICS = ("p50", "p95", "p99", "max")


def run_notes(document: Document) -> Iterator[str]:
    """What is wrong with the run as a whole, and stands in no case."""
    if document.lost_workers:
        lost = ", ".join(document.lost_workers)
        yield f"the run broke: workers that ended before their time: {lost}; others took up their cases"


def case_table(case: Case, board: Board) -> Iterator[str]:
    """Lines for one case: verdict, what to look at, one row per contract, float model, int8 and device, latency and
    memory figures with their units.
    """
    size = f"{case.vectors:,} vectors, {case.host_seconds:.1f} s"
    ask = ": look at this" if case.verdict == MARGINAL else ""
    yield f"{case.called} version {case.version} on {board.name}: {case.verdict.upper()}{ask} ({size})"
    if case.error:
        yield from (f"  {line}" for line in case.error.splitlines())
        return
    yield from _asking_rows(case)
    for contract, group in groupby(case.checks, lambda check: check.contract):
        yield _contract_row(contract, list(group))
    yield from tensors.lines(case)
    yield from comparison.lines(case)
    if case.latency is not None:
        yield from _latency_rows(case.latency, board)
    if case.memory is not None and not case.memory.host:
        yield _memory_row(case.memory)
    if case.link is not None and (case.link.repeats or case.verdict != "passed"):
        yield from _link_row(case.link)


def _asking_rows(case: Case) -> Iterator[str]:
    """What asks to be looked at, or to be said by the case, with its figure and the next step."""
    for check in case.checks:
        if check.outcome == MARGINAL or (check.outcome == "not judged" and check.hint):
            yield f"  {check.id}: {check.reason}"
            if check.hint:
                yield f"    next: {check.hint}"


def _contract_row(contract: str, checks: list[Check]) -> str:
    held = [check for check in checks if check.outcome in HELD]
    parts = [f"{len(held):>3} passed"]
    for title, listed in (
        ("marginal", [check for check in held if check.outcome == "marginal"]),
        ("FAILED", [check for check in checks if check.outcome == "failed" and not check.quarantine]),
        ("failed in quarantine", [check for check in checks if check.outcome == "failed" and check.quarantine]),
        ("INVALID", [check for check in checks if check.outcome == "invalid"]),
        ("not judged here", [check for check in checks if check.outcome == "not judged"]),
    ):
        if listed:
            parts.append(f"{len(listed)} {title}: {', '.join(check.id.split('.', 1)[1] for check in listed)}")
    return f"  {contract:<11} {', '.join(parts)}"


def _latency_rows(latency: Latency, board: Board) -> Iterator[str]:
    for stage, figures in latency.stages.items():
        cells = "  ".join(f"{name} {getattr(figures, name):>13,}" for name in _STATISTICS)
        yield f"  {stage:<11} {cells}  {latency.unit}"
    if board.clock is not None and board.clock.kind == "host time":
        yield f"  ({board.clock.kind}: for information, no limit is judged on it)"


def _memory_row(memory: Memory) -> str:
    return (
        f"  memory      arena {memory.arena}"
        f"  stack {memory.stack_high_water:,} of {memory.stack_bytes:,} B"
        f"  flash {memory.flash_bytes:,} B (image {memory.image_flash_bytes:,} + bundle {memory.bundle_bytes:,})"
        f"  static RAM {memory.ram_bytes:,} B"
    )


def _link_row(link: Link) -> Iterator[str]:
    """What the link mended: it may be why a check failed, and each repeat is why the run took longer."""
    parts = (
        ("requests repeated", link.repeats, ", each after half a second or more without a reply"),
        ("damaged frames dropped", link.damaged, ""),
        ("replies to other requests ignored", link.ignored, ""),
    )
    words = "; ".join(f"{what} {count:,}{more}" for what, count, more in parts if count)
    if words:
        yield f"  link       {words}"


class ProgressLine:
    """One line that overwrites itself; `write` puts text on the terminal, and is None when there is none.

    check: called at every step; what it raises ends the work.
    """

    def __init__(
        self, write: Callable[[str], None] | None, title: str, check: Callable[[], None] = lambda: None
    ) -> None:
        self._write, self._title, self._check = write, title, check
        self._next = time.monotonic() + _EVERY_S
        self._width = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Called for every step; prints a few times a second at most."""
        self._check()
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
