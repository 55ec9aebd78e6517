"""Knows a device that answers from a table, and the state of a session with it: what a step asks, and what it makes of
each answer, is tested without a board. `test_every_step_notices.py` holds the same steps to the real firmware.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from made_evidence import INSTRUCTIONS, make_hello
from native_session import imu_motion, with_vectors

from hil.board.config import SizesTable
from hil.case.types import Case
from hil.device import Device, InvokeCalls, PlainRun, Witness
from hil.link.client import LinkCounters
from hil.records import (
    ClockSpec,
    Decision,
    DecisionReason,
    FaultReport,
    GateReason,
    HeapState,
    Record,
    RunRecords,
    Status,
)
from hil.reference.compute import Stimuli, prepare_all
from hil.session import first_pass, groups
from hil.session.state import SessionState

N, REFUSED = 6, 3
SCORES = 4
REPORT = FaultReport("bus fault", "invoke", "PC 0x1234", {"pc": 0x1234})
Answer = Record | Exception | Callable[[], Record] | None


@cache
def case_of(sequence: tuple[int, ...] | None = None) -> Case:
    """Six windows, of which the gate refuses the fourth. No warm-up; one pass, no replay."""
    whole = imu_motion()
    assert whole.vectors.reject is not None
    case = with_vectors(whole, [0, 150, 300, whole.vectors.reject.index("range"), 450, 90], sequence)
    return replace(case, contracts=replace(case.contracts, warmup=0, replays=1, passes=1))


@cache
def stimuli_of(case_sequence: tuple[int, ...] | None) -> Stimuli:
    return prepare_all(case_of(case_sequence))


def record_of(vector: int) -> Record:
    """The right answer to a vector: every number is its own."""
    stack = 2000 + vector
    if vector == REFUSED:
        nothing = Decision(-1, 0, -1, DecisionReason.NO_STAGE)
        return Record(Status.REJECTED, GateReason.RANGE, (0, 0, 0), 0, 0, 0, 0, b"", nothing, 0, 6000, stack)
    output = np.full(SCORES, -100 + vector, np.int8)
    output[vector % SCORES] = 50 + vector
    decision = Decision(
        vector % SCORES, 50 + vector, vector % SCORES, DecisionReason.ACCEPTED, f"label {vector % SCORES}"
    )
    ticks = (100 + vector, 1000 + vector, 2000 + vector)
    digest = int(stimuli_of(None).digest[vector])
    return Record(
        Status.DONE, GateReason.VALID, ticks, digest, -9, 9, vector, output.tobytes(), decision, 0, 6000 + vector, stack
    )


@dataclass
class Asked:
    """One request: what is called of the device. vector: whose window it carries, -1 for another one."""

    what: str
    vector: int = -1
    fresh: bool = True
    window: bytes = b""
    sequence: int | None = None
    deadline_ticks: int = 0


@dataclass
class Scripted:
    """Answers right, but for the requests whose number from 0, restarts included, is in `script`.

    clock: of its board. tensor: what `prepared` brings.
    """

    script: dict[int, Answer] = field(default_factory=dict)
    clock: ClockSpec = INSTRUCTIONS
    tensor: bytes = b""
    other: Callable[[bytes], Record] = lambda _: record_of(REFUSED)  # to a window that is no vector's

    def __post_init__(self) -> None:
        self.asked: list[Asked] = []
        self.counters, self.invokes, self.witness = LinkCounters(), [InvokeCalls()], Witness()
        self.inferences, self.sequence = 0, 0
        self.heaps: list[list[HeapState]] = [[]]
        self.last_answered: int | None = None
        self.hello = make_hello(case_of())
        self.board = SimpleNamespace(
            clock=self.clock,
            postmortem=lambda: REPORT,
            core_registers=dict,
            request_s=0.001,
            once_per_image=False,
            resets=True,
            memory=object(),
            config=SimpleNamespace(kind="scripted", name="scripted", own_model=False, sizes=SizesTable()),
        )
        self._vectors = {case_of().vectors.payload(vector): vector for vector in range(N)}

    def run(self, window: bytes, *, fresh: bool = True, sequence: int | None = None, deadline_ticks: int = 0) -> Record:
        vector = self._vectors.get(window, -1)
        right = record_of(vector) if vector >= 0 else self.other(window)
        record: Record = self._answer(Asked("run", vector, fresh, window, sequence, deadline_ticks), right)
        return record

    def settle(self) -> None:
        """Nothing was sent twice."""

    def plain(self, window: bytes, *, fresh: bool = True) -> PlainRun | None:
        vector = self._vectors[window]
        record = self._answer(Asked("plain", vector, fresh, window), replace(record_of(vector), ticks=(0, 0, 0)))
        return None if record is None else PlainRun(record, 5000 + vector)

    def prepared(self) -> bytes:
        self._answer(Asked("prepared"), record_of(0))
        return self.tensor

    def decide(self, scores: bytes, *, fresh: bool = True) -> Decision:
        record: Record = self._answer(Asked("decide", -1, fresh, scores), record_of(0))
        return record.decision

    def restart(self) -> None:
        self.last_answered = None
        self._answer(Asked("restart"), record_of(0))

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    def vector_of(self, window: bytes) -> int:
        return self._vectors.get(window, -1)

    def asking(self, what: str, window: bytes) -> Asked:
        return Asked(what, self.vector_of(window), window=window)

    def _answer(self, asked: Asked, right: Record) -> Any:
        number = len(self.asked)
        self.asked.append(asked)
        answer = self.script.get(number, right)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        self.last_answered = number
        return answer

    def story(self) -> list[str]:
        """What was asked, as in "run 4", "run 4, not fresh" and "restart"."""
        return [_words(asked) for asked in self.asked]


def _words(asked: Asked) -> str:
    if asked.what in ("restart", "prepared"):
        return asked.what
    return f"{asked.what} {asked.vector}" + ("" if asked.fresh else ", not fresh")


def session_with(
    device: Scripted,
    sequence: tuple[int, ...] | None = None,
    *,
    lead: bool = True,
    records: RunRecords | None = None,
    told: Callable[[str, int, int], None] = lambda *_: None,
    **contracts: Any,
) -> SessionState:
    """A session with all vectors. contracts: what the case asks for otherwise than `case_of`; told: of progress."""
    case = case_of(sequence)
    case = replace(case, contracts=replace(case.contracts, **contracts))
    return SessionState(
        case=case,
        groups=groups(case),
        lead=lead,
        device=cast(Device, device),
        image=cast(Any, SimpleNamespace(sha256="ab" * 32)),
        bundle=b"",
        stimuli=stimuli_of(sequence),
        models=cast(Any, None),
        records=RunRecords.empty(N, SCORES) if records is None else records,
        deadline_ticks=777,
        progress=told,
    )


def after_first_pass(device: Scripted, sequence: tuple[int, ...] | None = None, **options: Any) -> SessionState:
    """A session whose first pass brought the right records, by a device whose script begins now."""
    run = session_with(Scripted(clock=device.clock), sequence, **options)
    first_pass.STEP.collect(run)
    run.device = cast(Device, device)
    return run


def with_changes(vector: int, **changes: Any) -> Record:
    return replace(record_of(vector), **changes)
