"""What a device reported: typed replies for one window, and the columns that hold a whole run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.tensor import INT8, Elements, ElementType, TensorContract


class Status(IntEnum):
    """How far a window came (`record.status` in link.cddl). 100 and above are the harness's own: no record came
    back.
    """

    DONE = 0
    REJECTED = 1
    NO_BUNDLE = 2
    PREPARE_FAILED = 3
    INVOKE_FAILED = 4
    NOT_RUN = 100
    FAULT = 101
    RESET = 102
    HANG = 103


class GateReason(IntEnum):
    """Why the validity gate rejected a window (docs/pipeline.md)."""

    VALID = 0
    LENGTH = 1
    STALE = 2
    NONFINITE = 3
    RANGE = 4
    FLAT = 5


class DecisionReason(IntEnum):
    """What the decide stage did (docs/pipeline.md)."""

    ACCEPTED = 0
    BELOW_THRESHOLD = 1
    DEBOUNCE = 2
    COOLDOWN = 3
    NO_STAGE = 4
    NOT_A_NUMBER = 5  # a score is none


@dataclass(frozen=True)
class Decision:
    """winner: label index or -1; score: its rank (hil.tensor), of an integer its raw value; answer: label index or -1
    for unknown; label: the device's text.
    """

    winner: int
    score: int
    answer: int
    reason: DecisionReason
    label: str = ""


@dataclass(frozen=True)
class CoreState:
    """The core's interrupt masks and its fault status register, read back behind a window."""

    primask: int
    basepri: int
    faultmask: int
    cfsr: int

    @property
    def masked(self) -> bool:
        """Whether anything holds interrupts back."""
        return bool(self.primask or self.basepri or self.faultmask)

    def __str__(self) -> str:
        masks = f"PRIMASK {self.primask:#x}, BASEPRI {self.basepri:#x}, FAULTMASK {self.faultmask:#x}"
        return f"{masks}, CFSR {self.cfsr:#010x}"


@dataclass(frozen=True)
class HeapState:
    """What the firmware's heap came to behind a window, in bytes; failed: allocations that got nothing. None: this
    firmware cannot tell.
    """

    used: int | None
    peak: int | None
    size: int | None
    failed: int | None


@dataclass(frozen=True)
class Prepared:
    """What a record says of one prepared tensor; fields as there."""

    digest: int
    minimum: int
    maximum: int
    saturated: int


@dataclass(frozen=True)
class Record:
    """What the device said of one window. Ticks are cumulative: board clock at the end of prepare, invoke, decide.

    minimum, maximum: ranks (hil.tensor) of the prepared tensor's elements; saturated: how many lie at an end of their
    type. received: CRC-32 of the window as the product got it; gate_ticks: board clock at the end of the gate; core:
    read back after the window; heap: what it came to then. None: this firmware, or this target, does not tell.

    Of a model with several tensors: inputs, from the second on, and outputs beside the one that is decided on.
    """

    status: Status
    gate: GateReason
    ticks: tuple[int, int, int]
    digest: int
    minimum: int
    maximum: int
    saturated: int
    output: bytes
    decision: Decision
    canaries: int
    arena_high_water: int
    stack_high_water: int
    received: int | None = None
    gate_ticks: int | None = None
    core: CoreState | None = None
    heap: HeapState | None = None
    inputs: tuple[Prepared, ...] = ()
    outputs: tuple[bytes, ...] = ()


def prepared_of(record: Record, input: int) -> Prepared:
    """What the record says of the input at this place."""
    if input == 0:
        return Prepared(record.digest, record.minimum, record.maximum, record.saturated)
    return record.inputs[input - 1] if input <= len(record.inputs) else Prepared(0, 0, 0, 0)


class Can(IntFlag):
    """What a firmware can (`can` of hello-facts, HIL_CAN_* in hil_agent.h). What needs a bit that is missing is not
    judged.
    """

    DECIDE = 1  # takes raw scores
    FETCH = 2  # gives the tensors of the last run
    TENSOR = 4  # describes further tensors
    PROFILE = 8  # times its operators
    PLAIN = 16  # takes a window the product's own way
    TEST = 32  # has self-tests
    BUNDLE = 64  # reads a bundle
    MARKS = 128  # tells canaries, and the marks of arena and stack
    HEAP = 256  # tells what its heap came to, behind each window
    MODEL = 512  # gives the bytes of the model that it runs


@dataclass(frozen=True)
class Hello:
    """The device's self-description (`hello-facts` in link.cddl)."""

    protocol: int
    firmware: str
    target: str
    compiler: str
    flags: str
    kernels: str
    operators: tuple[str, ...]  # builtin operator names
    clock: str
    clock_hz: int
    frame_bytes: int
    arena_bytes: int
    stack_bytes: int
    bundle_status: int
    bundle_detail: int
    bundle_hash: str  # hex
    model_hash: str  # hex
    case: str
    case_version: int
    labels: tuple[str, ...]
    input: TensorContract
    output: TensorContract
    arena_used: int
    arena_high_water: int
    boot: int
    can: Can
    inputs: tuple[TensorContract, ...] = ()  # further ones, as in Record
    outputs: tuple[TensorContract, ...] = ()


