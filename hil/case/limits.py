"""The limits of a case, [contract] and [budget] to `Contracts`; refuses those nobody can meet or that say nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hil.case.output_limits import agreement_tables, expected_of, limit_of, limits_of
from hil.case.schema import Bounds, CaseFile, Flips, StageTicks, TopK
from hil.case.types import STAGES, Contracts, LatencyLimit, Limit, ModelFile, SoakLimits
from hil.model.kernels.library import KernelLibrary
from hil.problems import KeyPath, Say

STATISTICS = ("p50", "p95", "p99", "max")  # in ascending order of value, always
NATURAL_RANGE = {
    "saturation": (0.0, 1.0),
    "accuracy": (0.0, 1.0),
    "top1": (0.0, 1.0),
    "topk": (0.0, 1.0),
    "cosine": (-1.0, 1.0),
    "sqnr_db": (-math.inf, math.inf),
    "max_abs_error": (0.0, math.inf),
    "spearman": (-1.0, 1.0),
    "flips": (0.0, math.inf),
    "range": (0.0, 1.0),
    "clamps": (0.0, 1.0),
}


def contracts(table: CaseFile, model: ModelFile, kernels: KernelLibrary | None = None) -> Contracts:
    """The contract values of a checked file. kernels: those that will run the model, as far as that is known."""
    parts, memory = table.contract, table.budget.memory
    decided, *further = (limits_of(table, output, kernels) for output in (model.output, *model.further_outputs))
    return Contracts(
        margin=parts.margin,
        prepared_lsb=parts.input.prepared_lsb or 0,
        prepared_tolerance=parts.input.prepared_tolerance or 0.0,
        score_tolerance=parts.decision.score_tolerance or 0.0,
        lsb=decided.lsb,
        ulp=decided.ulp,
        tolerance=decided.tolerance,
        reference_kernels=None if parts.execution.reference_kernels is None else (*parts.execution.reference_kernels,),
        replays=parts.execution.replays,
        passes=parts.execution.passes,
        saturation=limit_of("saturation", parts.input.saturation),
        accuracy=limit_of("accuracy", parts.decision.accuracy),
        agreement=decided.agreement,
        topk=(parts.agreement.topk or TopK()).k,
        flip_band=(parts.agreement.flips or Flips()).band,
        latency=tuple(_latency(table)),
        confidence=parts.latency.confidence,
        warmup=parts.latency.warmup,
        arena_headroom=memory.arena_headroom,
        flash_bytes=memory.flash_bytes,
        ram_bytes=memory.ram_bytes,
        stack_bytes=memory.stack_bytes,
        stack_headroom=memory.stack_headroom,
        heap_bytes=memory.heap_bytes,
        heap_headroom=memory.heap_headroom,
        baseline=decided.baseline,
        coverage={name: limit for name, bounds in parts.coverage if (limit := limit_of(name, bounds))},
        soak=SoakLimits(parts.soak.windows, parts.soak.slow),
        meant=parts.sanity.expect,
        meant_of=expected_of(table),
        further=tuple(further),
    )


def check(table: CaseFile, say: Say) -> None:
    """Reports each limit that contradicts itself, cannot be met or cannot fail. Needs neither model nor vectors."""
    for path, bounds in _bounds(table):
        _check_bounds(path, bounds, say)
    _check_latency(table, say)
    memory = table.budget.memory
    ram, arena = memory.ram_bytes, memory.arena_bytes
    if ram is not None and arena is not None and ram < arena:
        problem = f"{ram:,} bytes of static RAM cannot hold the arena of {arena:,}"
        say(("budget", "memory", "ram_bytes"), problem, "raise it: static RAM counts the arena too")
    if memory.heap_headroom is not None and memory.heap_bytes is None:
        say(("budget", "memory", "heap_headroom"), "there is no heap_bytes of which it is a share", "add heap_bytes")
    if table.decision is None:
        fix = "add a [decision] table, or leave this limit out"
        if table.contract.decision.accuracy:
            say(("contract", "decision", "accuracy"), "a case without [decision] gives no answers to count", fix)
        if table.contract.agreement.flips:
            say(("contract", "agreement", "flips"), "a case without [decision] has no decisions that could flip", fix)
    if table.model.float_ is None:
        for path, _ in agreement_tables(table):
            fix = 'add float = "model_float.tflite" to [model], or leave this limit out'
            say(path, "there is no float model to agree with", fix)


def check_operators(table: CaseFile, model: ModelFile, say: Say) -> None:
    """Reports operators that the model does not have."""
    for index, name in enumerate(table.contract.execution.reference_kernels or ()):
        if name not in model.operators:
            fix = f"take it out; the model has {', '.join(model.operators)}"
            say(("contract", "execution", "reference_kernels", index), f"the model has no operator {name!r}", fix)


def _bounds(table: CaseFile) -> Iterator[tuple[KeyPath, Bounds]]:
    if table.contract.input.saturation:
        yield ("contract", "input", "saturation"), table.contract.input.saturation
    if table.contract.decision.accuracy:
        yield ("contract", "decision", "accuracy"), table.contract.decision.accuracy
    yield from agreement_tables(table)
    for name, floor in table.contract.coverage:
        if floor is not None:
            yield ("contract", "coverage", name), floor


def _check_bounds(path: KeyPath, bounds: Bounds, say: Say) -> None:
    lowest, highest = NATURAL_RANGE[str(path[-1])]
    span = f"{lowest:g} to {highest:g}"
    percent = "; it is a share, write 0.98 for 98 %" if (lowest, highest) == (0.0, 1.0) else ""
    if bounds.min is None and bounds.max is None:
        say(path, "it has neither min nor max", f"write {path[-1]} = {{ min = ... }} or {{ max = ... }}")
    elif bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        say(path, f"min {bounds.min:g} is above max {bounds.max:g}: nobody can meet it", "exchange them")
    elif bounds.min is not None and bounds.min > highest:
        say((*path, "min"), f"{bounds.min:g} cannot be reached: the value lies in {span}", f"lower it{percent}")
    elif bounds.max is not None and bounds.max < lowest:
        say((*path, "max"), f"{bounds.max:g} cannot be kept: the value lies in {span}", f"raise it{percent}")
    elif (bounds.min is None or bounds.min <= lowest) and (bounds.max is None or bounds.max >= highest):
        say(path, f"it can never fail: the value lies in {span}", f"tighten it, or leave it out{percent}")


def _latency(table: CaseFile) -> Iterator[LatencyLimit]:
    for clock in ("instructions", "cycles"):
        for stage in STAGES:
            ticks: StageTicks = getattr(getattr(table.budget.latency, clock), stage)
            for key in type(ticks).model_fields:
                if (value := getattr(ticks, key)) is not None:
                    unit = "ms" if key.endswith("_ms") else clock
                    statistic = key.removesuffix("_ms")
                    yield LatencyLimit(stage, statistic, clock, Limit(maximum=float(value), unit=unit))


def _check_latency(table: CaseFile, say: Say) -> None:
    limits = list(_latency(table))
    for low in limits:
        for high in limits:
            same = (low.stage, low.clock, low.limit.unit) == (high.stage, high.clock, high.limit.unit)
            ordered = STATISTICS.index(low.statistic) < STATISTICS.index(high.statistic)
            if same and ordered and _maximum(high) < _maximum(low):
                problem = f"{high.limit} is below the limit of {low.statistic}, {low.limit}, which then says nothing"
                suffix = "_ms" if high.limit.unit == "ms" else ""
                path = ("budget", "latency", high.clock, high.stage, high.statistic + suffix)
                say(
                    path, problem, f"a {high.statistic} is never below the {low.statistic}: raise it or lower the other"
                )


def _maximum(limit: LatencyLimit) -> float:
    return math.inf if limit.limit.maximum is None else limit.limit.maximum
