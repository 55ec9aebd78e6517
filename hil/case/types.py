"""What a case is, once read and checked: frozen values, no file access."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.tensor import Elements, TensorContract

PARTS = ("prepare", "invoke", "decide")  # of the pipeline; the device tells the time at the end of each
STAGES = (*PARTS, "total")  # what latency is told of
# What a case is held to, in the order of blame.
CONTRACTS = (
    "instruments",
    "input",
    "execution",
    "decision",
    "agreement",
    "sanity",
    "latency",
    "memory",
    "soak",
    "baseline",
)
BASELINES = "baseline"  # folder in a case's: accepted measurements, one file a board


@dataclass(frozen=True)
class StatePair:
    """An output that is an input at the next window of a stream: their indices among the model's, and what they are."""

    output: int
    input: int
    output_tensor: TensorContract
    input_tensor: TensorContract

    def __str__(self) -> str:
        return f"the pair {self.output_tensor.name!r} -> {self.input_tensor.name!r}"


@dataclass(frozen=True)
class ModelFile:
    """One .tflite file: bytes, SHA-256, and what the flatbuffer says of it.

    inputs, outputs: in the order of the model, one of each for most; inputs: those that windows feed. carried: the
    other inputs, each with the output that it gets. decided: index of the output that the case decides on.
    own_operators: those that only the image with operators of our own runs right, as this model has them. state: what
    of it lasts from one inference to the next, a phrase each.
    """

    path: Path
    data: bytes = field(repr=False)
    sha256: str
    operators: tuple[str, ...]  # distinct builtin operator names in order of first use
    inputs: tuple[TensorContract, ...]
    outputs: tuple[TensorContract, ...]
    all_float: bool = False  # no operator of it is quantised
    reach: float = math.inf  # largest magnitude of a float32 input that its QUANTIZE operators can convert
    own_operators: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    decided: int = 0
    carried: tuple[StatePair, ...] = ()

    def carrying(self, pairs: Sequence[StatePair]) -> ModelFile:
        """The model with these pairs as state that the product carries; its inputs are those that are left."""
        reached = {pair.input for pair in pairs}
        return replace(
            self,
            inputs=tuple(tensor for index, tensor in enumerate(self.inputs) if index not in reached),
            carried=tuple(pairs),
            state=(*self.state, *map(str, pairs)),
        )

    @property
    def every_input(self) -> tuple[TensorContract, ...]:
        """All of them, those that carry state among them, in the order of the model."""
        tensors = list(self.inputs)
        for pair in sorted(self.carried, key=lambda each: each.input):
            tensors.insert(pair.input, pair.input_tensor)
        return tuple(tensors)

    @property
    def fed(self) -> tuple[int, ...]:
        """Of `inputs`, their indices among the model's."""
        reached = {pair.input for pair in self.carried}
        return tuple(index for index in range(len(self.inputs) + len(reached)) if index not in reached)

    @property
    def input(self) -> TensorContract:
        """The first input that windows feed, for most the only one."""
        return self.inputs[0]

    @property
    def output(self) -> TensorContract:
        """The output that the case decides on, for most the only one."""
        return self.outputs[self.decided]

    @property
    def further_outputs(self) -> tuple[TensorContract, ...]:
        """Those beside `output`, in the order of the model."""
        return (*self.outputs[: self.decided], *self.outputs[self.decided + 1 :])

    def decided_first(self, outputs: Sequence[Any]) -> list[Any]:
        """What belongs to each output, in the order of the model: of `output` first, then of `further_outputs`."""
        return [outputs[self.decided], *outputs[: self.decided], *outputs[self.decided + 1 :]]

    @property
    def larger_image(self) -> bool:
        """Whether it wants the image that has operators of our own and takes several tensors."""
        return bool(self.own_operators) or self.several

    @property
    def several(self) -> bool:
        """Whether it has more than one input or output."""
        return len(self.inputs) > 1 or len(self.outputs) > 1 or bool(self.carried)


# The firmware takes frames of up to 40,960 bytes (firmware/link/framing.h); the rest is for the request around the
# window, COBS and CRC. Longer payloads could never be sent.
MAX_PAYLOAD = 40_000


@dataclass(frozen=True)
class Window:
    """The raw sensor window: numpy type name (int8, uint8, int16, float32), samples, channels."""

    dtype: str
    samples: int
    channels: int

    @property
    def bytes(self) -> int:
        return self.samples * self.channels * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Gate:
    """Validity gate, in units of the window's type (docs/pipeline.md). All three are exact in float32."""

    minimum: float
    maximum: float
    min_span: float