@dataclass(frozen=True)
class ClockSpec:
    """What a tick of this board is. `kind`: "instructions", "cycles" or "host time"; `unit`: instructions, cycles, ns.

    units = ceil(ticks * numerator / denominator); hz is units per second of the board's own time, 0 when meaningless.
    tick_hz: frequency of the ticks, which the firmware must confirm.
    deterministic: the same work always gives the same number.
    """

    kind: str
    unit: str
    numerator: int
    denominator: int
    hz: int
    deterministic: bool
    tick_hz: int = 0

    def units(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ticks to units, rounded up (under icount exact: docs/boards.md)."""
        return -((-ticks * self.numerator) // self.denominator)


@dataclass(frozen=True)
class FaultReport:
    """A fault in words and numbers, as the board's post-mortem gives it."""

    kind: str
    stage: str
    text: str  # several lines: registers, function and line, last lines of the log
    registers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedColumns:
    """Of the prepared tensors of one input: as the columns of these names in RunRecords."""

    digest: NDArray[np.uint32]  # [n]
    minimum: NDArray[np.int32]  # [n]
    maximum: NDArray[np.int32]  # [n]
    saturated: NDArray[np.int32]  # [n]

    @classmethod
    def empty(cls, n: int) -> PreparedColumns:
        return cls(np.zeros(n, np.uint32), *(np.zeros(n, np.int32) for _ in range(3)))


FURTHER = ("inputs", "outputs")  # fields of RunRecords that are columns of a tensor each


@dataclass
class RunRecords:
    """The columns of one run of one case on one board: one row a vector, in file order.

    Rows that are not DONE hold zeros in ticks, digest, minimum, maximum, saturated and output. `ticks` is cumulative,
    and minimum, maximum and score are ranks, as in `Record`. `labels` holds the device's label texts, which repeat, so
    they are kept as indices into `label_texts`. inputs, outputs: of further tensors, as in `Record`.
    """

    status: NDArray[np.uint8]  # [n]
    gate: NDArray[np.uint8]  # [n]
    ticks: NDArray[np.int64]  # [n, 3]
    digest: NDArray[np.uint32]  # [n]
    minimum: NDArray[np.int32]  # [n]
    maximum: NDArray[np.int32]  # [n]
    saturated: NDArray[np.int32]  # [n]
    output: Elements  # [n, output elements], in the type of the output tensor
    winner: NDArray[np.int32]  # [n]
    score: NDArray[np.int32]  # [n]
    answer: NDArray[np.int32]  # [n]
    reason: NDArray[np.uint8]  # [n]
    label: NDArray[np.int32]  # [n] index into label_texts, -1 when empty
    canaries: NDArray[np.uint8]  # [n]
    arena_high_water: NDArray[np.int64]  # [n]
    stack_high_water: NDArray[np.int64]  # [n]
    received: NDArray[np.int64]  # [n] CRC-32 of the window as the product got it, -1: not told
    gate_ticks: NDArray[np.int64]  # [n] board clock at the end of the gate, of refused windows too, -1: not told
    core: NDArray[np.int64]  # [n, 4] PRIMASK, BASEPRI, FAULTMASK, CFSR behind the window, -1: not told
    label_texts: list[str] = field(default_factory=list)
    inputs: tuple[PreparedColumns, ...] = ()
    outputs: tuple[Elements, ...] = ()  # [n, elements of that output] each

    @classmethod
    def empty(
        cls,
        n: int,
        output_elements: int,
        element: ElementType = INT8,
        inputs: int = 0,
        outputs: Sequence[TensorContract] = (),
    ) -> RunRecords:
        """n rows, all `NOT_RUN`. inputs, outputs: how many further ones, and which."""

        return cls(
            status=np.full(n, Status.NOT_RUN, np.uint8),
            gate=np.zeros(n, np.uint8),
            ticks=np.zeros((n, 3), np.int64),
            digest=np.zeros(n, np.uint32),
            minimum=np.zeros(n, np.int32),
            maximum=np.zeros(n, np.int32),
            saturated=np.zeros(n, np.int32),
            output=np.zeros((n, output_elements), element.dtype),
            winner=np.zeros(n, np.int32),
            score=np.zeros(n, np.int32),
            answer=np.zeros(n, np.int32),
            reason=np.zeros(n, np.uint8),
            label=np.full(n, -1, np.int32),
            canaries=np.zeros(n, np.uint8),
            arena_high_water=np.zeros(n, np.int64),
            stack_high_water=np.zeros(n, np.int64),
            received=np.full(n, -1, np.int64),
            gate_ticks=np.full(n, -1, np.int64),
            core=np.full((n, 4), -1, np.int64),
            inputs=tuple(PreparedColumns.empty(n) for _ in range(inputs)),
            outputs=tuple(np.zeros((n, each.elements), each.element.dtype) for each in outputs),
        )

    def columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array of rows with its name; of further tensors as in `digest.1`, counted from 1."""
        for item in fields(self):
            if item.name not in ("label_texts", *FURTHER):
                yield item.name, getattr(self, item.name)
        for number, columns in enumerate(self.inputs, 1):
            yield from ((f"{item.name}.{number}", getattr(columns, item.name)) for item in fields(columns))
        for number, output in enumerate(self.outputs, 1):
            yield f"output.{number}", output

    def __len__(self) -> int:
        return len(self.status)
