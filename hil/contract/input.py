"""Knows the input contract: the model's input tensor, the validity gate, and the prepared tensor of every vector."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.can import untold
from hil.case.types import OWN, Case, Vectors
from hil.contract.blame import (
    blame,
    blocks,
    comparable,
    done,
    gate_differs,
    prepared_differs,
    previous_vector,
    ran,
)
from hil.contract.causes import tensor_cause, values_cause
from hil.contract.causes.pair import Pair, pair_of
from hil.contract.causes.source import source_of
from hil.contract.ready import asked, refused, unready
from hil.contract.tensors import of_each_input
from hil.contract.types import Check, CheckResult, Evidence, Section
from hil.contract.verdict import Sheet, add_differences, number
from hil.records import Can, GateReason, Status
from hil.reference.gate import judge
from hil.reference.own import allowance, distance
from hil.reference.prepare import clipped, digest
from hil.tensor import Elements, ElementType, TensorContract, bits, ranks


@dataclass(frozen=True)
class PreparedDifference:
    """The device's prepared tensor for one vector whose digest is not the reference's; [input elements].
    tensor: name of the input, where there are several.
    """

    vector: int
    observed: Elements
    tensor: str = ""


@dataclass(frozen=True)
class PreparedTensors(Section):
    """The device's tensors of the first vectors whose digest is not the reference's. taken: of a front end of the
    product's own, by vector, all of those whose tensor may be right nevertheless.
    """

    differences: tuple[PreparedDifference, ...] = ()
    taken: Mapping[int, Elements] = field(default_factory=dict)


def _always(_: Case) -> bool:
    return True


# ---- the tensor, as the device's hello shows it ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Field:
    """One field of the input tensor: how to read and word it, and what the bundle status for it says in its detail."""

    name: str
    status: int  # bundle status that refuses a model for this field (docs/bundle-format.md)
    value: Callable[[TensorContract], str]
    detail: Callable[[int], str]
    hint: str


def _scale_text(scale: float) -> str:
    bits = struct.unpack("<I", struct.pack("<f", scale))[0]
    return f"{np.float32(scale)!s} (bits 0x{bits:08x})"


_FIELDS = (
    _Field(
        "type",
        40,
        lambda tensor: tensor.dtype,
        lambda code: f"tensor type code {code} of the TFLite schema",
        "build the bundle from the model that is flashed",
    ),
    _Field(
        "shape",
        41,
        lambda tensor: str(list(tensor.shape)),
        lambda place: f"another shape; first differing dimension: {place}",
        "the window or the channels of the case do not fit this model: was another model flashed?",
    ),
    _Field(
        "scale",
        42,
        lambda tensor: _scale_text(tensor.quantisation.scale),
        lambda bits: _scale_text(struct.unpack("<f", struct.pack("<I", bits))[0]),
        "the model was quantised anew: build the bundle from the model that is flashed",
    ),
    _Field(
        "zero_point",
        43,
        lambda tensor: str(tensor.quantisation.zero_point),
        lambda word: str(struct.unpack("<i", struct.pack("<I", word))[0]),
        "the model was quantised anew: build the bundle from the model that is flashed",
    ),
)


def _judge_field(field: _Field, evidence: Evidence) -> CheckResult:
    hello = evidence.hello
    sheet = Sheet(f"input.{field.name}", evidence)
    expected = field.value(evidence.case.model.input)
    if hello.bundle_status == field.status:
        sheet.add(expected, field.detail(hello.bundle_detail), hint=field.hint)
    elif reason := refused(evidence):
        return sheet.not_judged(reason)
    elif (observed := field.value(hello.input)) != expected:
        sheet.add(expected, observed, hint=field.hint)
    return sheet.result()


# ---- what the bundle says of gate and prepare ------------------------------------------------------------------------


def _judge_parameters(evidence: Evidence) -> CheckResult:
    sheet = Sheet("input.parameters", evidence)
    add_differences(sheet, evidence, "input", lambda field: "prepare" if field.startswith("prepare") else "gate")
    return sheet.result()


# ---- the prepared tensor ---------------------------------------------------------------------------------------------


def _judge_prepared(evidence: Evidence) -> CheckResult:
    sheet = Sheet("input.prepared", evidence)
    compared = comparable(evidence)
    if reason := unready(evidence) or asked(compared, evidence):
        return sheet.not_judged(reason)
    broken = blame(evidence)
    observed = {
        difference.vector: difference.observed
        for difference in evidence.section(PreparedTensors).differences
        if difference.tensor in ("", evidence.case.model.input.name)
    }
    offending = prepared_differs(evidence)
    causes = _likely_causes(evidence, observed)

    def describe(vector: int) -> None:
        row = evidence.references.prepared[vector]
        expected, seen, hint = _prepared_words(evidence, vector, row, observed.get(vector), causes.get(vector, ""))
        sheet.add(expected, seen, vector=evidence.case.vectors.name(vector), stage=broken.text(vector), hint=hint)

    facts, element = _reference_facts(evidence), evidence.case.model.input.element
    reported = _Facts(evidence.records.minimum, evidence.records.maximum, evidence.records.saturated)
    matching = _matching(evidence)

    def describe_facts(vector: int) -> None:
        sheet.add(
            facts.text(vector, element),
            f"{reported.text(vector, element)}, though the digest is the reference's",
            vector=evidence.case.vectors.name(vector),
            stage="prepare",
            hint=FACTS_HINT,
        )

    sheet.each(np.flatnonzero(offending), describe)
    sheet.each(np.flatnonzero(matching & facts.differ(reported)), describe_facts)
    numbers: dict[str, float]
    numbers = {"vectors_compared": int(compared.sum()), "vectors_that_differ": int(offending.sum())}
    return sheet.result(numbers=numbers | reported.overall(np.flatnonzero(compared), element))


FACTS_HINT = "the tensor is right: check how the device finds minimum, maximum and saturated elements"


@dataclass(frozen=True)
class _Facts:
    """Minimum and maximum (as ranks) and number of saturated elements of each prepared tensor; int32 [n] each."""

    minimum: NDArray[np.int32]
    maximum: NDArray[np.int32]
    saturated: NDArray[np.int32]

    def differ(self, other: _Facts) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = (
            (self.minimum != other.minimum) | (self.maximum != other.maximum) | (self.saturated != other.saturated)
        )
        return mask

    def overall(self, rows: NDArray[np.intp], element: ElementType) -> dict[str, float]:
        """What the device said of these vectors, at least one, in the tensor's own values."""
        least, greatest = (
            element.of_ranks(rank).item() for rank in (self.minimum[rows].min(), self.maximum[rows].max())
        )
        counted = "not_finite" if element.real else "saturated"
        return {"minimum": least, "maximum": greatest, counted: int(self.saturated[rows].sum())}

    def text(self, vector: int, element: ElementType) -> str:
        both = ends(element, self.minimum[vector], self.maximum[vector])
        return f"{both}, {self.saturated[vector]} {counted(element)}"


