"""What a contract reads (`Evidence`) and what it says (`CheckResult`, `Finding`). No check lives here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hil.baseline.types import BaselineFile
from hil.case.types import Case, Limit
from hil.ledger import UNKNOWN, Ledger
from hil.records import ClockSpec, FaultReport, Hello, RunRecords
from hil.tensor import Elements

MAX_FINDINGS = 20  # findings kept per check; all are counted


@dataclass(frozen=True)
class ImageFacts:
    """The ELF under test: size in flash (code, constants, initial data), static RAM without the painted stack, both in
    bytes. `host`: built for a workstation, so that its sizes are not the product's. `own_kernels`: False when it is
    over the TFLM of 2020 and has none of the operators of our own. `optimised`: the operators that run in an optimised
    kernel, of those of the library; None when it is over the TFLM of 2020. `known`: False when no ELF was given; sizes
    are 0 then. `ledger`: the same by section and symbol, empty where that is not known.
    """

    sha256: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    host: bool = False
    own_kernels: bool = True
    optimised: frozenset[str] | None = None
    known: bool = True
    ledger: Ledger = UNKNOWN


@dataclass(frozen=True)
class InputReference:
    """Of one input; as the columns of these names in References."""

    prepared: Elements
    digest: NDArray[np.uint32]


@dataclass(frozen=True)
class OutputReference:
    """Of one output; as the columns of these names in References."""

    output: Elements
    float_output: NDArray[np.float32] | None = None
    float_chain: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class References:
    """What the answers should be. Rows of vectors that the gate must reject hold zeros.

    gate [n] GateReason; prepared [n, input elements] and output [n, output elements] in the types of the model's ends;
    digest uint32 [n].
    Of the float model, float32 [n, output elements] or None without one: float_output on the values that the prepared
    tensor stands for, float_chain on those of the raw window. Decisions: winner, score, answer, reason [n] each.
    inputs, outputs: of further tensors, as in `Record`.
    unknown: bool [n], vectors whose prepared tensor nobody knows, and what follows from it; None in a case whose stages
    are all known.
    """

    gate: NDArray[np.uint8]
    prepared: Elements
    digest: NDArray[np.uint32]
    output: Elements
    float_output: NDArray[np.float32] | None
    float_chain: NDArray[np.float32] | None
    winner: NDArray[np.int32]
    score: NDArray[np.int32]
    answer: NDArray[np.int32]
    reason: NDArray[np.uint8]
    inputs: tuple[InputReference, ...] = ()
    outputs: tuple[OutputReference, ...] = ()
    unknown: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class VectorFault:
    """A vector that brought no record: fault, reset or hang."""

    vector: int
    status: int  # Status.FAULT, RESET or HANG
    report: FaultReport


class Alone(StrEnum):
    """What a vector did when it was run by itself after a start, and then behind the window that it had met before."""

    UNKNOWN = ""  # not tried
    FIRST = "alone it repeats its first record, and behind that window it does not"
    AGAIN = "alone it does not repeat its first record either, which depends on what ran before that"
    BOTH = "alone and behind that window it repeats its first record: it depends on more than the window before"


@dataclass(frozen=True)
class ReplayDifference:
    """A run of a vector that did not repeat its first record. kind: "replay" (same vector again), "pass" (whole set
    again) or "history" (the vector in another place).

    before: what the board did just before, as in "after standing_3"; alone: what came of the vector by itself.
    """

    vector: int
    kind: str
    attempt: int
    field: str  # digest, output, decision, status, ticks
    first: str
    again: str
    before: str = ""
    alone: Alone = Alone.UNKNOWN

    @property
    def place(self) -> str:
        """As in `differs in replay 3`."""
        return f"{self.before}" if self.kind == "history" else f"in {self.kind} {self.attempt} {self.before}".rstrip()


@dataclass(frozen=True)
class BundleDifference:
    """A field of the provisioned bundle that is not the case's, and the contract that it belongs to."""

    contract: str
    field: str
    expected: str
    observed: str


class Section:
    """What one step of a session left behind, beside what all share (hil/session/step.py).

    A subclass is a frozen dataclass that stands in the contract module that reads it. Its defaults mean that the step
    did not run.
    """

    def of_output(self, place: int) -> Section:
        """What it says of one output of the model: 0 is the one that is decided on, then the others follow. Itself
        where it says nothing of single outputs.
        """
        return self


S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Evidence:
    """All that one run of one case on one board left behind. Every check reads this and nothing else."""

    case: Case
    board: str
    clock: ClockSpec
    image: ImageFacts
    bundle_bytes: int
    bundle_sha256: str  # of the bundle that was provisioned
    hello: Hello
    records: RunRecords
    references: References
    faults: tuple[VectorFault, ...] = ()
    other_canaries: int = 0  # canaries of all records outside the first pass, ORed
    bundle_differences: tuple[BundleDifference, ...] = ()
    baseline: BaselineFile | None = None  # accepted measurements of this case on this board
    sections: Mapping[type[Section], Section] = field(default_factory=dict)

    def section(self, kind: type[S]) -> S:
        """What the step of this section left behind; `kind()` when it did not run."""
        found = self.sections.get(kind)
        return found if isinstance(found, kind) else kind()

    def having(self, *sections: Section) -> Evidence:
        """The same evidence with these sections in place of its own of their types."""
        return replace(self, sections={**self.sections, **{type(section): section for section in sections}})


class Outcome(StrEnum):
    """`marginal` is a pass that asks to be looked at: close to its limit, or plainly odd. `not judged`: this board, or
    what broke before, allows no verdict; that never counts as passed. `invalid`: an instrument that this rests on was
    shown to be broken, so that it says nothing of the product: neither a pass nor a broken contract.
    """

    PASSED = "passed"
    MARGINAL = "marginal"
    FAILED = "failed"
    NOT_JUDGED = "not judged"
    INVALID = "invalid"


@dataclass(frozen=True)
class Finding:
    """One broken check, as a person reads it. `stage`: first stage that differs on this vector."""

    case: str
    vector: str  # "" when the finding is about the whole run
    contract: str
    check: str
    expected: str
    observed: str
    limit: str
    stage: str
    hint: str

    def __str__(self) -> str:
        rows = [
            ("case", self.case),
            ("vector", self.vector),
            ("contract", self.contract),
            ("check", self.check),
            ("expected", self.expected),
            ("observed", self.observed),
            ("limit", self.limit),
            ("first stage", self.stage),
            ("next", self.hint),
        ]
        return "\n".join(f"  {key:<12}{value}" for key, value in rows if value)


@dataclass(frozen=True)
class CheckResult:
    """The verdict of one check. `value` in `unit`; `numbers` holds further figures by name; `total` counts all
    findings. A marginal one says in `reason` why it asks to be looked at, and in `hint` what next; so does one that is
    not judged for want of something that the case could say.
    tensors: where it was made of each of several tensors, what it said of each, by name as in `output 'level'`.
    """

    check: str
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    total: int = 0
    value: float | None = None
    unit: str = ""
    limit: Limit | None = None
    reason: str = ""
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    hint: str = ""
    tensors: tuple[tuple[str, CheckResult], ...] = ()


@dataclass(frozen=True)
class Check:
    """A declared check. `id` is `contract.name`; `formula` is what the documentation prints.

    applies: whether the case asks for it (known before any board starts); judge: pure, reads only the evidence.
    """

    id: str
    title: str
    formula: str
    applies: Callable[[Case], bool]
    judge: Callable[[Evidence], CheckResult]

    @property
    def contract(self) -> str:
        return self.id.split(".", 1)[0]