@dataclass(frozen=True)
class Channel:
    """One tensor channel of `scale/1`: source channel, offset in counts, gain in Q16.16 (LSB per 32768 counts)."""

    source: int
    offset: int
    gain: int


@dataclass(frozen=True)
class Prepare:
    """A preparation stage and its version: `tensor/1`, `scale/1` (channels) or `quantize/1` (factor)."""

    id: str
    version: int
    channels: tuple[Channel, ...] = ()
    factor: float = 0.0  # the float32 value

    @property
    def name(self) -> str:
        return f"{self.id}/{self.version}"


@dataclass(frozen=True)
class InputPart:
    """How one input tensor is fed: the raw window, the gate that it must pass, and what prepares it."""

    window: Window
    gate: Gate
    prepare: Prepare


@dataclass(frozen=True)
class Decide:
    """A decision stage and its version: `argmax/1` or `none/1`. Thresholds are ranks of scores (docs/pipeline.md)."""

    id: str
    version: int
    threshold: int = 0
    release: int = 0
    debounce: int = 1
    cooldown: int = 0
    labels: tuple[str, ...] = ()
    unknown: str = "unknown"

    @property
    def name(self) -> str:
        return f"{self.id}/{self.version}"


@dataclass(frozen=True)
class Vectors:
    """The vectors of a case; `n` of them.

    windows: [n, samples, channels] (or [n, *tensor shape] for tensor/1), C-contiguous, of the window's dtype.
    Others are None when the file does not have them:
    samples int [n]: samples really sent when not the full window (wrong-length vectors);
    names [n] str; label [n] int, the true class, -1 unknown; reject [n] str, gate reason expected, "" for none;
    sequence int [n]: vectors of one number >= 0 are one stream, in file order; -1 stands alone;
    expected_output [n, *output shape], in the type of the output: outputs from an external source (another board, a
    former release).
    Of a model with several tensors `windows` and `expected_output` are of the first input and of the output that is
    decided on; further: windows of the inputs from the second on; further_expected: of the other outputs, None where
    the file has none. further_samples: as `samples`, of the inputs from the second on.
    """

    windows: NDArray[np.generic]
    samples: NDArray[np.int64] | None = None
    names: tuple[str, ...] | None = None
    label: NDArray[np.int64] | None = None
    reject: tuple[str, ...] | None = None
    sequence: NDArray[np.int64] | None = None
    expected_output: Elements | None = None
    further: tuple[NDArray[np.generic], ...] = ()
    further_expected: tuple[Elements | None, ...] = ()
    further_samples: tuple[NDArray[np.int64] | None, ...] = ()

    def __len__(self) -> int:
        return len(self.windows)

    def joined(self, rows: NDArray[np.intp]) -> NDArray[np.generic]:
        """[rows, ...] that tells windows apart: the windows, of several inputs the bytes of all."""
        if not self.further:
            return self.windows[rows]
        parts = [np.ascontiguousarray(each[rows]).reshape(len(rows), -1) for each in (self.windows, *self.further)]
        return np.concatenate([part.view(np.uint8) for part in parts], axis=1)

    def payload(self, index: int) -> bytes:
        """The bytes to send for one vector, cut or zero-padded to `samples[index]` samples where the file says so; of
        several inputs one behind the other.
        """
        samples = (self.samples, *(self.further_samples or (None,) * len(self.further)))
        parts = zip((self.windows, *self.further), samples, strict=True)
        return b"".join(_sent(windows[index], None if sent is None else int(sent[index])) for windows, sent in parts)

    def name(self, index: int) -> str:
        return self.names[index] if self.names is not None else f"#{index}"


def _sent(window: NDArray[np.generic], samples: int | None) -> bytes:
    """The bytes of one window, cut or zero-padded to so many samples."""
    data = window.astype(window.dtype.newbyteorder("<"), copy=False).tobytes()
    if samples is None:
        return data
    size = len(data) // window.shape[0] * samples
    return data[:size].ljust(size, b"\0")