def counted(element: ElementType) -> str:
    """What a record's `saturated` counts in a tensor of this type."""
    return "not finite" if element.real else "saturated"


def ends(element: ElementType, minimum: int | np.integer[Any], maximum: int | np.integer[Any]) -> str:
    """The ends of a tensor, from ranks."""
    low, high = (element.of_ranks(rank) if element.real else rank for rank in (minimum, maximum))
    return f"min {low}, max {high}"


def _matching(evidence: Evidence) -> NDArray[np.bool_]:
    """Vectors on which the device prepared the reference's tensor."""
    return comparable(evidence) & ~prepared_differs(evidence)


def _reference_facts(evidence: Evidence) -> _Facts:
    """Of the reference's tensors, where the digest matches; elsewhere zeros."""
    prepared = evidence.references.prepared
    facts = _Facts(*(np.zeros(len(evidence.records), np.int32) for _ in range(3)))
    for rows in blocks(np.flatnonzero(_matching(evidence)), prepared.shape[1]):
        block = ranks(prepared[rows])
        facts.minimum[rows], facts.maximum[rows] = block.min(axis=1), block.max(axis=1)
        facts.saturated[rows] = evidence.case.model.input.element.saturated(prepared[rows]).sum(axis=1)
    return facts


def _prepared_words(
    evidence: Evidence, vector: int, row: Elements, tensor: Elements | None, cause: str
) -> tuple[str, str, str]:
    """Expected, observed and hint of one vector that differs: digest, then min and max, then the first element."""
    records, references = evidence.records, evidence.references
    element, ranked = evidence.case.model.input.element, ranks(row)
    expected = [f"digest {int(references.digest[vector]):08x}", ends(element, ranked.min(), ranked.max())]
    observed = [
        f"digest {int(records.digest[vector]):08x}",
        ends(element, records.minimum[vector], records.maximum[vector]),
    ]
    stage = f"compare the device's {evidence.case.prepare.name} with docs/pipeline.md"
    if evidence.case.prepare.own:
        stage = "compare the front end with what made the expected tensor"
    if tensor is None:
        why = untold(evidence.hello.can, Can.FETCH) or "the tensor of this vector was not fetched"
        return "; ".join(expected), "; ".join(observed), f"{stage}; {why}"
    known = records.digest[vector], references.digest[vector]
    if not evidence.case.prepare.own and len(tensor) == len(row) and digest(tensor) not in known:
        observed.append(f"the tensor fetched afterwards has the digest {digest(tensor):08x}")
        why = "what fetch gives is not the tensor that the record's digest is of: mend what the firmware keeps for it"
        return "; ".join(expected), "; ".join(observed), f"{why}; {stage}"
    if len(tensor) == len(row):
        different = np.flatnonzero(_differ(evidence.case, row, tensor))
        if not len(different):
            repeated = "the tensor fetched afterwards is the reference's: the difference did not repeat"
            if evidence.case.prepare.own:
                repeated = f"the tensor fetched afterwards has the digest {digest(tensor):08x}, and is right"
            return "; ".join(expected), f"{'; '.join(observed)}; {repeated}", "look for a race or uninitialised memory"
        first = int(different[0])
        if evidence.case.prepare.own and (allowed := allowance(evidence.case)):
            stage = f"{number(allowed)} is allowed, {number(distance(row, tensor).max())} is the most there; {stage}"
        expected.append(f"{row[first]} at {element_name(evidence.case, first)}")
        observed.append(f"{tensor[first]} there, {len(different):,} of {len(row):,} elements differ")
    if len(tensor) != len(row):
        cause = f"the tensor has {len(tensor)} elements instead of {len(row)}"
    return "; ".join(expected), "; ".join(observed), f"looks like {cause}" if cause else stage


