"""Knows the memory contract: arena, flash, static RAM and stack against what the case may spend."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hil.case.types import Case, Contracts, Limit
from hil.contract.blame import done
from hil.contract.ready import asked, unlimited, unready
from hil.contract.stack_seen import StackSeen
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, number
from hil.ledger_text import largest

_GROW = "the high-water mark is measured, not reported: raise the budget or shrink the model's largest layer"

_NO_ARENA = "case.toml gives no arena_bytes"
_ON_A_TARGET = "run the case on a board of a 32-bit target, such as qemu: that run says which line to write"
_USUAL_HEADROOM = 0.10  # of the arena that is proposed to a case that asks for none
_STEP = 16  # bytes, of an arena

_LARGEST = 5  # symbols that a finding names
_PADDING = 64  # bytes that the interpreter may count for alignment and never touch


def _always(_: Case) -> bool:
    return True


def arena_high_water(evidence: Evidence) -> int:
    """Largest arena mark of the start and of all vectors, in bytes; 0 when the firmware measured none."""
    return max(evidence.hello.arena_high_water, int(evidence.records.arena_high_water.max(initial=0)))


def stack_high_water(evidence: Evidence) -> int:
    """Largest stack mark of all vectors, in bytes, or what the harness saw itself; 0 when neither measured one."""
    return max(int(evidence.records.stack_high_water.max(initial=0)), evidence.section(StackSeen).mark)


def stack_size(evidence: Evidence) -> int:
    """Size of the painted stack in bytes, from the image or else from the firmware; 0 when neither has one."""
    return evidence.image.stack_bytes or evidence.hello.stack_bytes


def _judge_arena(evidence: Evidence) -> CheckResult:
    limit, mark = evidence.case.arena_bytes, arena_high_water(evidence)
    sheet = Sheet("memory.arena", evidence, None if limit is None else Limit(maximum=limit, unit="bytes"))
    numbers = {"high_water": mark, "arena_used": evidence.hello.arena_used}
    if reason := _host(evidence):
        if limit is not None:
            return sheet.not_judged(reason, numbers)
        reason = f"{_NO_ARENA}, and {evidence.board} cannot tell what to write: its pointers have 8 bytes"
        return sheet.not_judged(reason, numbers, _ON_A_TARGET)
    if limit is not None and mark > limit:
        sheet.add(
            f"arena high-water mark <= {number(limit)} bytes",
            f"{number(mark)} bytes; the interpreter reports {number(evidence.hello.arena_used)}",
            vector=_largest(evidence, evidence.records.arena_high_water, evidence.hello.arena_high_water),
            hint=_GROW,
        )
    elif reason := _unready(evidence):
        return sheet.not_judged(reason, numbers)
    elif mark == 0:
        _not_measured(sheet, "arena")
    elif mark < evidence.hello.arena_used - _PADDING:
        sheet.add(
            f"a mark of at least what the interpreter reports, {number(evidence.hello.arena_used)} bytes",
            f"{number(mark)} bytes",
            hint="the mark is not measured truly: look at how the arena is filled and scanned",
        )
    if limit is None and not sheet.total:
        return _proposed(sheet, evidence, mark, numbers)
    return sheet.result(value=float(mark), numbers=numbers)


def _proposed(sheet: Sheet, evidence: Evidence, mark: int, numbers: dict[str, int]) -> CheckResult:
    """No verdict, and the line with which this run would have had one that holds."""
    had, contracts = evidence.hello.arena_bytes, evidence.case.contracts
    size, most = _size_leaving(mark, _headroom(contracts)), had // _STEP * _STEP
    line = f"write arena_bytes = {min(size, most)} under [budget.memory] of case.toml"
    if size <= most:
        hint = f"{line}: the {number(mark)} bytes, and {_percent(size - mark, size)} of headroom"
    else:
        hint = (
            f"{line}: all that the firmware has, of which {_percent(most - mark, most)} stays free. "
            f"The usual headroom would need {number(size)}: build it with a larger HIL_ARENA_BYTES (docs/porting.md)"
        )
    reason = f"{_NO_ARENA}; the model used {number(mark)} bytes of the {number(had)} that the firmware has"
    found = sheet.not_judged(reason, {**numbers, "proposed": min(size, most)}, hint)
    return replace(found, value=float(mark), unit="bytes")


def _headroom(contracts: Contracts) -> float:
    """The share of a proposed arena that stays free: what the case asks for, and so much that nothing is marginal."""
    asked_for, margin = contracts.arena_headroom, contracts.margin
    return max(_USUAL_HEADROOM, margin) if asked_for is None else asked_for + margin * (1 - asked_for)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _judge_arena_headroom(evidence: Evidence) -> CheckResult:
    least = evidence.case.contracts.arena_headroom
    assert least is not None  # applies() asks for it
    sheet = Sheet("memory.arena_headroom", evidence, Limit(minimum=least))
    mark, size = arena_high_water(evidence), evidence.case.arena_bytes
    if size is None:
        return sheet.not_judged(unlimited(evidence))
    if reason := _host(evidence) or _unmeasured(evidence, mark, "arena"):
        return sheet.not_judged(reason)
    share = (size - mark) / size
    if share < least:
        sheet.add(
            f"untouched share of the arena >= {number(least)}",
            f"{number(share)} ({number(size - mark)} of {number(size)} bytes)",
            vector=_largest(evidence, evidence.records.arena_high_water, evidence.hello.arena_high_water),
            hint=f"arena_bytes = {_size_for(mark, least)} would leave it",
        )
    return sheet.result(value=share, numbers={"high_water": mark, "untouched_bytes": size - mark})


def _judge_flash(evidence: Evidence) -> CheckResult:
    most = evidence.case.contracts.flash_bytes
    assert most is not None  # applies() asks for it
    image, bundle = evidence.image.flash_bytes, evidence.bundle_bytes
    parts = {"image": image, "bundle": bundle, "model": len(evidence.case.model.data)}
    return _judge_size("memory.flash", evidence, most, image + bundle, parts, "flash")


def _judge_ram(evidence: Evidence) -> CheckResult:
    most = evidence.case.contracts.ram_bytes
    assert most is not None  # applies() asks for it
    parts = {"static_arena": evidence.hello.arena_bytes}
    return _judge_size("memory.ram", evidence, most, evidence.image.ram_bytes, parts, "static RAM")


def _judge_size(check: str, evidence: Evidence, most: int, size: int, parts: dict[str, int], noun: str) -> CheckResult:
    """A size that is known without a run."""
    sheet = Sheet(check, evidence, Limit(maximum=most, unit="bytes"))
    if reason := _host(evidence) or _unknown(evidence):
        return sheet.not_judged(reason, parts)
    words = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in parts.items())
    if size > most:
        top = largest(evidence.image.ledger, _LARGEST, ram=noun != "flash")
        where = f"the largest are {top}" if top else "look at the map file, and at operators that no model uses"
        sheet.add(
            f"{noun} <= {number(most)} bytes",
            f"{number(size)} bytes ({words})",
            hint=f"{number(size - most)} bytes too many: {where}",
        )
    return sheet.result(value=float(size), numbers=parts)


def _judge_stack(evidence: Evidence) -> CheckResult:
    most, mark, size = evidence.case.contracts.stack_bytes, stack_high_water(evidence), stack_size(evidence)
    sheet = Sheet("memory.stack", evidence, Limit(maximum=size - 1 if most is None else most, unit="bytes"))
    if reason := _host(evidence) or _unready(evidence) or _no_stack(size):
        return sheet.not_judged(reason)
    if mark == 0:
        _not_measured(sheet, "stack")
    vector = _largest(evidence, evidence.records.stack_high_water, 0)
    if mark >= size:
        sheet.add(
            f"stack high-water mark below the stack's {number(size)} bytes",
            f"{number(mark)} bytes: no paint is left, so it may have overflowed",
            vector=vector,
            hint="enlarge the stack in the linker script, then measure again",
        )
    if most is not None and mark > most:
        sheet.add(
            f"stack high-water mark <= {number(most)} bytes",
            f"{number(mark)} bytes",
            vector=vector,
            hint="look for large locals and deep calls (-fstack-usage), or raise stack_bytes",
        )
    seen = evidence.section(StackSeen).told
    return sheet.result(value=float(mark), reason=seen, numbers={"high_water": mark, "stack_size": size})


def _judge_stack_headroom(evidence: Evidence) -> CheckResult:
    least = evidence.case.contracts.stack_headroom
    assert least is not None  # applies() asks for it
    sheet = Sheet("memory.stack_headroom", evidence, Limit(minimum=least))
    mark, size = stack_high_water(evidence), stack_size(evidence)
    if reason := _host(evidence) or _unmeasured(evidence, mark, "stack") or _no_stack(size):
        return sheet.not_judged(reason)
    share = (size - mark) / size
    if share < least:
        sheet.add(
            f"untouched share of the stack >= {number(least)}",
            f"{number(share)} ({number(size - mark)} of {number(size)} bytes)",
            vector=_largest(evidence, evidence.records.stack_high_water, 0),
            hint=f"a stack of {_size_for(mark, least)} bytes would leave it",
        )
    return sheet.result(value=share, numbers={"high_water": mark, "stack_size": size})


def _host(evidence: Evidence) -> str:
    """Why sizes say nothing about the product: pointers are wider here, and sanitizers pad everything."""
    return "the image is built for a workstation: needs one for the target" if evidence.image.host else ""


def _unknown(evidence: Evidence) -> str:
    """Why the sizes of the image are not known; "" when they are."""
    return "" if evidence.image.known else "no image was given, so that its sizes are not known: name its ELF"


def _unmeasured(evidence: Evidence, mark: int, what: str) -> str:
    if reason := _unready(evidence):
        return reason
    return f"the firmware gives no high-water mark: see memory.{what}" if mark == 0 else ""


def _unready(evidence: Evidence) -> str:
    return unready(evidence) or asked(done(evidence.records), evidence)


def _not_measured(sheet: Sheet, what: str) -> None:
    """No model runs without arena and stack, so a mark of 0 was never measured."""
    sheet.add(
        f"a measured high-water mark of the {what}",
        "0 bytes on every vector",
        hint="the firmware does not measure it: look at its pattern and its scan (firmware/memory)",
    )


def _no_stack(size: int) -> str:
    return "" if size else "this image has no painted stack"


def _largest(evidence: Evidence, marks: NDArray[np.int64], at_start: int) -> str:
    """The vector that reached the mark, "" when the start of the firmware already had."""
    vector = int(marks.argmax())
    return evidence.case.vectors.name(vector) if marks[vector] > at_start else ""


def _size_for(mark: int, headroom: float) -> str:
    return number(_size_leaving(mark, headroom)) if headroom < 1 else "more"


def _size_leaving(mark: int, headroom: float) -> int:
    """The smallest size in bytes, a multiple of 16, that leaves more than this headroom (a share below 1) over the
    mark, so that no rounding makes what is left less; or none, where none is asked for.
    """
    size = int(np.ceil(mark / (1 - headroom) / _STEP)) * _STEP
    return size if (size - mark) / size > headroom or not headroom else size + _STEP


def _limits(name: str, case: Case) -> bool:
    return getattr(case.contracts, name) is not None


CHECKS = (
    Check(
        "memory.arena",
        "high-water mark of the arena, at start and over all vectors",
        "max(hello.arena_high_water, record.arena_high_water) <= arena_bytes",
        _always,
        _judge_arena,
    ),
    Check(
        "memory.arena_headroom",
        "share of the arena that nothing touched",
        "(arena_bytes - high water) / arena_bytes",
        partial(_limits, "arena_headroom"),
        _judge_arena_headroom,
    ),
    Check(
        "memory.flash",
        "flash of image and bundle",
        "image flash + bundle",
        partial(_limits, "flash_bytes"),
        _judge_flash,
    ),
    Check(
        "memory.ram",
        "static RAM of the image without the painted stack, arena included",
        "image static RAM",
        partial(_limits, "ram_bytes"),
        _judge_ram,
    ),
    Check(
        "memory.stack",
        "high-water mark of the painted stack",
        "max(record.stack_high_water) < stack size, and <= stack_bytes",
        _always,
        _judge_stack,
    ),
    Check(
        "memory.stack_headroom",
        "share of the stack that nothing touched",
        "(stack size - high water) / stack size",
        partial(_limits, "stack_headroom"),
        _judge_stack_headroom,
    ),
)
