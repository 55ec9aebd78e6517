"""Knows how a run stands to its accepted baseline: whether the two can be compared, and what was put in otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.baseline.types import Baseline
from hil.contract import accuracy, agreement, measured
from hil.contract.blame import blocks
from hil.contract.tensors import output_views
from hil.contract.types import Evidence
from hil.records import Status
from hil.tensor import steps_between

Mask = NDArray[np.bool_]
ACCEPT = "hil baseline accept RUN --reason ..."
_SHORT = 12  # digits of a hash that people compare


def accepted(evidence: Evidence) -> Baseline:
    """The baseline of a run that has one."""
    assert evidence.baseline is not None  # standing() asks first
    return evidence.baseline.baseline


def standing(evidence: Evidence) -> str:
    """Why this run cannot be held against a baseline; "" when it can."""
    if evidence.baseline is None:
        others = ", ".join(evidence.case.baselines) or "none"
        return f"no accepted baseline on board {evidence.board} (there is: {others}): {ACCEPT}"
    return "not comparable with the accepted baseline: see baseline.valid" if any(obstacles(evidence)) else ""


def other_compiler(evidence: Evidence) -> str:
    """Why time and size say nothing of the sources: each version of a compiler makes other code of them. "" when it is
    the same one; other flags are the project's own choice, and are compared.
    """
    before, now = (name or "unknown" for name in (accepted(evidence).made.compiler, evidence.hello.compiler))
    if before == now:
        return ""
    return f"accepted with compiler {before}, this is {now}: build with that one, or accept a run of this one: {ACCEPT}"


def obstacles(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """What makes a comparison meaningless: accepted, now, and the next step."""
    before = accepted(evidence)
    again = f"accept a run of this one: {ACCEPT}"
    wrong = "the file was copied or renamed: restore it, or delete it and accept a run of this one"
    clock = measured.clock_facts(evidence.clock)
    yield from _unless_same("board", before.board, evidence.board, wrong)
    yield from _unless_same("target", before.target, evidence.hello.target, again)
    for name in ("kind", "unit", "hz", "deterministic"):
        yield from _unless_same(f"clock {name}", getattr(before.clock, name), getattr(clock, name), again)
    yield from _unless_same("case", before.case, evidence.case.name, wrong)
    vectors = measured.made(evidence).vectors_sha256
    same_vectors = before.made.vectors_sha256 == vectors
    if not same_vectors:
        yield (
            f"vectors {before.made.vectors_sha256[:_SHORT]} ({len(before.columns):,})",
            f"{vectors[:_SHORT]} ({len(evidence.records):,})",
            f"other windows measure something else: raise [case] version, then {again}",
        )
        return
    decided = evidence.case.model.output.name
    if decided in [each.name for each in before.further_outputs]:
        yield "another output that is decided on", repr(decided), again
        return
    for view in output_views(evidence):
        shapes = accepted(view).columns.output.shape, view.records.output.shape
        if shapes[0] != shapes[1] and not missing(view):
            of = "" if view is evidence else f" of {view.case.model.output.name!r}"
            yield f"outputs{of} [vectors, elements] {list(shapes[0])}", f"{list(shapes[1])}", again


def missing(view: Evidence) -> str:
    """Why the one output of this view cannot be held against the baseline, which does not have it; "" when it does."""
    if accepted(view).columns.output.shape[1]:
        return ""
    return f"accepted before it was kept: accept a run: {ACCEPT}"


def unkept(evidence: Evidence) -> list[str]:
    """Tensors that the baseline does not have, by name: it was accepted before they were kept."""
    before, model = accepted(evidence), evidence.case.model
    kept = [each.name for each in before.further_inputs]
    inputs = [f"input {each.name!r}" for each in model.inputs[1:] if each.name not in kept]
    outputs = [view.case.model.output.name for view in output_views(evidence) if missing(view)]
    return inputs + [f"output {name!r}" for name in outputs]


def other_version(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Another version of the case has to be accepted; what the same vectors gave is compared all the same, so that
    nothing hides behind a version that was raised.
    """
    before = accepted(evidence)
    if before.version != evidence.case.version:
        hint = f"{put_in(evidence)}: `hil baseline diff RUN` shows what changed, then accept a run: {ACCEPT}"
        yield f"case version {before.version}", f"version {evidence.case.version}", hint


