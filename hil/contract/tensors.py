"""Knows how a model with several inputs or outputs is judged: a check of a tensor is made of each of them, as if it
were the only one, and its findings name it. With one tensor the check is made of the evidence as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hil.contract.types import (
    MAX_FINDINGS,
    CheckResult,
    Evidence,
    Finding,
    Outcome,
    OutputReference,
    References,
    Section,
)
from hil.records import DecisionReason, PreparedColumns, RunRecords
from hil.tensor import Elements

Judge = Callable[[Evidence], CheckResult]
Views = Callable[[Evidence], tuple[Evidence, ...]]
WORST_FIRST = (Outcome.FAILED, Outcome.INVALID, Outcome.NOT_JUDGED, Outcome.MARGINAL, Outcome.PASSED)


@dataclass(frozen=True)
class Side:
    """The inputs or the outputs of a model, `noun` of one: views of the evidence that hold one each, what the one of a
    view is called by the model, and by reports.
    """

    noun: str
    views: Views
    tensor: Callable[[Evidence], str]

    def name(self, view: Evidence) -> str:
        return f"{self.noun} {self.tensor(view)!r}"


def of_each_input(judge: Judge) -> Judge:
    """The check `judge` of an input tensor, made of every input."""
    return partial(_of_each, judge, INPUTS)


def of_each_output(judge: Judge) -> Judge:
    """The check `judge` of an output tensor, made of every output."""
    return partial(_of_each, judge, OUTPUTS)


def _of_each(judge: Judge, side: Side, evidence: Evidence) -> CheckResult:
    views = side.views(evidence)
    return _merged([side.name(view) for view in views], [judge(view) for view in views])


def input_views(evidence: Evidence) -> tuple[Evidence, ...]:
    """The evidence of each input alone; itself when there is one."""
    if not evidence.case.further:
        return (evidence,)
    return tuple(_input_view(evidence, index) for index in range(len(evidence.case.model.inputs)))


def _input_view(evidence: Evidence, index: int) -> Evidence:
    hello, records, references = evidence.hello, evidence.records, evidence.references
    if index:
        wanted = references.inputs[index - 1]
        records = with_input(records, records.inputs[index - 1])
        references = replace(references, prepared=wanted.prepared, digest=wanted.digest)
    return replace(
        evidence,
        case=evidence.case.of_inputs[index],
        hello=replace(hello, input=(hello.input, *hello.inputs)[index] if hello.inputs else hello.input, inputs=()),
        records=replace(records, inputs=()),
        references=replace(references, inputs=()),
    )


def with_input(records: RunRecords, seen: PreparedColumns) -> RunRecords:
    """The records with what they say of this input in place of the first."""
    return replace(records, digest=seen.digest, minimum=seen.minimum, maximum=seen.maximum, saturated=seen.saturated)


def output_views(evidence: Evidence) -> tuple[Evidence, ...]:
    """The evidence of each output alone, the one that is decided on first; itself when there is one."""
    if not evidence.case.model.further_outputs:
        return (evidence,)
    first, *further = evidence.case.of_outputs
    records, references, hello, baseline = evidence.records, evidence.references, evidence.hello, evidence.baseline
    views = [
        replace(
            evidence,
            case=first,
            sections=_of_output(evidence, 0),
            baseline=baseline.of_output(None) if baseline else None,
            hello=replace(hello, outputs=()),
            records=replace(records, outputs=()),
            references=replace(references, outputs=()),
        )
    ]
    for place, case in enumerate(further):
        views.append(
            replace(
                evidence,
                case=case,
                sections=_of_output(evidence, place + 1),
                baseline=baseline.of_output(case.model.output.name) if baseline else None,
                hello=replace(hello, output=hello.outputs[place] if hello.outputs else hello.output, outputs=()),
                records=_undecided(records, records.outputs[place]),
                references=_undecided_reference(references, references.outputs[place]),
            )
        )
    return tuple(views)


def _of_output(evidence: Evidence, place: int) -> dict[type[Section], Section]:
    return {kind: section.of_output(place) for kind, section in evidence.sections.items()}


def _undecided(records: RunRecords, output: Elements) -> RunRecords:
    """The records with another output, on which nothing was decided."""
    n = len(records)
    return replace(
        records,
        output=output,
        outputs=(),
        winner=np.full(n, -1, np.int32),
        score=np.zeros(n, np.int32),
        answer=np.full(n, -1, np.int32),
        reason=np.full(n, DecisionReason.NO_STAGE, np.uint8),
        label=np.full(n, -1, np.int32),
    )


def _undecided_reference(references: References, wanted: OutputReference) -> References:
    n = len(references.gate)
    return replace(
        references,
        output=wanted.output,
        float_output=wanted.float_output,
        float_chain=wanted.float_chain,
        outputs=(),
        winner=np.full(n, -1, np.int32),
        score=np.zeros(n, np.int32),
        answer=np.full(n, -1, np.int32),
        reason=np.full(n, DecisionReason.NO_STAGE, np.uint8),
    )


def _merged(names: list[str], results: list[CheckResult]) -> CheckResult:
    """One verdict of a check that was made of several tensors: the worst of them, and the findings of all. Of equal
    outcomes the first that has a limit, with the worst value of those that have the same.
    """
    if len(results) == 1:
        return results[0]
    pairs = tuple(zip(names, results, strict=True))
    worst = min(results, key=lambda result: (WORST_FIRST.index(result.outcome), result.limit is None))
    findings = [_named(name, finding) for name, result in pairs for finding in result.findings]
    reasons = [f"{name}: {result.reason}" for name, result in pairs if result.reason]
    values = [result.value for result in results if result.value is not None and result.limit == worst.limit]
    lowest = worst.limit is not None and worst.limit.maximum is None
    return replace(
        worst,
        findings=tuple(findings[:MAX_FINDINGS]),
        total=sum(result.total for result in results),
        value=(min if lowest else max)(values) if values else None,
        reason="; ".join(reasons),
        numbers={f"{name}: {key}": value for name, result in pairs for key, value in result.numbers.items()},
        tensors=pairs,
    )


def _named(name: str, finding: Finding) -> Finding:
    return replace(finding, expected=f"{name}: {finding.expected}")


INPUTS = Side("input", input_views, lambda view: view.case.model.input.name)
OUTPUTS = Side("output", output_views, lambda view: view.case.model.output.name)
