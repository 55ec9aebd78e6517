"""What a case is held to: limits, budgets, and how far a run may be behind its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


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
    prepared_lsb: int = 0  # of a front end of the product's own: what its tensor may be off by
    prepared_tolerance: float = 0.0  # the same of a float32 input, absolute
    score_tolerance: float = 0.0  # of a decide stage of the product's own, in the unit in which it tells scores
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
    heap_bytes: int | None = None  # most that the firmware's heap may have in use
    heap_headroom: float | None = None  # share of heap_bytes that must stay free, 0..1
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