def done_in_both(evidence: Evidence) -> Mask:
    """Vectors that went through the whole pipeline in both runs."""
    both: Mask = (accepted(evidence).columns.status == Status.DONE) & (evidence.records.status == Status.DONE)
    return both


def ran_in_both(evidence: Evidence) -> Mask:
    """Vectors that were done or rejected in both runs."""
    both: Mask = np.ones(len(evidence.records), np.bool_)
    for status in (accepted(evidence).columns.status, evidence.records.status):
        both &= np.isin(status, (Status.DONE, Status.REJECTED))
    return both


def output_changes(evidence: Evidence) -> NDArray[np.int64]:
    """Largest distance of an output from the accepted one in steps of its type, [n]; 0 where a vector was not done in
    both runs.
    """
    before, distance = accepted(evidence).columns.output, np.zeros(len(evidence.records), np.int64)
    if before.shape != evidence.records.output.shape:
        return distance  # of another output, or none
    for rows in blocks(np.flatnonzero(done_in_both(evidence)), before.shape[1]):
        distance[rows] = steps_between(evidence.records.output[rows], before[rows]).max(axis=1, initial=0)
    return distance


def any_output_changed(evidence: Evidence) -> Mask:
    """Vectors on which any output of the model changed, as far as the baseline has them."""
    mask: Mask = np.logical_or.reduce([output_changes(view) > 0 for view in output_views(evidence)])
    return mask


def accuracies(evidence: Evidence) -> tuple[float | None, float | None]:
    """Share of right answers, accepted and now, over the vectors that ran in both runs."""
    before, both = accepted(evidence).columns, ran_in_both(evidence)
    answers = np.where(before.status == Status.DONE, before.answer, -1)
    return accuracy.accuracy(evidence, both, answers), accuracy.accuracy(evidence, both)


@dataclass(frozen=True)
class AgreementPair:
    """One agreement figure, `before` as accepted and `now`; `chain`: of the whole chain, else of the prepared tensor.

    tensor: the same two of the prepared tensor.
    """

    before: float
    now: float
    tensor: tuple[float, float]
    chain: bool


def agreements(evidence: Evidence) -> dict[str, AgreementPair]:
    """Agreement figures that both runs have, over the vectors done in both: those of the whole chain, or of the
    prepared tensor where the baseline was accepted before it kept others.

    When this run lost vectors, the accepted ones are computed again without them, if the float model is the same.
    """
    before, both = accepted(evidence), done_in_both(evidence)
    now = agreement.figures(evidence, both)
    tensor, chain = dict(before.agreement), dict(before.agreement_chain)
    lost = (before.columns.status == Status.DONE) & ~both
    if lost.any() and before.made.float_model_sha256 == measured.made(evidence).float_model_sha256:
        again = agreement.figures(evidence, both, before.columns.output)
        tensor = {key: figure.tensor for key, figure in again.items()}
        chain = {key: figure.chain for key, figure in again.items()} if chain else {}
    pairs = {}
    for key, figure in now.items():
        if key in chain:
            pairs[key] = AgreementPair(chain[key], figure.chain, (tensor.get(key, chain[key]), figure.tensor), True)
        elif key in tensor:
            pairs[key] = AgreementPair(tensor[key], figure.tensor, (tensor[key], figure.tensor), False)
    return pairs


def prepared_changes(evidence: Evidence) -> Mask:
    """Vectors with another prepared tensor, of any input that the baseline has."""
    mask: Mask = done_in_both(evidence) & np.logical_or.reduce([*_digest_changes(evidence).values()])
    return mask


def inputs_that_changed(evidence: Evidence, rows: NDArray[np.intp]) -> list[str]:
    """Names of the inputs of which any of these vectors has another prepared tensor."""
    return [name for name, changed in _digest_changes(evidence).items() if changed[rows].any()]


