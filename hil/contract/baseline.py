"""Knows the baseline contract: a run against the accepted measurements of its case and board, in order of triage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hil.baseline.columns import Columns
from hil.baseline.sizes import kept
from hil.case.types import STAGES, Case
from hil.contract import measured
from hil.contract.accepted import (
    ACCEPT,
    accepted,
    accuracies,
    agreements,
    decision_changes,
    done_in_both,
    inputs_that_changed,
    missing,
    obstacles,
    other_compiler,
    other_version,
    output_changes,
    prepared_changes,
    put_in,
    ran_in_both,
    standing,
    unkept,
)
from hil.contract.baseline_latency import judge_stage
from hil.contract.blame import blame
from hil.contract.distance import allowed_since
from hil.contract.ready import unready
from hil.contract.tensors import of_each_output
from hil.contract.types import Check, CheckResult, Evidence
from hil.contract.verdict import Sheet, number, plural
from hil.ledger import changes
from hil.ledger_text import grown
from hil.records import DecisionReason, GateReason, RunRecords, Status

Mask = NDArray[np.bool_]
LOWER_IS_BETTER = ("max_abs_error", "flips")
# What float arithmetic of another host may do to a figure: no more than this is ever a change.
ROUNDING = {"sqnr_db": 1e-3}
ROUNDING_OTHERS = 1e-6
# A window of a product ends in the same place each time; an interrupt may or may not fall on its deepest call. On a
# clock that does not repeat, the run does not either: a frame with floating point registers is 104 bytes on Armv7-M.
INTERRUPT_BYTES = 128
_SHOWN_SYMBOLS = 6  # that grew, in a hint
_LOOKED_AT = 1000  # vectors that a hint looks at


def _judge_valid(evidence: Evidence) -> CheckResult:
    sheet = Sheet("baseline.valid", evidence)
    if evidence.baseline is None:
        return sheet.not_judged(standing(evidence))
    for expected, observed, hint in (*obstacles(evidence), *other_version(evidence)):
        sheet.add(expected, observed, hint=hint)
    lacks = ", ".join(unkept(evidence))
    without = f"not compared, as it was accepted before they were kept: {lacks}: {ACCEPT}" if lacks else ""
    return sheet.result(reason="" if sheet.total else "; ".join(filter(None, (put_in(evidence), without))))


# ---- outputs and decisions -------------------------------------------------------------------------------------------


def _judge_outputs(evidence: Evidence) -> CheckResult:
    sheet = Sheet("baseline.outputs", evidence)
    reason = standing(evidence) or _cannot(evidence) or _no_vector(done_in_both(evidence))
    if reason:
        return sheet.not_judged(reason)
    allowance = allowed_since(evidence.case)
    allowed, unit = allowance.steps, allowance.element.step
    distance, prepared = output_changes(evidence), prepared_changes(evidence)
    for stage, mask in (("prepare", prepared), ("invoke", ~prepared)):
        rows = np.flatnonzero(mask & (distance > allowed))
        if not len(rows):
            continue
        worst = rows[np.argsort(-distance[rows], kind="stable")[:3]]
        names = ", ".join(evidence.case.vectors.name(int(row)) for row in worst)
        tensors = _prepared(evidence, rows) if stage == "prepare" else "the accepted prepared tensor"
        sheet.add(
            f"the accepted outputs{f', within {allowed} {unit}' if allowed else ''}",
            f"{plural(len(rows), 'vector')} of {int(done_in_both(evidence).sum()):,} changed by up to"
            f" {int(distance[rows].max()):,} {unit}, from {tensors}; most: {names}",
            vector=evidence.case.vectors.name(int(worst[0])),
            stage=stage,
            hint=_hint(evidence, rows),
        )
    numbers = {
        "vectors_compared": int(done_in_both(evidence).sum()),
        "vectors_changed": int((distance > 0).sum()),
        "prepared_changed": int(prepared.sum()),
    }
    return sheet.result(value=float(distance.max(initial=0)), unit=unit, reason=_lost(evidence), numbers=numbers)


def _cannot(view: Evidence) -> str:
    """Why the one output of this view cannot be compared."""
    return missing(view) or unready(view)


def _prepared(evidence: Evidence, rows: NDArray[np.intp]) -> str:
    """What became another one on these vectors; of several inputs by name."""
    if len(evidence.case.model.inputs) == 1:
        return "another prepared tensor"
    return f"another prepared tensor of input {', '.join(map(repr, inputs_that_changed(evidence, rows)))}"


def _judge_decisions(evidence: Evidence) -> CheckResult:
    sheet = Sheet("baseline.decisions", evidence)
    if reason := standing(evidence) or unready(evidence) or _no_vector(ran_in_both(evidence)):
        return sheet.not_judged(reason)
    rows = np.flatnonzero(decision_changes(evidence))
    before, now = accepted(evidence), evidence.records
    distance, prepared = output_changes(evidence), prepared_changes(evidence)
    hint = _hint(evidence, rows)

    def describe(vector: int) -> None:
        gate = before.columns.status[vector] != now.status[vector] or before.columns.gate[vector] != now.gate[vector]
        origin = "prepare" if prepared[vector] else "invoke" if distance[vector] else "decide"
        sheet.add(
            _answer(before.columns, before.decision.labels, before.decision.unknown, vector),
            _answer(now, evidence.case.decide.labels, evidence.case.decide.unknown, vector),
            vector=evidence.case.vectors.name(vector),
            stage="gate" if gate else origin,
            hint=hint,
        )

    sheet.each(rows, describe)
    numbers = {"vectors_compared": int(ran_in_both(evidence).sum()), "vectors_changed": len(rows)}
    return sheet.result(value=float(len(rows)), unit="vectors", reason=_lost(evidence), numbers=numbers)


def _answer(rows: Columns | RunRecords, labels: Sequence[str], unknown: str, vector: int) -> str:
    """What became of one vector, in words: `walking (accepted)`, `unknown (below threshold)`, `rejected: range`."""
    if rows.status[vector] == Status.REJECTED:
        return f"rejected: {GateReason(int(rows.gate[vector])).name.lower()}"
    answer, reason = int(rows.answer[vector]), DecisionReason(int(rows.reason[vector]))
    text = labels[answer] if 0 <= answer < len(labels) else unknown
    return f"{text} ({reason.name.lower().replace('_', ' ')})"


def _no_vector(population: Mask) -> str:
    return "" if population.any() else "no vector came through in both runs: see execution.complete and input.gate"


def _lost(evidence: Evidence) -> str:
    """Vectors that the baseline knows and this run has no record of."""
    lost = np.isin(accepted(evidence).columns.status, (Status.DONE, Status.REJECTED)) & ~ran_in_both(evidence)
    count = int(lost.sum())
    return f"{plural(count, 'vector')} without a record: see execution.fault and execution.complete" if count else ""


def _hint(evidence: Evidence, rows: NDArray[np.intp]) -> str:
    """What differs, and whether these vectors break an absolute contract too, which then comes first."""
    found = blame(evidence)
    broken = sorted({check for row in rows[:_LOOKED_AT] if (check := found.check(int(row)))})
    first = f"see {', '.join(broken)} first: these vectors are wrong, not only changed; " if broken else ""
    return first + put_in(evidence)


# ---- accuracy and agreement ------------------------------------------------------------------------------------------


def _judge_accuracy(evidence: Evidence) -> CheckResult:
    sheet = Sheet("baseline.accuracy", evidence)
    if reason := standing(evidence) or unready(evidence):
        return sheet.not_judged(reason)
    before, now = accuracies(evidence)
    if before is None or now is None:
        return sheet.not_judged("no vector with a true label ran in both runs")
    tolerance = evidence.case.contracts.baseline.accuracy
    if before - now > tolerance + ROUNDING_OTHERS:
        sheet.add(
            f"accuracy >= {number(before - tolerance)}",
            f"{number(now)}, accepted {number(before)}",
            hint=f"see baseline.decisions for the vectors; {put_in(evidence)}",
        )
    return sheet.result(value=now, numbers={"accepted": before})


def agreement_worse(key: str, before: float, now: float, tolerance: float) -> bool:
    """Whether an agreement figure is behind the accepted one by more than the tolerance and the rounding of a host."""
    loss = now - before if key in LOWER_IS_BETTER else before - now
    return now != before and not loss <= tolerance + ROUNDING.get(key, ROUNDING_OTHERS)


def _judge_agreement(evidence: Evidence) -> CheckResult:
    sheet = Sheet("baseline.agreement", evidence)
    if reason := standing(evidence) or _cannot(evidence):
        return sheet.not_judged(reason)
    figures = agreements(evidence)
    if not figures:
        return sheet.not_judged("no agreement figure in both runs: is there a float model?")
    for key, pair in figures.items():
        tolerance = evidence.case.contracts.baseline.agreement.get(key, 0.0)
        if agreement_worse(key, pair.before, pair.now, tolerance):
            first, now = map(number, pair.tensor)
            sheet.add(
                f"{key} not worse than {number(pair.before)}{f' by {number(tolerance)}' if tolerance else ''}",
                f"{number(pair.now)}{f'; on the same prepared tensor {first} -> {now}' if pair.chain else ''}",
                hint=f"see baseline.outputs for the vectors; {put_in(evidence)}",
            )
    pairs = (((key, pair.now), (f"{key}_accepted", pair.before)) for key, pair in figures.items())
    reason = "" if all(pair.chain for pair in figures.values()) else _OLD_FIGURES
    return sheet.result(reason=reason, numbers={name: value for both in pairs for name, value in both})


_OLD_FIGURES = "from the same prepared tensor: the baseline is older than the figures of the whole chain; accept a run"


# ---- memory ----------------------------------------------------------------------------------------------------------


def _judge_memory(
    noun: str, judged: Sequence[str], next_step: str, evidence: Evidence, shown: Sequence[str] = ()
) -> CheckResult:
    """A check of sizes that must not grow. judged: those of MemoryFacts that count, each alone; shown: also named."""
    sheet = Sheet(f"baseline.{noun}", evidence)
    by_running = noun in ("arena", "stack")
    if reason := standing(evidence) or _sizes(evidence, noun) or (unready(evidence) if by_running else ""):
        return sheet.not_judged(reason)
    before_all, now_all = accepted(evidence).memory, measured.memory(evidence)
    sizes = [(name, getattr(before_all, name), getattr(now_all, name)) for name in (*judged, *shown)]
    if by_running and not (sizes[0][1] and sizes[0][2]):
        return sheet.not_judged(f"no high-water mark was measured: see memory.{noun}")
    allowed = memory_tolerance(evidence, noun)
    if any(now - before > allowed for _, before, now in sizes[: len(judged)]):
        sheet.add(
            f"{noun} not above the accepted size{f' by more than {number(allowed)} bytes' if allowed else ''}",
            "; ".join(_grown(name, before, now) for name, before, now in sizes),
            hint=f"{_symbols_grown(evidence, noun) or next_step}; {put_in(evidence)}",
        )
    numbers = {key: size for name, before, now in sizes for key, size in ((name, now), (f"{name}_accepted", before))}
    return sheet.result(value=float(sizes[0][2]), unit="bytes", numbers=numbers)


def _symbols_grown(evidence: Evidence, noun: str) -> str:
    """The symbols that take more of the flash or the RAM, where baseline and run both know them; "" otherwise."""
    before, now = accepted(evidence).sizes, evidence.image.ledger
    if noun not in ("flash", "ram") or before is None or not now.known:
        return ""
    words = grown(changes(before, kept(now)), _SHOWN_SYMBOLS, ram=noun == "ram")
    return f"more than accepted take {words}" if words else ""


def memory_tolerance(evidence: Evidence, noun: str) -> int:
    """Bytes that this part of the memory may grow by; a stack under interrupts is never measured to the byte."""
    allowed: int = getattr(evidence.case.contracts.baseline, f"{noun}_bytes")
    return allowed + (INTERRUPT_BYTES if noun == "stack" and not evidence.clock.deterministic else 0)


def _grown(name: str, before: int, now: int) -> str:
    return (
        f"{name.removesuffix('_bytes').replace('_', ' ')} {number(before)} -> {number(now)} bytes ({now - before:+,})"
    )


def _sizes(evidence: Evidence, noun: str) -> str:
    """Why a size cannot be judged here; the arena is laid out by the model, whatever the compiler."""
    if evidence.image.host or accepted(evidence).memory.host:
        return "an image for a workstation: sizes are not the product's"
    if noun in ("flash", "ram") and not evidence.image.known:
        return "no image was given: its sizes are not known"
    return "" if noun == "arena" else other_compiler(evidence)


# ---- the checks ------------------------------------------------------------------------------------------------------


def _has_baseline(case: Case) -> bool:
    return bool(case.baselines)


def _check(name: str, title: str, formula: str, judge: Callable[[Evidence], CheckResult]) -> Check:
    return Check(f"baseline.{name}", title, formula, _has_baseline, judge)


CHECKS = (
    _check(
        "valid",
        "the accepted baseline is of this case version, these vectors, this board and its clock",
        "board, target, clock, case, version, SHA-256 of the vectors, shape of the outputs = accepted",
        _judge_valid,
    ),
    _check(
        "outputs",
        "raw output against the accepted one",
        "max |output - accepted output| <= outputs_lsb (float32: outputs_ulp) over vectors done in both runs",
        of_each_output(_judge_outputs),
    ),
    _check(
        "decisions",
        "every vector's rejection, answer and its reason against the accepted ones",
        "vectors with another gate verdict, answer or reason = 0, over vectors that ran in both runs",
        _judge_decisions,
    ),
    _check("accuracy", "share of right answers", "accepted - accuracy <= tolerance", _judge_accuracy),
    _check(
        "agreement",
        "every figure of the agreement contract, limited or not, of the whole chain",
        "loss against the accepted figure <= tolerance, for each figure",
        of_each_output(_judge_agreement),
    ),
    *(
        _check(
            f"latency.{stage}",
            f"time of {stage if stage != 'total' else 'all stages together'} against the accepted one",
            "deterministic clock: each of p50, p95, p99, max, mean <= accepted * (1 + latency); "
            "cycles: no test over the pairs of windows finds growth",
            partial(judge_stage, stage),
        )
        for stage in STAGES
    ),
    _check(
        "arena",
        "arena against the accepted one",
        "high-water mark, arena_used - accepted <= arena_bytes, each",
        partial(
            _judge_memory,
            "arena",
            ("arena_high_water", "arena_used"),
            "look at the tensors' shapes and the persistent buffers of kernels",
        ),
    ),
    _check(
        "stack",
        "high-water mark of the stack against the accepted one",
        "high-water mark - accepted <= stack_bytes (+ 128 on a clock that does not repeat)",
        partial(
            _judge_memory, "stack", ("stack_high_water",), "look for larger locals and deeper calls (-fstack-usage)"
        ),
    ),
    _check(
        "flash",
        "flash of image and bundle against the accepted one",
        "image flash + bundle - accepted <= flash_bytes",
        partial(
            _judge_memory,
            "flash",
            ("flash_bytes",),
            "compare the map files of the two images",
            shown=("image_flash_bytes", "bundle_bytes", "model_bytes"),
        ),
    ),
    _check(
        "ram",
        "static RAM of the image against the accepted one",
        "image static RAM - accepted <= ram_bytes",
        partial(_judge_memory, "ram", ("ram_bytes",), "compare the map files of the two images"),
    ),
)
