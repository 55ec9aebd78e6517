"""Reads a `run.json` and the records beside it (docs/run-json.md): the one place that knows its keys.

The models are the schema: `docs/run.schema.json` is made from them, and everything that reads a run reads it through
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hil.errors import UsageError
from hil.records import DecisionReason, GateReason, Status
from hil.tensor import OUTPUT_TYPES
from hil.validation import explain

SCHEMA = "hil-run/1"
RUN_FILE = "run.json"
FIX = "  fix: give the run.json of a run, or its folder"
Columns = dict[str, NDArray[Any]]
ENUMS = {"status": Status, "gate": GateReason, "reason": DecisionReason}  # columns that hold a number of these
_TEXTS = ("name", "label_texts")
_PLAIN = ("status", "gate", "digest", "minimum", "maximum", "saturated", "winner", "score", "answer", "reason", "label")
_DIMENSIONS = {**dict.fromkeys(_PLAIN, 1), "output": 2, **dict.fromkeys(_TEXTS, 1)}


class Part(BaseModel):
    """Unknown keys are left alone: a later version may add some (docs/run-json.md)."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Clock(Part):
    """hz: null where a second means nothing on this clock."""

    kind: str
    unit: str
    hz: int | None
    deterministic: bool


class Board(Part):
    name: str
    kind: str
    target: str
    clock: Clock | None


class Limit(Part):
    minimum: float | None
    maximum: float | None
    unit: str


class Finding(Part):
    case: str
    vector: str
    contract: str
    check: str
    expected: str
    observed: str
    limit: str
    stage: str
    hint: str


class Quarantine(Part):
    """A check that is known to fail; `expires` is the last day (ISO 8601) on which that is accepted."""

    reason: str
    issue: str
    expires: str


CheckOutcome = Literal["passed", "marginal", "failed", "not judged", "invalid"]


class TensorCheck(Part):
    """What a check said of one of several tensors; name: as in `output 'level'`."""

    name: str
    outcome: CheckOutcome
    value: float | None
    unit: str
    limit: Limit | None
    reason: str
    findings_total: int


class Check(Part):
    """outcome `marginal` is a pass that asks to be looked at: `reason` says why, `hint` what next; `not judged` has a
    `hint` when the case could say what is missing. A failed check with a `quarantine` does not fail its case.
    `invalid`: what it was measured with is broken. tensors: of a check that was made of each of several.
    """

    id: str
    outcome: CheckOutcome
    value: float | None
    unit: str
    limit: Limit | None
    reason: str
    numbers: dict[str, float | int | str | None]
    findings_total: int
    findings: list[Finding]
    quarantine: Quarantine | None = None
    hint: str = ""
    tensors: list[TensorCheck] = []

    @property
    def contract(self) -> str:
        return self.id.split(".", 1)[0]


class CaseManifest(Part):
    files: dict[str, str]
    locked: bool
    model_sha256: str
    float_model_sha256: str | None
    source: str


class Image(Part):
    sha256: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


class Bundle(Part):
    sha256: str
    bytes: int


class Tensor(Part):
    """name: as the model has it; "" of the only input or output."""

    name: str = ""
    type: str
    shape: list[int]
    scale: float
    zero_point: int
    bytes: int

    @property
    def quantisation(self) -> str:
        """In words."""
        return f"scale {self.scale:.9g}, zero point {self.zero_point}" if self.scale else "not quantised"


class Device(Part):
    """What the firmware said of itself; further keys are `hello-facts` in firmware/link/link.cddl."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    firmware: str
    target: str
    compiler: str
    flags: str
    kernels: str
    operators: list[str]
    input: Tensor
    output: Tensor
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor with what reports call it."""
        for side, first, further in (("input", self.input, self.inputs), ("output", self.output, self.outputs)):
            yield from ((f"{side} tensor {each.name}".rstrip(), each) for each in (first, *further))


class StageFigures(Part):
    """Over distinct vectors, in the unit of the clock."""

    n: int
    min: int
    p50: int
    p95: int
    p99: int
    max: int
    mean: float


class Latency(Part):
    unit: str
    stages: dict[str, StageFigures]


class Heap(Part):
    """What the firmware told of its heap: bytes, a count of allocations that got nothing, null where it does not know.
    windows: behind how many in a row, at most.
    """

    peak: int
    size: int | None
    failed: int | None
    windows: int


class Memory(Part):
    """All in bytes. arena_bytes: the case's budget, null when it gives none and the model got all of the firmware's
    arena. host: built for a workstation: sizes are not the product's.
    """

    arena_used: int
    arena_high_water: int
    arena_bytes: int | None
    stack_high_water: int
    stack_bytes: int
    flash_bytes: int
    image_flash_bytes: int
    bundle_bytes: int
    model_bytes: int
    ram_bytes: int
    host: bool
    heap: Heap | None = None

    @property
    def arena(self) -> str:
        """As in `3,600 of 4,096 B`."""
        budget = " B, no budget" if self.arena_bytes is None else f" of {self.arena_bytes:,} B"
        return f"{self.arena_high_water:,}{budget}"


