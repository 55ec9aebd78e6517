"""Knows what of a run is compared with other runs: evidence in, measurements out, as a baseline keeps them."""

from __future__ import annotations

import numpy as np

from hil.baseline.columns import Columns
from hil.baseline.sizes import kept
from hil.baseline.types import (
    ClockFacts,
    DecisionFacts,
    Figures,
    InputFacts,
    Made,
    Measurements,
    MemoryFacts,
    OperatorFacts,
    OutputFacts,
)
from hil.contract import accuracy, agreement
from hil.contract.latency import QUANTILES, latency_samples, latency_summary
from hil.contract.memory import arena_high_water, stack_high_water
from hil.contract.operators import OperatorProfile
from hil.contract.statistics import percentile
from hil.contract.tensors import output_views
from hil.contract.types import Evidence
from hil.records import ClockSpec


def comparable_clock(clock: ClockSpec) -> bool:
    """Whether times on this clock can be held against those of another run; host time cannot."""
    return clock.deterministic or clock.kind == "cycles"


def measure(evidence: Evidence) -> Measurements:
    """All that is compared, of one run of one case."""
    figures = agreement.figures(evidence)
    return Measurements(
        accuracy=accuracy.accuracy(evidence),
        agreement={key: figure.tensor for key, figure in figures.items()},
        agreement_chain={key: figure.chain for key, figure in figures.items()},
        board=evidence.board,
        case=evidence.case.name,
        clock=clock_facts(evidence.clock),
        columns=columns(evidence),
        decision=decision_facts(evidence),
        further_inputs=further_inputs(evidence),
        further_outputs=further_outputs(evidence),
        latency=latency(evidence),
        made=made(evidence),
        memory=memory(evidence),
        operators=operators(evidence),
        operators_vector=operators_vector(evidence),
        sizes=kept(evidence.image.ledger) if evidence.image.ledger.known else None,
        target=evidence.hello.target,
        version=evidence.case.version,
    )


def clock_facts(clock: ClockSpec) -> ClockFacts:
    return ClockFacts(kind=clock.kind, unit=clock.unit, hz=clock.hz, deterministic=clock.deterministic)


def columns(evidence: Evidence) -> Columns:
    """The vectors; without times on a clock that is not compared."""
    records, timed = evidence.records, comparable_clock(evidence.clock)
    samples = latency_samples(evidence)
    return Columns(
        status=records.status,
        gate=records.gate,
        digest=records.digest,
        output=records.output,
        answer=records.answer,
        reason=records.reason,
        units=samples.units[:, :3] if timed else np.zeros((0, 3), np.int64),
        samples=samples.rows.astype(np.int64) if timed else np.zeros(0, np.int64),
    )


def further_inputs(evidence: Evidence) -> list[InputFacts]:
    """The inputs from the second on."""
    named = zip(evidence.case.model.inputs[1:], evidence.records.inputs, strict=True)
    return [InputFacts(name=tensor.name, digest=seen.digest) for tensor, seen in named]


def further_outputs(evidence: Evidence) -> list[OutputFacts]:
    """The outputs beside the one that is decided on."""
    found = []
    for view in output_views(evidence)[1:]:
        figures = agreement.figures(view, of_scores=False)
        found.append(
            OutputFacts(
                agreement={key: figure.tensor for key, figure in figures.items()},
                agreement_chain={key: figure.chain for key, figure in figures.items()},
                name=view.case.model.output.name,
                output=view.records.output,
            )
        )
    return found


def latency(evidence: Evidence) -> dict[str, Figures]:
    """The figures of every stage; none on a clock that is not compared."""
    if not comparable_clock(evidence.clock):
        return {}
    stages = latency_summary(evidence)["stages"]
    return {stage: Figures.model_validate(figures, strict=False) for stage, figures in stages.items()}


def figures_of(units: np.typing.NDArray[np.int64]) -> Figures:
    """The figures of one stage over samples in any order, at least one."""
    ordered = np.sort(units)
    points = {name: percentile(ordered, p) for name, p in QUANTILES.items()}
    return Figures(n=len(ordered), min=int(ordered[0]), max=int(ordered[-1]), mean=float(ordered.mean()), **points)


def memory(evidence: Evidence) -> MemoryFacts:
    return MemoryFacts(
        arena_high_water=arena_high_water(evidence),
        arena_used=evidence.hello.arena_used,
        bundle_bytes=evidence.bundle_bytes,
        host=evidence.image.host,
        image_flash_bytes=evidence.image.flash_bytes,
        model_bytes=len(evidence.case.model.data),
        ram_bytes=evidence.image.ram_bytes,
        stack_high_water=stack_high_water(evidence),
    )


def decision_facts(evidence: Evidence) -> DecisionFacts:
    decide = evidence.case.decide
    return DecisionFacts(
        stage=decide.name,
        labels=list(decide.labels),
        threshold=decide.threshold,
        release=decide.release,
        debounce=decide.debounce,
        cooldown=decide.cooldown,
        unknown=decide.unknown,
    )


def made(evidence: Evidence) -> Made:
    case, hello = evidence.case, evidence.hello
    return Made(
        bundle_sha256=evidence.bundle_sha256,
        compiler=hello.compiler,
        files=dict(case.files),
        firmware=hello.firmware,
        firmware_sha256=evidence.image.sha256,
        flags=hello.flags,
        float_model_sha256=case.float_model.sha256 if case.float_model else None,
        kernels=hello.kernels,
        model_sha256=case.model.sha256,
        vectors_sha256=case.files.get(case.vectors_file, ""),
    )


def operators(evidence: Evidence) -> list[OperatorFacts]:
    """None on a clock that is not compared, or when the firmware cannot tell operators apart."""
    if not comparable_clock(evidence.clock):
        return []
    found = evidence.section(OperatorProfile)
    return [OperatorFacts(index=item.index, operator=item.operator, units=item.units) for item in found.operators]


def operators_vector(evidence: Evidence) -> str:
    """The vector that was profiled; "" without operators."""
    return evidence.case.vectors.name(evidence.section(OperatorProfile).vector) if operators(evidence) else ""