def _differ(case: Case, wanted: Elements, observed: Elements) -> NDArray[np.bool_]:
    """Elements that are not as they should be, [input elements]."""
    if case.prepare.own:
        return distance(wanted, observed) > allowance(case)
    off: NDArray[np.bool_] = bits(observed) != bits(wanted)
    return off


def _likely_causes(evidence: Evidence, observed: Mapping[int, Elements]) -> dict[int, str]:
    """What the differences of the device's tensors look like, by vector, "" for nothing known: what they have in
    common, unless one has a shape of its own.
    """
    pairs = {vector: _pair(evidence, vector, tensor) for vector, tensor in observed.items()}
    different = {vector: pair for vector, pair in pairs.items() if pair is not None and pair.different.any()}
    stage = evidence.case.prepare.id
    common = values_cause(list(different.values()), stage) if different else ""
    return {vector: tensor_cause(pair, stage, common) for vector, pair in different.items()}


def _pair(evidence: Evidence, vector: int, tensor: Elements) -> Pair | None:
    row = evidence.references.prepared[vector]
    if len(tensor) != len(row):
        return None
    previous = previous_vector(evidence, vector)
    return pair_of(
        row,
        tensor,
        zero_point=evidence.case.model.input.quantisation.zero_point,
        channels=tensor_channels(evidence.case),
        previous=None if previous is None else evidence.references.prepared[previous],
        source=source_of(evidence.case, vector),
    )


def tensor_channels(case: Case) -> int:
    """Channels of the prepared tensor: elements that belong to one sample."""
    if case.prepare.id in ("tensor", OWN):
        shape = case.model.input.shape
        return shape[-1] if len(shape) > 1 else 1
    return len(case.prepare.channels) or case.window.channels


