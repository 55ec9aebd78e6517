"""Knows the heap's part of the memory contract: what the firmware tells of it behind each window, and leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Limit
from hil.contract.ready import refused, unready
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, number, plural

_LEAST_WINDOWS = 30  # in a row, to tell growth from a heap that is filled once
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class HeapRun:
    """Between two starts of the firmware. used [windows]: bytes in use behind each window, in the order in which they
    ran; peak, size: the largest told, in bytes, None where they are not; failed: allocations that got nothing.
    """

    used: NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    peak: int | None = None
    size: int | None = None
    failed: int | None = None


@dataclass(frozen=True)
class HeapUse(Section):
    """What the heap came to behind all windows of a session, warm-up, replays, later passes and probes included."""

    starts: tuple[HeapRun, ...] = ()

    @property
    def told(self) -> bool:
        return any(len(start.used) or start.peak is not None for start in self.starts)

    @property
    def peak(self) -> int:
        """The most that was in use, in bytes, as far as it was told."""
        peaks = [start.peak or 0 for start in self.starts]
        return max([*peaks, *(int(start.used.max(initial=0)) for start in self.starts)], default=0)

    @property
    def size(self) -> int | None:
        return max((start.size for start in self.starts if start.size is not None), default=None)

    @property
    def failed(self) -> int | None:
        counts = [start.failed for start in self.starts if start.failed is not None]
        return sum(counts) if counts else None


def growing(used: NDArray[np.int64]) -> bool:
    """Whether what is in use grows all the time: the last third lies above the first one everywhere, and still rises.

    A heap that is filled in the first windows, and one that goes up and down, do not.
    """
    third = len(used) // 3
    first, last = used[:third], used[-third:]
    return len(used) >= _LEAST_WINDOWS and int(last.min()) > int(first.max()) and int(last[-1]) > int(last[0])


def _judge_heap(evidence: Evidence) -> CheckResult:
    most = evidence.case.contracts.heap_bytes
    sheet, heap = Sheet("memory.heap", evidence, Limit(maximum=most, unit="bytes")), evidence.section(HeapUse)
    if reason := _unready(evidence, heap):
        return sheet.not_judged(reason)
    numbers = {name: value for name in ("peak", "size", "failed") if (value := getattr(heap, name)) is not None}
    if most is not None and heap.peak > most:
        sheet.add(
            f"heap in use <= {number(most)} bytes",
            f"{number(heap.peak)} bytes at its peak",
            hint="look for what is allocated for each window, or raise heap_bytes",
        )
    if heap.failed:
        sheet.add(
            "every allocation gets its memory",
            f"{plural(heap.failed, 'allocation')} got nothing",
            hint="enlarge the heap, or allocate once, at the start",
        )
    if wrong := next((run for run in heap.starts if run.peak is not None and run.used.max(initial=0) > run.peak), None):
        sheet.add(
            "a peak of at least what is in use",
            f"a peak of {number(wrong.peak or 0)} bytes, and {number(int(wrong.used.max()))} in use",
            hint="the peak is not measured truly: look at heap in hil_product",
        )
    return sheet.result(value=float(heap.peak), numbers=numbers)


def _judge_headroom(evidence: Evidence) -> CheckResult:
    most, least = evidence.case.contracts.heap_bytes, evidence.case.contracts.heap_headroom
    assert most is not None  # applies() asks for both
    assert least is not None
    sheet, heap = Sheet("memory.heap_headroom", evidence, Limit(minimum=least)), evidence.section(HeapUse)
    if reason := _unready(evidence, heap):
        return sheet.not_judged(reason)
    share = (most - heap.peak) / most
    if share < least:
        sheet.add(
            f"share of the heap that stays free >= {number(least)}",
            f"{number(share)} ({number(most - heap.peak)} of {number(most)} bytes)",
            hint="look for what is allocated for each window, or raise heap_bytes",
        )
    return sheet.result(value=share, numbers={"peak": heap.peak})


def _judge_growth(evidence: Evidence) -> CheckResult:
    sheet, heap = Sheet("memory.heap_growth", evidence), evidence.section(HeapUse)
    if reason := _untold(evidence, heap):
        return sheet.not_judged(reason)
    longest = max((len(start.used) for start in heap.starts), default=0)
    if longest < _LEAST_WINDOWS:
        return sheet.not_judged(f"{plural(longest, 'window')} in a row: needs {_LEAST_WINDOWS} to tell a leak")
    for run in heap.starts:
        if growing(run.used):
            third = len(run.used) // 3
            grown, windows = int(run.used[-1] - run.used[third - 1]), len(run.used) - third
            sheet.add(
                "a heap that stops growing once it is filled",
                f"{number(int(run.used[third - 1]))} bytes in use behind window {third:,}, "
                f"{number(int(run.used[-1]))} behind window {len(run.used):,}: "
                f"{number(round(grown / windows, 2))} bytes a window{_lasts(run, grown / windows)}",
                hint="something that a window allocates is never freed: look at what each stage allocates",
            )
            break
    return sheet.result(numbers={"windows": longest})


def _lasts(run: HeapRun, rate: float) -> str:
    """How many windows are left, where the size of the heap is told."""
    if run.size is None or rate <= 0:
        return ""
    return f"; used up in {number(max(0, int((run.size - int(run.used[-1])) / rate)))} more"


def _unready(evidence: Evidence, heap: HeapUse) -> str:
    host = "the image is built for a workstation: needs one for the target" if evidence.image.host else ""
    return _untold(evidence, heap) or host


def _untold(evidence: Evidence, heap: HeapUse) -> str:
    if reason := refused(evidence):
        return reason
    return "" if heap.told else unready(evidence) or "the firmware told nothing of its heap behind any window"


def _limited(*names: str) -> Callable[[Case], bool]:
    return lambda case: all(getattr(case.contracts, name) is not None for name in names)


CHECKS = (
    Check(
        "memory.heap",
        "the most that the heap had in use, and allocations that got nothing",
        "max(record.heap.peak, record.heap.used) <= heap_bytes, record.heap.failed = 0",
        _limited("heap_bytes"),
        _judge_heap,
    ),
    Check(
        "memory.heap_headroom",
        "share of the heap that was never in use",
        "(heap_bytes - peak) / heap_bytes",
        _limited("heap_bytes", "heap_headroom"),
        _judge_headroom,
    ),
    Check(
        "memory.heap_growth",
        "a heap that grows from window to window",
        "not (min of the last third of windows > max of the first third, and the last one > the first of its third)",
        _limited("heap_bytes"),
        _judge_growth,
    ),
)
