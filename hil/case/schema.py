"""The words of a case.toml: which tables and keys there are, of which type, in which range (docs/case-format.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

U32_MAX = 2**32 - 1
MAX_LABELS = 64  # link.cddl, bundle-meta
MAX_CHANNELS = 32  # link.cddl, prepare-part
# A slip of the keyboard must not start a run of days. No product debounces over more windows, and more repetitions
# show nothing new.
MAX_WINDOWS = 1000  # debounce, cooldown
MAX_REPLAYS = 1000
MAX_PASSES = 10_000  # a soak test may want many
MAX_WARMUP = 100
NAME = r"[A-Za-z0-9_-]{1,63}"  # of a case: it names files and columns
MAX_STEPS = 65_534  # of an output, LSB or ULP: the largest distance of an int16 that is none at all has one more
MAX_SOAK = 100_000_000  # years, but on a physical board

Count = Annotated[int, Field(ge=1, le=U32_MAX)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Distance = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0, le=U32_MAX)]
Text = Annotated[str, Field(min_length=1)]
# Kinds of the sanity contract (docs/contracts.md).
Oddity = Literal["identical_windows", "saturated_input", "constant_output", "chance_accuracy", "unanswered_class"]
OddityOfInput = Literal["saturated_input"]
OddityOfOutput = Literal["constant_output"]


def _one_or_list(value: Any) -> str:
    return "(list)" if isinstance(value, list | tuple) else "(one)"


Many = Tag("(list)")  # in brackets, so that error places can tell a tag from a key
One = Tag("(one)")
Numbers = Annotated[
    Annotated[float, One] | Annotated[tuple[float, ...], Field(strict=False, min_length=1), Many],
    Discriminator(_one_or_list),
]
Wholes = Annotated[
    Annotated[int, One] | Annotated[tuple[int, ...], Field(strict=False, min_length=1), Many],
    Discriminator(_one_or_list),
]


def _one_or_table(value: Any) -> str:
    return "(table)" if isinstance(value, dict) else "(one)"


State = Annotated[
    Annotated[bool, One] | Annotated[dict[str, Text], Tag("(table)")],
    Discriminator(_one_or_table),
]


class Table(BaseModel):
    """A TOML table: unknown keys are refused, values are not converted (no "5" for 5), no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class CaseTable(Table):
    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    version: Count
    source: Text


class ModelTable(Table):
    int8: Text
    float_: Annotated[str | None, Field(alias="float", min_length=1)] = None
    all_float: bool = False
    state: State | None = None


class GateTable(Table):
    minimum: float | None = None
    maximum: float | None = None
    min_span: Annotated[float, Field(ge=0)] = 0.0


Stage = Literal["tensor/1", "scale/1", "quantize/1"]
StageOrOwn = Literal["tensor/1", "scale/1", "quantize/1", "own"]  # one literal, for its messages
WindowType = Literal["int8", "uint8", "int16", "float32"]


class WindowTable(Table):
    window: Count | None = None
    channels: Count | None = None
    full_scale: Numbers | None = None
    offset: Wholes | None = None
    source_channels: Annotated[tuple[int, ...] | None, Field(strict=False, min_length=1)] = None
    gate: GateTable = GateTable()


class InputTensorTable(WindowTable):
    """What one of several inputs has of its own."""

    prepare: Stage | None = None


class InputTable(WindowTable):
    vectors: Text = "vectors.npz"
    rate_hz: Positive | None = None
    prepare: StageOrOwn
    dtype: WindowType | None = None
    reference: Text | None = None
    tensors: dict[str, InputTensorTable] = {}

    def of(self, name: str) -> InputTable:
        """The table as it holds for the input tensor of this name. A stage of its own takes no parameters from here."""
        own = self.tensors.get(name)
        if own is None:
            return self
        none = {key: None for key in WindowTable.model_fields if key != "gate" and own.prepare is not None}
        return self.model_copy(update={**none, **{key: getattr(own, key) for key in own.model_fields_set}})


class DecisionTable(Table):
    decide: Literal["argmax/1", "own"] = "argmax/1"
    labels: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=MAX_LABELS)]
    threshold: float | None = None
    release: float | None = None
    debounce: Annotated[int, Field(ge=1, le=MAX_WINDOWS)] = 1
    cooldown: Annotated[int, Field(ge=0, le=MAX_WINDOWS)] = 0
    unknown: Text = "unknown"
    output: Text | int | None = None