class SectionSizes(Part):
    """One section of the image; memory: which one it lies in; counted: whether it is in the sums of `Memory`."""

    name: str
    address: int
    memory: str
    flash: int
    ram: int
    counted: bool


class GroupSizes(Part):
    name: str
    flash: int
    ram: int


class SymbolSizes(Part):
    """file: of a static one, "" where the image does not tell."""

    name: str
    file: str
    group: str
    flash: int
    ram: int


class Sizes(Part):
    """What the image takes, in bytes: all sections, sums by purpose, and the largest symbols. stripped: it has no
    symbol table. uncovered: bytes up to the top of the stack that lie in no section, 0 where symbols do not tell.
    """

    stripped: bool
    uncovered: int
    sections: list[SectionSizes]
    groups: list[GroupSizes]
    symbols: list[SymbolSizes]


class Operator(Part):
    """Units of the clock that one operator of the model took on one vector."""

    index: int
    operator: str
    units: int


class Change(Part):
    what: str
    unit: str
    before: float | None
    after: float | None
    change_percent: float | None
    verdict: Literal["better", "same", "worse", "info"]


class BaselineFacts(Part):
    """The accepted measurements that this run was held against, and what is not as it was."""

    file: str
    sha256: str
    board: str
    case_version: int
    accepted_at: str
    accepted_by: str
    reason: str
    firmware_sha256: str
    model_sha256: str
    changes: list[Change]


class DecisionFacts(Part):
    labels: list[str]
    threshold: float | None  # None: the decide stage is the product's own
    unknown: str


class Answered(Part):
    """How one side answers labelled vectors. recall: by label, null where no vector has it. accepted: vectors that got
    a label; wrongly_accepted: not their own; unknown: none.
    """

    accuracy: float
    recall: list[float | None]
    accepted: int
    wrongly_accepted: int
    unknown: int


class AnswerGap(Part):
    """What each step changes of the accuracy, from the float model on the raw window to the device; lost: below 0."""

    input: float
    quantisation: float
    device: float


class Answers(Part):
    """All sides over the same labelled vectors, each window decided alone: the float model on the raw window and on the
    prepared tensor (null without one), the simulated int8 model, the device.
    """

    vectors: int
    labelled: list[int]
    float_chain: Answered | None
    float_tensor: Answered | None
    int8: Answered
    device: Answered
    gap: AnswerGap | None


class Fault(Part):
    vector: int
    kind: str
    stage: str
    text: str


class Link(Part):
    repeats: int
    damaged: int
    ignored: int


class Case(Part):
    """One case of a run. Keys of the evidence are null when the bench broke, and when the case was refused before it
    ran: `error` says how. A refused case that could not be read has the version 0.

    title: the name, with the path behind it where another case of the run has the same; "" in runs of older versions.
    devices: of a pool, the one that ran each share of the case; empty without a pool.
    """

    name: str
    title: str = ""
    version: int
    path: str
    verdict: Literal["passed", "marginal", "failed", "invalid", "error", "not judged"]
    error: str
    refused: bool = False
    host_seconds: float
    vectors: int
    inferences: int
    manifest: CaseManifest
    decision: DecisionFacts | None
    checks: list[Check]
    records: str
    records_sha256: str
    log: str
    devices: list[str] = []
    image: Image | None = None
    bundle: Bundle | None = None
    device: Device | None = None
    latency: Latency | None = None
    memory: Memory | None = None
    sizes: Sizes | None = None
    operators: list[Operator] = []
    operators_vector: str = ""
    baseline: BaselineFacts | None = None
    answers: Answers | None = None
    faults: list[Fault] = []
    link: Link | None = None

    @property
    def what_happened(self) -> str:
        """How `error` is introduced."""
        return "the case was refused" if self.refused else "the bench broke"

    @property
    def called(self) -> str:
        """What tells it from every other case of its run."""
        return self.title or self.name

    @property
    def is_twin(self) -> bool:
        """Whether another case of its run has the same name."""
        return self.called != self.name

    def check(self, name: str) -> Check | None:
        """The check of that id, None when the case does not ask for it."""
        return next((check for check in self.checks if check.id == name), None)


class SourceFacts(Part):
    """What git said of the checkout that the image was built from. changed: something in it was not committed."""

    commit: str
    changed: bool


class Firmware(Part):
    """Where the image came from. given: it was named and not built; kept: its ELF in the folder of the run, "" when it
    is not there, as it is of an image that was given.
    """

    given: bool
    kept: str


class RunManifest(Part):
    """source: null when the image was named and not built, or git could not tell. firmware: null in older runs."""

    hil: str
    python: str
    host: str
    packages: dict[str, str | None]
    source: SourceFacts | None = None
    firmware: Firmware | None = None