def _digest_changes(evidence: Evidence) -> dict[str, Mask]:
    before, records, inputs = accepted(evidence), evidence.records, evidence.case.model.inputs
    kept = {each.name: each.digest for each in before.further_inputs}
    further = zip(inputs[1:], records.inputs, strict=True)
    return {
        inputs[0].name: before.columns.digest != records.digest,
        **{tensor.name: kept[tensor.name] != seen.digest for tensor, seen in further if tensor.name in kept},
    }


def decision_changes(evidence: Evidence) -> Mask:
    """Vectors with another verdict of the gate, another answer, or another reason for it."""
    before, now = accepted(evidence).columns, evidence.records
    labels = accepted(evidence).decision.labels, evidence.case.decide.labels
    texts = np.unique([*labels[0], *labels[1], ""], return_inverse=True)[1]  # index -1: no label
    first, second = texts[: len(labels[0])], texts[len(labels[0]) : -1]
    other: Mask = (before.status != now.status) | (before.gate != now.gate) | (before.reason != now.reason)
    answers = [np.append(codes, -1)[answer] for codes, answer in ((first, before.answer), (second, now.answer))]
    changed: Mask = ran_in_both(evidence) & (other | (answers[0] != answers[1]))
    return changed


def same_work(evidence: Evidence, stage: str) -> Mask:
    """Vectors on which a stage (or all, for the total) made the same of the same: its time may depend on the data.

    Another model makes nothing the same way, whatever comes out.
    """
    same: Mask = done_in_both(evidence) & ~prepared_changes(evidence)
    if stage == "prepare":
        return same
    if stage != "decide" and accepted(evidence).made.model_sha256 != evidence.case.model.sha256:
        return np.zeros_like(same)
    same &= ~any_output_changed(evidence)
    return same if stage == "invoke" else same & ~decision_changes(evidence)


def _unless_same(what: str, before: object, now: object, hint: str) -> Iterator[tuple[str, str, str]]:
    if before != now:
        yield f"{what} {before}", f"{what} {now}", hint


def put_in(evidence: Evidence) -> str:
    """What was put in otherwise than accepted, in words; says so when nothing was."""
    before, now = accepted(evidence).made, measured.made(evidence)
    words = []
    if before.model_sha256 != now.model_sha256:
        words.append(f"another model ({before.model_sha256[:_SHORT]} -> {now.model_sha256[:_SHORT]})")
    if before.float_model_sha256 != now.float_model_sha256:
        words.append("another float model")
    words += _decide(evidence)
    for name in ("compiler", "kernels", "firmware"):
        first, second = getattr(before, name), getattr(now, name)
        if first != second:
            other = "other" if name == "kernels" else "another"
            words.append(f"{other} {name} ({first or 'unknown'} -> {second or 'unknown'})")
    if before.flags != now.flags:
        words.append(f"other compiler flags ({_flags(before.flags, now.flags)})")
    if before.firmware_sha256 != now.firmware_sha256:
        words.append(f"another image ({before.firmware_sha256[:_SHORT]} -> {now.firmware_sha256[:_SHORT]})")
    if before.files.get("case.toml") != now.files.get("case.toml"):
        words.append("another case.toml")
    return f"not as accepted: {', '.join(words)}" if words else "image, model and case are the accepted ones"


def _decide(evidence: Evidence) -> list[str]:
    first, second = accepted(evidence).decision, measured.decision_facts(evidence)
    names = [name for name in type(first).model_fields if getattr(first, name) != getattr(second, name)]
    if first.release == first.threshold and second.release == second.threshold and "release" in names:
        names.remove("release")  # it was not set, and goes with the threshold
    return [f"another {name} of decide ({getattr(first, name)} -> {getattr(second, name)})" for name in names]


def _flags(before: str, now: str) -> str:
    first, second = before.split(), now.split()
    gone = [f"without {flag}" for flag in first if flag not in second]
    new = [f"with {flag}" for flag in second if flag not in first]
    return ", ".join((*gone, *new)) or "in another order"