_LEAST = Field(description="the smallest value that holds")
_MOST = Field(description="the largest value that holds")


class Bounds(Table):
    """`min`, `max` or both, inclusive."""

    min: Annotated[float | None, _LEAST] = None
    max: Annotated[float | None, _MOST] = None


class TopK(Bounds):
    k: Annotated[int, Field(ge=1, description="how many of the best classes count")] = 3


class Flips(Bounds):
    min: Annotated[int | None, Field(ge=0), _LEAST] = None
    max: Annotated[int | None, Field(ge=0), _MOST] = None
    band: Annotated[float, Field(ge=0, description="a score this near to the threshold may fall on either side")] = 0.05


class InputContract(Table):
    saturation: Bounds | None = None
    prepared_lsb: Annotated[int | None, Field(ge=0, le=MAX_STEPS)] = None
    prepared_tolerance: Annotated[float | None, Field(gt=0)] = None


class DeadlineTable(Table):
    instructions: Count | None = None
    ms: Count | None = None


class LsbOf(Table):
    """An own budget for one set of kernels; the keys are the engines of hil.image.tflm."""

    of_2020: Annotated[int | None, Field(alias="2020", ge=0, le=MAX_STEPS, description="with TFLM of 2020")] = None
    upstream: Annotated[int | None, Field(ge=0, le=MAX_STEPS, description="with today's TFLM")] = None


class OutputBudget(Table):
    """What an output may be off by."""

    lsb: Annotated[int | None, Field(ge=0, le=MAX_STEPS)] = None
    lsb_of: LsbOf = LsbOf()
    ulp: Annotated[int | None, Field(ge=0, le=MAX_STEPS)] = None
    tolerance: Annotated[float | None, Field(gt=0)] = None


class ExecutionContract(OutputBudget):
    """outputs: what one of several has of its own, by its name; so in the next two."""

    outputs: dict[str, OutputBudget] = {}
    reference_kernels: list[str] | None = None
    replays: Annotated[int, Field(ge=1, le=MAX_REPLAYS)] = 10
    passes: Annotated[int, Field(ge=1, le=MAX_PASSES)] = 2
    deadline: DeadlineTable = DeadlineTable()


class DecisionContract(Table):
    accuracy: Bounds | None = None
    score_tolerance: Annotated[float | None, Field(gt=0)] = None


class OutputAgreement(Table):
    """Of any output; the other figures are about the one that is decided on."""

    cosine: Bounds | None = None
    sqnr_db: Bounds | None = None
    max_abs_error: Bounds | None = None
    spearman: Bounds | None = None


class AgreementContract(Table):
    top1: Bounds | None = None
    topk: TopK | None = None
    cosine: Bounds | None = None
    sqnr_db: Bounds | None = None
    max_abs_error: Bounds | None = None
    spearman: Bounds | None = None
    flips: Flips | None = None
    outputs: dict[str, OutputAgreement] = {}


class LatencyContract(Table):
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    warmup: Annotated[int, Field(ge=0, le=MAX_WARMUP)] = 1


class CoverageContract(Table):
    range: Bounds | None = None
    clamps: Bounds | None = None


class SoakContract(Table):
    windows: Annotated[int, Field(ge=0, le=MAX_SOAK)] = 0
    slow: Annotated[float, Field(gt=0)] = 0.1


class AgreementTolerance(Table):
    top1: Distance = 0.0
    topk: Distance = 0.0
    cosine: Distance = 0.0
    sqnr_db: Distance = 0.0
    max_abs_error: Distance = 0.0
    spearman: Distance = 0.0
    flips: Distance = 0.0


class OutputAgreementTolerance(Table):
    """Of any output; the other figures are about the one that is decided on."""

    cosine: Distance | None = None
    sqnr_db: Distance | None = None
    max_abs_error: Distance | None = None
    spearman: Distance | None = None


class OutputChange(Table):
    """What an output may change by since its baseline."""

    outputs_lsb: Annotated[int | None, Field(ge=0, le=MAX_STEPS)] = None
    outputs_ulp: Annotated[int | None, Field(ge=0, le=MAX_STEPS)] = None


