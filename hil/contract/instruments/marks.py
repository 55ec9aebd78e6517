"""Knows whether what the firmware says of its memory is what lies there, read by the ELF's symbols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hil.contract.ready import ended_before, refused
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, number

NO_MEMORY = "this board gives no memory"
_SIDES = {"below": 1, "above": 2}  # bits of `canaries` in a record
_PTHREAD_BYTES = 8192  # of a thread's stack on a host, taken before the firmware's part begins


@dataclass(frozen=True)
class Plant:
    """A byte that the harness wrote into a canary, and which side the firmware reported then (docs/link.md)."""

    place: str
    expected: int
    observed: int | None  # None: no record came back


@dataclass(frozen=True)
class Mark:
    """A high-water mark in bytes. read: what the harness found used in memory itself; after: what the firmware reported
    then. planted: what it must report once the harness has written into the paint, 0 when there was none; reported:
    what it did.
    """

    read: int
    after: int
    planted: int = 0
    reported: int = 0


@dataclass(frozen=True)
class Engine:
    """What the inference engine was set up with, as it lies in target memory; model_sha256: of the bytes there,
    "" when the board does not reach them.
    """

    model_address: int
    model_bytes: int
    arena_address: int
    arena_bytes: int
    model_sha256: str


@dataclass(frozen=True)
class Sizes:
    """Bytes of arena and stack by the ELF's symbols, None where it lacks them."""

    arena: int | None = None
    stack: int | None = None


@dataclass(frozen=True)
class MemoryTest(Section):
    """What the harness read and planted. blind: why it could not, "" when it could. share: bytes of the arena that the
    case's budget comes to on this target, from `arena_address` on.

    canaries: bytes of each, directly below and above the share, that are not as they must be.
    """

    tried: bool = False
    blind: str = ""
    sizes: Sizes = Sizes()
    share: int = 0
    arena_address: int = 0
    canaries: tuple[int, int] | None = None
    plants: tuple[Plant, ...] = ()
    arena: Mark | None = None
    stack: Mark | None = None
    engine: Engine | None = None


def _blind(evidence: Evidence, found: MemoryTest, what: object) -> str:
    if reason := refused(evidence):
        return reason
    if not found.tried:
        return ended_before(evidence)
    if found.blind:
        return found.blind
    return "" if what is not None else "no symbol of the image says where it lies, or the board does not reach it"


def _judge_canaries(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.canaries", evidence), evidence.section(MemoryTest)
    if reason := _blind(evidence, found, found.canaries):
        return sheet.not_judged(reason)
    # Where the product itself writes into a canary, its damage says nothing of the instrument.
    own = int(np.bitwise_or.reduce(evidence.records.canaries, initial=0)) | evidence.other_canaries
    hint = "look at where the arena's canaries are written and compared, and at the arena that the engine is given"
    for side, wrong in zip(("below", "above"), found.canaries or (), strict=True):
        if wrong and not own & _SIDES[side]:
            sheet.add(
                f"1,024 bytes of canary directly {side} the arena of {number(found.share)} bytes",
                f"{number(wrong)} of them are something else",
                hint=hint,
            )
    for plant in found.plants:
        if plant.observed is None or (plant.observed ^ plant.expected) & ~own:
            sheet.add(
                f"a byte changed {plant.place}: canary damage {plant.expected} in the next record",
                "no record came back" if plant.observed is None else f"canary damage {plant.observed}",
                hint=hint,
            )
    return sheet.result(numbers={"planted": len(found.plants)})


def _judge_mark(name: str, words: str, mark_of: Callable[[MemoryTest], Mark | None]) -> Check:
    check = f"instruments.{name}"

    def judge(evidence: Evidence) -> CheckResult:
        sheet, found = Sheet(check, evidence), evidence.section(MemoryTest)
        mark = mark_of(found)
        if (reason := _blind(evidence, found, mark)) or mark is None:
            return sheet.not_judged(reason)
        hint = f"look at how the firmware paints and measures its {words}"
        if mark.after < mark.read:
            sheet.add(
                f"at least {number(mark.read)} bytes of {words} used, as its paint shows",
                f"{number(mark.after)} bytes by the firmware",
                hint=hint,
            )
        if mark.planted and mark.reported != mark.planted:
            sheet.add(
                f"{number(mark.planted)} bytes when the harness has written into the paint",
                f"{number(mark.reported)} bytes by the firmware",
                hint=hint,
            )
        return sheet.result(numbers={"read_bytes": mark.read, "reported_bytes": mark.after})

    return Check(
        check,
        f"high-water mark of the {words}, read by the harness and planted",
        "mark >= bytes used as the paint shows; behind a word that the harness wrote into the paint: mark = what is "
        "used then",
        lambda _: True,
        judge,
    )


def _judge_symbols(evidence: Evidence) -> CheckResult:
    sheet, found = Sheet("instruments.symbols", evidence), evidence.section(MemoryTest)
    if not found.tried:
        return sheet.not_judged(_blind(evidence, found, found) or ended_before(evidence))
    if found.sizes == Sizes():
        return sheet.not_judged("the image has no symbols of arena and stack (docs/link.md)")
    hello, hint = evidence.hello, "look at what the firmware describes in its hello, and at its linker script"
    wider = 2 if evidence.image.host else 1  # pointers
    if found.sizes.arena is not None and hello.arena_bytes * wider != found.sizes.arena:
        sheet.add(
            f"an arena of {number(found.sizes.arena // wider)} bytes, by the ELF",
            f"{number(hello.arena_bytes)} bytes in its hello",
            hint=hint,
        )
    room = _PTHREAD_BYTES if evidence.image.host else 0
    if found.sizes.stack is not None and not found.sizes.stack - room <= hello.stack_bytes <= found.sizes.stack:
        sheet.add(
            f"a stack of {number(found.sizes.stack)} bytes, by the ELF",
            f"{number(hello.stack_bytes)} bytes in its hello",
            hint=hint,
        )
    return sheet.result()


CHECKS = (
    Check(
        "instruments.symbols",
        "sizes of arena and stack: the hello's against those of the ELF's symbols",
        "hello.arena_bytes = size of hil_arena - 2048; hello.stack_bytes = __hil_stack_top - __hil_stack_low",
        lambda _: True,
        _judge_symbols,
    ),
    Check(
        "instruments.canaries",
        "the arena's canaries: where they lie, and bytes that the harness changes in them",
        "1024 bytes of canary directly below and above the share of the case; canary damage in the record behind each "
        "planted byte = its side, and 0 behind the next window",
        lambda _: True,
        _judge_canaries,
    ),
    _judge_mark("arena_mark", "arena", lambda found: found.arena),
    _judge_mark("stack_mark", "stack", lambda found: found.stack),
)