class Document(Part):
    """A whole run.json, schema `hil-run/1`. lost_workers: those that ended before their time; others took up their
    cases.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, title=SCHEMA)

    format: Literal["hil-run/1"] = Field(alias="schema")
    verdict: Literal["passed", "marginal", "failed", "invalid", "error", "interrupted", "nothing judged"]
    started: str
    host_seconds: float
    workers: int
    lost_workers: list[str] = []
    board: Board
    manifest: RunManifest
    cases: list[Case]
    seal: str


@dataclass(frozen=True)
class Run:
    """One run.json, read and checked, and the folder that its other files lie in."""

    file: Path
    document: Document
    sealed: bool  # the text is the one that the run wrote

    @property
    def folder(self) -> Path:
        return self.file.parent

    def case(self, name: str) -> Case:
        """The case of that name or title. Raises UsageError when the run has none, or two."""
        found = [case for case in self.document.cases if name in (case.name, case.called)]
        if not found:
            names = ", ".join(case.called for case in self.document.cases) or "none"
            problem = f"has no case {name!r}, only: {names}"
            raise UsageError(f"{self.file}: {problem}\n  fix: name a case of this run, or run that one")
        if len(found) > 1:
            names = " or ".join(f'"{case.called}"' for case in found)
            raise UsageError(f"{self.file}: has {len(found)} cases named {name!r}\n  fix: say which: {names}")
        return found[0]

    def records(self, case: Case) -> Columns:
        """The columns of one case's records. Raises UsageError when they are not there, damaged, or not this run's."""
        if not case.records:
            raise UsageError(f"{self.file}: case {case.called} left no records: {case.error}\n  fix: run it again")
        return read_records(self.folder / case.records, case.records_sha256)


def read_run(path: Path) -> Run:
    """A run.json, or the one in the folder `path`. Raises UsageError that names the file and the key.

    A text that was changed since the run wrote it is read nevertheless: `Run.sealed` is False then.
    """
    file, document = read_document(path)
    try:
        return Run(file, Document.model_validate(document), seal(document) == document.get("seal"))
    except ValidationError as error:
        raise UsageError(f"{file}: {explain(error, Document)}\n{FIX}") from error


def read_document(path: Path) -> tuple[Path, dict[str, Any]]:
    """File and JSON of a run.json of this schema, its keys not yet checked. Raises UsageError."""
    file = path / RUN_FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file}: {error}\n{FIX}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"{file}: schema: {schema!r} is not {SCHEMA!r}\n{FIX}")
    return file, document


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the document without its own seal, as JSON with sorted keys and no spaces."""
    content = {key: value for key, value in document.items() if key != "seal"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_records(file: Path, sha256: str = "") -> Columns:
    """Records as a run wrote them, one array a column; `label` holds texts. sha256: refuse any other file.

    Raises UsageError that names the file and the column.
    """
    # What a damaged archive makes of zipfile, zlib and numpy is nearly any exception.
    try:
        if sha256 and hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            raise ValueError("its SHA-256 is not the one in run.json")
        columns = _load(file)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{file}: not the records of a run ({reason})\n  fix: give a run.json with its .npz files beside it"
        ) from error
    for key in _DIMENSIONS:
        if problem := _problem(key, columns):
            raise UsageError(f"{file}: {key}: {problem}\n  fix: take the file as the run wrote it, or run it again")
    texts = np.array([*columns.pop("label_texts").tolist(), ""], np.str_)  # index -1: no label
    columns["label"] = texts[columns["label"]]
    return columns


def _load(file: Path) -> Columns:
    with file.open("rb") as stream, np.load(stream) as stored:
        columns = {column: np.asarray(stored[column]) for column in stored.files}
    missing = _DIMENSIONS.keys() - columns
    if missing:
        raise KeyError(", ".join(sorted(missing)))
    for name in _TEXTS:
        columns[name].tolist()  # raises for what is no Unicode
    return columns


def _problem(key: str, columns: Columns) -> str:
    """What is wrong with one column, "" when nothing is. `status` comes first: it says how many vectors there are."""
    column, dimensions = columns[key], _DIMENSIONS[key]
    if key == "output" and column.dtype not in [element.dtype for element in OUTPUT_TYPES]:
        return f"{column.dtype} is no type of an output"
    if key != "output" and column.dtype.kind not in ("U" if key in _TEXTS else "iu"):
        return f"{column.dtype} is no type of {'text' if key in _TEXTS else 'whole numbers'}"
    if column.ndim != dimensions:
        return f"has {column.ndim} dimensions instead of {dimensions}"
    if key == "label_texts":
        return ""
    vectors = len(columns["status"])
    if len(column) != vectors or not vectors:
        return f"has {len(column):,} vectors, status has {vectors:,}" if vectors else "has no vectors"
    known = range(-1, columns["label_texts"].size) if key == "label" else [int(value) for value in ENUMS.get(key, ())]
    if known and not (fits := np.isin(column, known)).all():
        at = int(np.flatnonzero(~fits)[0])
        return f"{column[at]} of vector {at} is no known {key}"
    return ""