def element_name(case: Case, index: int) -> str:
    """Where a flat element of the input tensor lies: sample and channel; for `tensor/1`, and a front end
    of the product's own, its place in the tensor.
    """
    if case.prepare.id in ("tensor", OWN):
        place = np.unravel_index(index, case.model.input.shape[1:] or (1,))
        return str([int(part) for part in place])
    sample, channel = divmod(index, tensor_channels(case))
    return f"[sample {sample}, channel {channel}]"


def _judge_saturation(evidence: Evidence) -> CheckResult:
    limit = evidence.case.contracts.saturation
    assert limit is not None  # applies() asks for it
    sheet = Sheet("input.saturation", evidence, limit)
    counted = done(evidence.records)
    if evidence.case.model.input.element.real:
        return sheet.not_judged("a float32 input has no ends at which it saturates: see input.prepared and input.gate")
    if reason := unready(evidence) or asked(counted, evidence):
        return sheet.not_judged(reason)
    # The device's own count only where its tensor is not known to be the reference's.
    own = np.where(counted, evidence.records.saturated, 0)
    saturated = np.where(_matching(evidence), _reference_facts(evidence).saturated, own)
    elements = evidence.case.model.input.elements
    share = float(saturated.sum()) / (int(counted.sum()) * elements)
    if not limit.holds(share):
        worst = int(saturated.argmax())
        sheet.add(
            f"share {limit}",
            f"{number(share)} over {number(int(counted.sum()))} vectors; most on "
            f"{evidence.case.vectors.name(worst)}: {saturated[worst]} of {elements} elements",
            stage="prepare" if prepared_differs(evidence).any() else "",
            hint=_saturation_hint(evidence),
        )
    numbers = {"vectors": int(counted.sum()), "most_in_one_vector": int(saturated.max())}
    return sheet.result(value=share, numbers=numbers)


def _saturation_hint(evidence: Evidence) -> str:
    if prepared_differs(evidence).any():
        return "prepared tensors differ from the reference: see input.prepared first"
    if (done(evidence.records) & ~comparable(evidence)).any():
        return "windows that the gate must reject count here too: see input.gate first"
    return f"the reference saturates as much: {input_cure(evidence.case)}"


