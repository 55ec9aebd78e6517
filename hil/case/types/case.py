"""A whole case, and the views of it that hold one input or one output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hil.case.types.limits import Contracts
from hil.case.types.model import ModelFile
from hil.case.types.pipeline import Decide, Gate, InputPart, Prepare, Window
from hil.case.types.vectors import Expected, Vectors
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
    def own_stages(self) -> tuple[str, ...]:
        """Keys of case.toml that name a stage of the product's own; of none in a case that the harness knows whole."""
        keys = (("input.prepare", self.prepare.own), ("decision.decide", self.decide.own))
        return tuple(key for key, own in keys if own)

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
