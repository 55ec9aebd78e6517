"""Knows the run of made_evidence on a model with two inputs and two outputs, of which the second is decided on."""

from __future__ import annotations

from dataclasses import replace

from made_evidence import INPUT, OUTPUT

from hil.case.types import InputPart
from hil.contract.types import Evidence, InputReference, OutputReference
from hil.records import PreparedColumns

AUX = replace(OUTPUT, name="aux")
SCORES, LEFT, RIGHT = replace(OUTPUT, name="scores"), replace(INPUT, name="left"), replace(INPUT, name="right")


def each_twice(evidence: Evidence) -> Evidence:
    """The run of made_evidence on a model with each of its tensors twice, all as they should be."""
    case, records, references, hello = evidence.case, evidence.records, evidence.references, evidence.hello
    model = replace(case.model, inputs=(LEFT, RIGHT), outputs=(AUX, SCORES), decided=1)
    vectors = replace(case.vectors, further=(case.vectors.windows.copy(),), further_expected=(None,))
    part = InputPart(case.window, case.gate, case.prepare)
    seen = PreparedColumns(*(getattr(records, name).copy() for name in ("digest", "minimum", "maximum", "saturated")))
    floats = references.float_output
    assert floats is not None
    aux = OutputReference(references.output.copy(), floats.copy(), floats.copy())
    return replace(
        evidence,
        case=replace(case, model=model, vectors=vectors, further=(part,)),
        records=replace(records, inputs=(seen,), outputs=(records.output.copy(),)),
        references=replace(
            references, inputs=(InputReference(references.prepared, references.digest),), outputs=(aux,)
        ),
        hello=replace(hello, inputs=(INPUT,), outputs=(OUTPUT,)),
    )