def sent_bytes(
    windows: Sequence[tuple[int, int]], samples: Sequence[NDArray[np.int64] | None]
) -> NDArray[np.int64] | None:
    """[n]: the bytes that are sent of each vector, of all inputs together; None where every window is whole.

    windows: of each input, the bytes and the samples of a window; samples: of each, int [n], None where all are whole.
    """
    given = [
        (size // rows, values) for (size, rows), values in zip(windows, samples, strict=True) if values is not None
    ]
    if not given:
        return None
    whole = sum(size for (size, _), values in zip(windows, samples, strict=True) if values is None)
    sent: NDArray[np.int64] = whole + np.sum([size * values for size, values in given], axis=0)
    return sent


@dataclass(frozen=True)
class Expected:
    """The accepted answers of the references, one row a vector (docs/golden-updates.md); `labels`: the case's texts.

    name [n] str; window_sha256 uint8 [n, 32], of the bytes that are sent; label int32 [n], true class, -1 unknown; gate
    uint8 [n] GateReason; digest uint32 [n] of the prepared tensor; output [n, output elements] in the type of the
    output; decisions: winner,
    score, answer int32 [n], reason uint8 [n].
    digests, outputs: of a model with several tensors the same of its further inputs and outputs, by their names.
    """

    name: NDArray[np.str_]
    window_sha256: NDArray[np.uint8]
    label: NDArray[np.int32]
    gate: NDArray[np.uint8]
    digest: NDArray[np.uint32]
    output: Elements
    winner: NDArray[np.int32]
    score: NDArray[np.int32]
    answer: NDArray[np.int32]
    reason: NDArray[np.uint8]
    labels: tuple[str, ...]
    digests: Mapping[str, NDArray[np.uint32]] = field(default_factory=dict)
    outputs: Mapping[str, Elements] = field(default_factory=dict)

    @property
    def tensors(self) -> list[str]:
        """Further ones, as `input 'left'`."""
        return [*(f"input {name!r}" for name in self.digests), *(f"output {name!r}" for name in self.outputs)]

    @property
    def further(self) -> dict[str, NDArray[Any]]:
        """The columns of further tensors, as `digest.NAME` and `output.NAME`."""
        digests = {f"digest.{name}": column for name, column in self.digests.items()}
        return digests | {f"output.{name}": column for name, column in self.outputs.items()}


@dataclass(frozen=True)
class Limit:
    """What a number is held against: `minimum <= value <= maximum`, where given, in `unit`."""

    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether `value` is inside; NaN never is."""
        above = self.minimum is None or value >= self.minimum
        below = self.maximum is None or value <= self.maximum
        return value == value and above and below

    def __str__(self) -> str:
        bounds = ((">=", self.minimum), ("<=", self.maximum))
        text = " and ".join(f"{sign} {value:,.15g}" for sign, value in bounds if value is not None)
        return f"{text} {self.unit}".rstrip()


@dataclass(frozen=True)
class LatencyLimit:
    """`stage` (prepare, invoke, decide, total), `statistic` (p50, p95, p99, max), limit in `unit` of a clock kind.

    clock: "instructions" (unit "instructions") or "cycles" (unit "cycles" or "ms").
    """

    stage: str
    statistic: str
    clock: str
    limit: Limit


@dataclass(frozen=True)
class Tolerance:
    """How far a run may be behind its accepted baseline before that is a regression (docs/baselines.md).

    latency: share of growth on a deterministic clock; latency_effect: smallest share of growth that counts where time
    also depends on other things than the code. accuracy and agreement (by key): in the unit of the figure.
    """

    outputs_lsb: int = 0
    outputs_ulp: int = 0
    accuracy: float = 0.0
    agreement: Mapping[str, float] = field(default_factory=dict)
    latency: float = 0.0
    latency_effect: float = 0.005
    arena_bytes: int = 0
    stack_bytes: int = 64
    flash_bytes: int = 1024
    ram_bytes: int = 32


@dataclass(frozen=True)
class SoakLimits:
    """A long run of `windows`, 0 for none. slow: how much longer than usual a window may take, as a share."""

    windows: int = 0
    slow: float = 0.1


@dataclass(frozen=True)
class OutputLimits:
    """What one output is held to; as the fields of these names in Contracts."""

    lsb: int
    ulp: int
    tolerance: float
    agreement: Mapping[str, Limit]
    baseline: Tolerance


@dataclass(frozen=True)
class Contracts:
    """The values a case's contracts are held to; None or empty where the case sets none.

    An output of integers may be off by `lsb`; one of float32 by `ulp`, or by `tolerance`, whichever allows more.
    agreement keys: top1, topk, cosine, sqnr_db, max_abs_error, spearman, flips.
    margin: share of the room up to a limit within which a check that holds is marginal, 0 for never.
    What is of an output is of the one that is decided on; further: of the others, empty where they have the same.
    """

    margin: float = 0.0
    lsb: int = 0
    ulp: int = 0
    tolerance: float = 0.0  # absolute, in the unit of the output
    reference_kernels: tuple[str, ...] | None = None  # operators that may run on reference code; None: all
    replays: int = 10
    passes: int = 2
    saturation: Limit | None = None  # largest share of saturated elements over all vectors, 0..1
    accuracy: Limit | None = None  # share of vectors with a true label whose answer is that label
    agreement: Mapping[str, Limit] = field(default_factory=dict)
    topk: int = 3
    flip_band: float = (
        0.05  # half width, in score, of the band around the threshold in which decision flips are excused
    )
    latency: tuple[LatencyLimit, ...] = ()
    confidence: float = 0.95
    warmup: int = 1
    arena_headroom: float | None = None  # share of arena_bytes that must stay untouched, 0..1
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    stack_bytes: int | None = None
    stack_headroom: float | None = None
    baseline: Tolerance = Tolerance()
    soak: SoakLimits = SoakLimits()
    coverage: Mapping[str, Limit] = field(default_factory=dict)  # by "range" and "clamps", shares
    meant: tuple[str, ...] = ()  # kinds of the sanity contract that the case has on purpose
    # The same of one tensor alone, in place of `meant`; by "input" or "output", and its name.
    meant_of: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    further: tuple[OutputLimits, ...] = ()

    def of_further(self, place: int) -> Contracts:
        """As they hold for this one of the further outputs alone."""
        if not self.further:
            return self
        own = self.further[place]
        return replace(
            self,
            lsb=own.lsb,
            ulp=own.ulp,
            tolerance=own.tolerance,
            agreement=own.agreement,
            baseline=own.baseline,
            further=(),
        )


@dataclass(frozen=True)
class Case:
    """One case, whole and valid. `files` maps each file of the case to its SHA-256; `locked` when case.lock vouches.
    baselines: board to the file of its accepted measurements, which is no part of the version.
    keeps_state: what the model keeps lasts from window to window of a stream, what is carried from an output to an
    input among it; else each window begins anew.
    window, gate and prepare are those of the first input; further: of the inputs from the second on.
    """

    path: Path  # case.toml
    name: str
    version: int
    source: str
    rate_hz: float | None
    model: ModelFile
    float_model: ModelFile | None
    window: Window
    gate: Gate
    prepare: Prepare
    decide: Decide
    arena_bytes: int | None  # None: the case does not say yet
    contracts: Contracts
    vectors: Vectors
    keeps_state: bool = False
    deadline: Mapping[str, int] = field(default_factory=dict)  # "instructions" and "ms", where given
    files: Mapping[str, str] = field(default_factory=dict)
    vectors_file: str = "vectors.npz"  # its name in `files`
    baselines: Mapping[str, Path] = field(default_factory=dict)
    locked: bool = False
    expected: Expected | None = None  # accepted with `hil case regen`
    notes: tuple[str, ...] = ()  # what is legal and looks like a mistake, a sentence each
    further: tuple[InputPart, ...] = ()

    @property
    def of_inputs(self) -> tuple[Case, ...]:
        """The case with only the first input, only the second, and so on; itself when there is one."""
        return tuple(self._of_input(index) for index in range(len(self.model.inputs))) if self.further else (self,)

    def _of_input(self, index: int) -> Case:
        part = (InputPart(self.window, self.gate, self.prepare), *self.further)[index]
        windows = (self.vectors.windows, *self.vectors.further)[index]
        samples = (self.vectors.samples, *(self.vectors.further_samples or (None,) * len(self.further)))[index]
        return replace(
            self,
            model=replace(self.model, inputs=(self.model.inputs[index],), carried=()),
            window=part.window,
            gate=part.gate,
            prepare=part.prepare,
            vectors=replace(self.vectors, windows=windows, samples=samples, further=(), further_samples=()),
            further=(),
        )

    @property
    def of_outputs(self) -> tuple[Case, ...]:
        """The case with only the output that is decided on, and with only each of the others, without a decision;
        itself when there is one.
        """
        further = self.model.further_outputs
        if not further:
            return (self,)
        expected = self.vectors.further_expected or (None,) * len(further)
        first = self._of_output(self.model.output, self.decide, self.vectors.expected_output)
        none = Decide("none", 1)
        others = (
            replace(self._of_output(output, none, each), contracts=self.contracts.of_further(place))
            for place, (output, each) in enumerate(zip(further, expected, strict=True))
        )
        return (first, *others)

    def _of_output(self, output: TensorContract, decide: Decide, expected: Elements | None) -> Case:
        vectors = replace(self.vectors, expected_output=expected, further_expected=())
        return replace(self, model=replace(self.model, outputs=(output,), decided=0), decide=decide, vectors=vectors)
