"""What is measured of one case on one board, and what an accepted baseline adds to it. The models are the file format.

All sizes are bytes, all times units of the clock that stands beside them, all hashes SHA-256 in hex.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, model_validator

from hil.baseline.columns import Columns, pack, pack_column, unpack, unpack_column
from hil.baseline.sizes import pack as pack_sizes
from hil.baseline.sizes import unpack as unpack_sizes
from hil.case.types import STAGES
from hil.ledger import Ledger
from hil.records import DecisionReason, GateReason, Status
from hil.tensor import Elements

SCHEMA: Final = "hil-baseline/1"


def _number(value: Any) -> Any:
    return float(value) if value in ("inf", "-inf", "nan") else value


def _text(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


# JSON has no infinities, and the SQNR of an exact output is one.
Number = Annotated[float, BeforeValidator(_number), PlainSerializer(_text)]
PackedColumns = Annotated[Columns, PlainValidator(unpack), PlainSerializer(pack)]
Digests = Annotated[
    NDArray[np.uint32],
    PlainValidator(partial(unpack_column, "digest")),
    PlainSerializer(partial(pack_column, "digest")),
]
Outputs = Annotated[
    Elements, PlainValidator(partial(unpack_column, "output")), PlainSerializer(partial(pack_column, "output"))
]
Sizes = Annotated[Ledger | None, PlainValidator(unpack_sizes), PlainSerializer(pack_sizes)]


class Part(BaseModel):
    """Unknown keys are refused and nothing is converted: only `hil baseline accept` writes the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ClockFacts(Part):
    """As `ClockSpec`, without the ticks. hz: 0 where a second means nothing on this clock."""

    kind: str
    unit: str
    hz: int
    deterministic: bool


class DecisionFacts(Part):
    """The decide stage; thresholds are raw scores."""

    stage: str
    labels: list[str]
    threshold: int
    release: int
    debounce: int
    cooldown: int
    unknown: str


class Figures(Part):
    """Nearest-rank percentiles of one stage over the n vectors that count as samples."""

    n: int
    min: int
    p50: int
    p95: int
    p99: int
    max: int
    mean: float


class MemoryFacts(Part):
    """host: the image was built for a workstation: its sizes are not the product's. A mark of 0 was not measured."""

    arena_high_water: int
    arena_used: int
    bundle_bytes: int
    host: bool
    image_flash_bytes: int
    model_bytes: int
    ram_bytes: int
    stack_high_water: int

    @property
    def flash_bytes(self) -> int:
        return self.image_flash_bytes + self.bundle_bytes


class OperatorFacts(Part):
    """What one operator of the model took on one vector."""

    index: int
    operator: str
    units: int


class Made(Part):
    """What was put in. files: those of the case, name to hash."""

    bundle_sha256: str
    compiler: str
    files: dict[str, str]
    firmware: str
    firmware_sha256: str
    flags: str
    float_model_sha256: str | None
    kernels: str
    model_sha256: str
    vectors_sha256: str


class InputFacts(Part):
    """One of several inputs; digest: as in Columns."""

    digest: Digests
    name: str


class OutputFacts(Part):
    """One of several outputs; as the fields of these names in Measurements and Columns."""

    agreement: dict[str, Number]
    agreement_chain: dict[str, Number]
    name: str
    output: Outputs


class Measurements(Part):
    """What one run measured, as far as it is compared. accuracy: None without true labels.

    agreement: figures of the agreement contract by name, those that the case allows, from the same prepared tensor;
    agreement_chain: those of the whole chain, empty in a file that was accepted before they were kept. latency: by
    stage, empty when nothing was done. further_inputs, further_outputs: of a model with several, those beside the first
    input and the output that is decided on, which the other fields are about; a file without them does not name them.
    sizes: of the image's symbols, None where the run kept no ELF.
    """

    accuracy: Number | None
    agreement: dict[str, Number]
    agreement_chain: dict[str, Number] = {}
    board: str
    case: str
    clock: ClockFacts
    columns: PackedColumns
    decision: DecisionFacts
    further_inputs: list[InputFacts] = []
    further_outputs: list[OutputFacts] = []
    latency: dict[str, Figures]
    made: Made
    memory: MemoryFacts
    operators: list[OperatorFacts]
    operators_vector: str
    sizes: Sizes = None
    target: str
    version: int

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        columns, labels = self.columns, len(self.decision.labels)
        if not set(self.latency) <= set(STAGES) or (len(columns.samples) and len(self.latency) < len(STAGES)):
            raise ValueError(f"latency: stages {', '.join(self.latency)} instead of {', '.join(STAGES)}")
        enums = {"status": Status, "gate": GateReason, "reason": DecisionReason}
        known = {name: [int(value) for value in values] for name, values in enums.items()}
        for name, values in {**known, "answer": [*range(-1, labels)]}.items():
            if not (fits := np.isin(getattr(columns, name), values)).all():
                vector = int(np.flatnonzero(~fits)[0])
                raise ValueError(f"columns.{name}: {getattr(columns, name)[vector]} of vector {vector} is none")
        further: list[tuple[str, Elements]] = [(each.name, each.digest) for each in self.further_inputs]
        for tensor, rows in (*further, *((each.name, each.output) for each in self.further_outputs)):
            if len(rows) != len(columns):
                raise ValueError(f"tensor {tensor!r}: {len(rows):,} vectors, status has {len(columns):,}")
        return self


class Acceptance(Part):
    """at: UTC, ISO 8601. changes: what was not as in the baseline before, in words."""

    at: str
    by: str
    reason: str
    changes: list[str]


class Origin(Part):
    """The run that a baseline was taken from: when it started, its seal, and the software around it."""

    board_kind: str
    hil: str
    packages: dict[str, str | None]
    python: str
    seal: str
    started: str


class Baseline(Measurements):
    """The accepted measurements of a release. history: the newest acceptance first."""

    format: Literal["hil-baseline/1"] = Field(default=SCHEMA, alias="schema")
    history: Annotated[list[Acceptance], Field(min_length=1)]
    origin: Origin

    @property
    def accepted(self) -> Acceptance:
        return self.history[0]


@dataclass(frozen=True)
class BaselineFile:
    """A baseline as it was read, with its file and the file's hash."""

    path: Path
    sha256: str
    baseline: Baseline

    def of_output(self, name: str | None) -> BaselineFile:
        """With this further output in the place of the one that is decided on, None for that one itself; without a
        column of outputs (of no elements) when the file does not have it.
        """
        kept = self.baseline
        none: dict[str, Any] = {"further_outputs": []}
        if name is None:
            return replace(self, baseline=kept.model_copy(update=none))
        found = next((each for each in kept.further_outputs if each.name == name), None)
        output = np.zeros((len(kept.columns), 0), np.int8) if found is None else found.output
        update = {
            "columns": replace(kept.columns, output=output),
            "agreement": found.agreement if found else {},
            "agreement_chain": found.agreement_chain if found else {},
        }
        return replace(self, baseline=kept.model_copy(update=none | update))
