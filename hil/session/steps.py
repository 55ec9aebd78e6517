"""The steps of a session, in the order in which a board takes them. Each has a module of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from hil.case.types import Case
from hil.contract.types import Section
from hil.session import (
    bundle_probes,
    clock_test,
    core_test,
    coverage,
    first_pass,
    gate_probes,
    guard_test,
    heap,
    history,
    invokes,
    link_test,
    memory_test,
    model_read,
    neighbours,
    other_states,
    plain,
    profile,
    repeats,
    score_probes,
    soak,
    stack_seen,
    stream_probes,
    wire,
    witness,
)
from hil.session.state import SessionState
from hil.session.step import Scope, Step

STEPS: tuple[Step[Any], ...] = (
    first_pass.STEP,
    other_states.STEP,
    repeats.STEP,
    profile.STEP,
    plain.STEP,
    gate_probes.STEP,
    coverage.STEP,
    score_probes.STEP,
    history.STEP,
    neighbours.STEP,
    witness.STEP,
    link_test.STEP,
    clock_test.STEP,
    core_test.STEP,
    memory_test.STEP,
    model_read.STEP,
    stack_seen.STEP,
    guard_test.STEP,
    bundle_probes.STEP,
    stream_probes.STEP,
    soak.STEP,
    invokes.STEP,
    heap.STEP,
    wire.STEP,
)

Sections = dict[type[Section], Section]


def wanted(case: Case, *scopes: Scope) -> list[Step[Any]]:
    """The steps of these scopes that the case needs."""
    return [step for step in STEPS if step.scope in scopes and step.applies(case)]


def take(steps: Iterable[Step[Any]], run: SessionState) -> Sections:
    """Take these steps, one after the other."""
    taken = list(steps)
    with ExitStack() as stack:
        for step in taken:
            if step.begin is not None:
                run.begun[step.section] = stack.enter_context(step.begin(run))
        return {step.section: step.collect(run) for step in taken}


def merge(parts: Sequence[Sections]) -> Sections:
    """One section of each type from those of several shares, which come in the order of the vectors."""
    merged: Sections = {}
    for step in STEPS:
        found = [sections[step.section] for sections in parts if step.section in sections]
        if found:
            merged[step.section] = step.merge(found)
    return merged