def clipped_shares(case: Case, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of each tensor channel the share of elements that the clamp of prepare cuts (hil.reference.prepare.clipped), over
    these vectors, at least one.
    """
    channels = tensor_channels(case)
    cut = np.zeros(channels, np.int64)
    for block in blocks(rows, case.model.input.elements):
        elements = clipped(case.vectors.windows[block], case.prepare, case.model.input)
        cut += elements.reshape(-1, channels).sum(axis=0)
    shares: NDArray[np.float64] = cut / (len(rows) * case.model.input.elements // channels)
    return shares


def input_cure(case: Case) -> str:
    """What can be wrong with the way from a window to the tensor, by the keys and parts that its prepare stage has."""
    scale = f"its input scale {case.model.input.quantisation.scale:.6g}"
    calibrate = f"calibrate the model on data like these windows ({scale} does not fit them)"
    if case.prepare.id == "scale":
        return f"{calibrate}, or mend full_scale and offset"
    if case.prepare.own:
        return f"{calibrate}, or mend the front end"
    if case.prepare.id == "quantize":
        return f"{calibrate}, or bring the windows into the units that it was trained in"
    return f"{calibrate}, or quantise the windows with {scale}"


# ---- the gate --------------------------------------------------------------------------------------------------------


def _judge_gate(evidence: Evidence) -> CheckResult:
    sheet = Sheet("input.gate", evidence)
    judged = ran(evidence.records)
    if reason := unready(evidence) or asked(judged, evidence):
        return sheet.not_judged(reason)
    offending = gate_differs(evidence)
    name = evidence.case.vectors.name

    def describe(vector: int) -> None:
        wanted, given = int(evidence.references.gate[vector]), int(evidence.records.gate[vector])
        rejected = evidence.records.status[vector] == Status.REJECTED
        sheet.add(
            gate_words(wanted, wanted != GateReason.VALID) + _of_which_input(evidence.case, vector),
            gate_words(given, bool(rejected)),
            vector=name(vector),
            stage="gate",
            hint=_gate_hint(wanted, bool(rejected)),
        )

    def describe_column(vector: int) -> None:
        column = (evidence.case.vectors.reject or ())[vector]
        sheet.add(
            gate_words(int(evidence.references.gate[vector]), evidence.references.gate[vector] != GateReason.VALID),
            f"`reject` column of the vectors: {column or 'none'}",
            vector=name(vector),
            hint="the case contradicts itself: fix `reject` or [input.gate]",
        )

    def describe_label(vector: int) -> None:
        sheet.add(
            "a rejected window has no label",
            f"rejected, and labelled {evidence.records.label_texts[evidence.records.label[vector]]!r}",
            vector=name(vector),
            stage="gate",
            hint="the decide stage ran on a window that the gate refused: check what runs after a rejection",
        )

    rejected = evidence.records.status == Status.REJECTED
    sheet.each(np.flatnonzero(offending), describe)
    sheet.each(np.flatnonzero(rejected & (evidence.records.label >= 0)), describe_label)
    sheet.each(np.flatnonzero(_column_differs(evidence) & judged), describe_column)
    return sheet.result(numbers={"vectors": int(judged.sum()), "rejected": int(rejected.sum())})


def _of_which_input(case: Case, vector: int) -> str:
    """Whose window is not valid, of a case with several."""
    for one in case.of_inputs if case.further else ():
        if judge(Vectors(one.vectors.windows[[vector]]), one)[0] != GateReason.VALID:
            return f", for the window of {one.model.input.name!r}"
    return ""


def _column_differs(evidence: Evidence) -> NDArray[np.bool_]:
    """The case's own `reject` column says something else than the reference's gate."""
    column = evidence.case.vectors.reject
    if column is None:
        return np.zeros(len(evidence.records), np.bool_)
    codes = {"": GateReason.VALID, **{reason.name.lower(): reason for reason in GateReason if reason}}
    wanted = np.fromiter((codes.get(reason, -1) for reason in column), np.int16, len(column))
    differs: NDArray[np.bool_] = wanted != evidence.references.gate.astype(np.int16)
    return differs


def gate_words(reason: int, rejected: bool) -> str:
    if not rejected:
        return "valid"
    return f"rejected: {reason_name(reason)}" if reason else "rejected without a reason"


def reason_name(reason: int) -> str:
    return {known.value: known.name.lower() for known in GateReason}.get(reason, f"unknown reason {reason}")


def _gate_hint(wanted: int, rejected: bool) -> str:
    if not rejected:
        return "a malformed window went into the model: check the order and bounds of the gate's rules"
    if wanted == GateReason.VALID:
        return "a valid window was lost: check the gate's bounds, and the capture number if the reason is stale"
    return "rejected for another reason: the first rule that holds must give it (docs/pipeline.md)"


CHECKS = (
    *(
        Check(
            f"input.{field.name}",
            f"{field.name.replace('_', ' ')} of the input tensor: the device's against the case's model",
            formula,
            _always,
            of_each_input(partial(_judge_field, field)),
        )
        for field, formula in zip(
            _FIELDS,
            (
                "hello.input.type = model.input.type",
                "hello.input.shape = model.input.shape",
                "float32 bits of hello.input.scale = float32 bits of model.input.scale",
                "hello.input.zero_point = model.input.zero_point",
            ),
            strict=True,
        )
    ),
    Check(
        "input.parameters",
        "window, gate and prepare parameters in the provisioned bundle",
        "bundle.window, gate, prepare, input = those of the case",
        _always,
        _judge_parameters,
    ),
    Check(
        "input.prepared",
        "prepared tensor of every vector: digest, then min and max, then the first differing element",
        "CRC-32, minimum, maximum, saturated (device tensor) = those of the reference tensor",
        _always,
        of_each_input(_judge_prepared),
    ),
    Check(
        "input.saturation",
        "share of saturated elements of the prepared tensors",
        "saturated elements (of the reference tensor; of the device's count on another digest) / "
        "(vectors done * input elements)",
        lambda case: case.contracts.saturation is not None,
        of_each_input(_judge_saturation),
    ),
    Check(
        "input.gate",
        "verdict of the validity gate on every vector, and the case's own `reject` column",
        "device verdict = reference verdict = `reject`",
        _always,
        _judge_gate,
    ),
)