class OwnOutputChange(OutputChange):
    """The same of one of several outputs, with what it may lose of its agreement."""

    agreement: OutputAgreementTolerance = OutputAgreementTolerance()


class BaselineContract(OutputChange):
    outputs: dict[str, OwnOutputChange] = {}
    accuracy: Share = 0.0
    agreement: AgreementTolerance = AgreementTolerance()
    latency: Share = 0.0
    latency_effect: Annotated[float, Field(ge=0.001, lt=1)] = 0.005
    arena_bytes: Bytes = 0
    stack_bytes: Bytes = 64
    flash_bytes: Bytes = 1024
    ram_bytes: Bytes = 32


class InputSanity(Table):
    expect: Annotated[tuple[OddityOfInput, ...], Field(strict=False)]


class OutputSanity(Table):
    expect: Annotated[tuple[OddityOfOutput, ...], Field(strict=False)]


class SanityContract(Table):
    """inputs, outputs: what one of several has of its own, by its name, in place of the common."""

    expect: Annotated[tuple[Oddity, ...], Field(strict=False)] = ()
    inputs: dict[str, InputSanity] = {}
    outputs: dict[str, OutputSanity] = {}


class ContractTables(Table):
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    input: InputContract = InputContract()
    execution: ExecutionContract = ExecutionContract()
    decision: DecisionContract = DecisionContract()
    agreement: AgreementContract = AgreementContract()
    latency: LatencyContract = LatencyContract()
    baseline: BaselineContract = BaselineContract()
    soak: SoakContract = SoakContract()
    coverage: CoverageContract = CoverageContract()
    sanity: SanityContract = SanityContract()


class MemoryBudget(Table):
    arena_bytes: Count | None = None
    arena_headroom: Share | None = None
    flash_bytes: Count | None = None
    ram_bytes: Count | None = None
    stack_bytes: Count | None = None
    stack_headroom: Share | None = None
    heap_bytes: Count | None = None
    heap_headroom: Share | None = None


def _at_most(what: str, unit: str) -> Any:
    return Field(description=f"at most: the {what} over all windows, in {unit}")


class StageTicks(Table):
    """Of one stage, or of all together."""

    p50: Annotated[Count | None, _at_most("50th percentile", "ticks of the clock")] = None
    p95: Annotated[Count | None, _at_most("95th percentile", "ticks of the clock")] = None
    p99: Annotated[Count | None, _at_most("99th percentile", "ticks of the clock")] = None
    max: Annotated[Count | None, _at_most("largest value", "ticks of the clock")] = None


class StageCycles(StageTicks):
    """Of one stage, or of all together; in cycles or in milliseconds."""

    p50_ms: Annotated[Positive | None, _at_most("50th percentile", "ms")] = None
    p95_ms: Annotated[Positive | None, _at_most("95th percentile", "ms")] = None
    p99_ms: Annotated[Positive | None, _at_most("99th percentile", "ms")] = None
    max_ms: Annotated[Positive | None, _at_most("largest value", "ms")] = None


class InstructionBudget(Table):
    prepare: StageTicks = StageTicks()
    invoke: StageTicks = StageTicks()
    decide: StageTicks = StageTicks()
    total: StageTicks = StageTicks()


class CycleBudget(Table):
    prepare: StageCycles = StageCycles()
    invoke: StageCycles = StageCycles()
    decide: StageCycles = StageCycles()
    total: StageCycles = StageCycles()


class LatencyBudget(Table):
    instructions: InstructionBudget = InstructionBudget()
    cycles: CycleBudget = CycleBudget()


class BudgetTables(Table):
    memory: MemoryBudget = MemoryBudget()
    latency: LatencyBudget = LatencyBudget()


class CaseFile(Table):
    """A whole case.toml."""

    case: CaseTable
    model: ModelTable
    input: InputTable
    decision: DecisionTable | None = None
    contract: ContractTables = ContractTables()
    budget: BudgetTables = BudgetTables()


TABLES = (
    *("case", "model", "input", "input.gate", "decision"),
    *("contract", "contract.input", "contract.execution", "contract.execution.deadline", "contract.decision"),
    *("contract.agreement", "contract.latency", "contract.baseline", "contract.baseline.agreement", "contract.sanity"),
    *("contract.soak", "contract.coverage"),
    *("budget", "budget.memory", "budget.latency", "budget.latency.instructions", "budget.latency.cycles"),
)
