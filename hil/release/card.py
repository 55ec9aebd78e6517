"""The model card of one case, Markdown: what the model is, where its data is from, how good it is, where it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hil.contract.look import MEANT
from hil.errors import UsageError
from hil.gate.demands import Demand
from hil.gate.results import Result
from hil.records import GateReason, Status
from hil.report import comparison
from hil.runfile import Check, Columns, Limit

CARD_FILE = "MODEL_CARD.md"
MOST_VECTORS = 50  # wrong ones that are named
_METRICS = ("decision.accuracy", "input.saturation", "agreement.", "sanity.")
_SPECIAL = re.compile(r"([\\`*\[\]<>|#~]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z]))")  # model_int8 needs no escape


def model_card(results: Sequence[Result], demand: Demand | None, readme: str) -> str:
    """The card of the case that all `results` are of, on several boards. readme: of the case's folder, or ""."""
    first = results[0]
    title = f"# Model card: {text(first.name)}, version {first.case.version}"
    sections = [
        _intended(first, demand),
        _data(first, readme),
        _classes(first),
        *(_metrics(result) for result in results),
        _limits(first),
        _failures(results),
        *(_changes(result) for result in results if result.case.baseline is not None),
        _provenance(results),
        _readme(readme),
    ]
    return "\n\n".join([title, *(section for section in sections if section)]) + "\n"


def text(value: object) -> str:
    """Any value as one line of Markdown text: nothing in it is markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(text(cell) for cell in row)} |" for row in rows)])


def _intended(result: Result, demand: Demand | None) -> str:
    case, rows = result.case, []
    if case.device is not None:
        for name, tensor in case.device.tensors():
            shape = " x ".join(map(str, tensor.shape))
            rows.append((name, f"{tensor.type}, {shape}, {tensor.quantisation}"))
    if case.memory is not None:
        rows.append(("size of the model", f"{case.memory.model_bytes:,} bytes"))
    rows.append(("SHA-256 of the model", case.manifest.model_sha256))
    rows.append(("SHA-256 of the float model", case.manifest.float_model_sha256 or "none: agreement is not shown"))
    if demand is not None:
        rows.append(("locked", "yes" if demand.locked else "no: files of this version can change"))
    return "## The model\n" + _table(("", ""), rows)


def _data(result: Result, readme: str) -> str:
    more = " The case's own page at the end says more." if readme else ""
    vectors = f"{result.case.vectors:,} golden vectors judge the model."
    return f"## Data\n{text(result.case.manifest.source) or 'The case names no source.'}\n\n{vectors}{more}"


def _classes(result: Result) -> str:
    decision = result.case.decision
    if decision is None:
        return "## Classes\nThe case has no decide stage: the output is a value or a vector, not a class."
    columns = _records(result)
    rows: list[tuple[object, ...]] = []
    for index, label in enumerate(decision.labels):
        counted = _counts(columns, index) if columns is not None else ("unknown", "unknown")
        rows.append((label, *counted))
    head = ("class", "vectors with this label", f"answered so on {text(result.board)}")
    rule = f"The rules of the decide stage are the product's own; what is none of these is `{text(decision.unknown)}`."
    if decision.threshold is not None:
        rule = f"A score of {decision.threshold:.6g} or less is answered `{text(decision.unknown)}`."
    return f"## Classes\n{_table(head, rows)}\n\n{rule}"


def _counts(columns: Columns, index: int) -> tuple[str, str]:
    labelled = columns["expected_label"] == index
    right = labelled & (columns["status"] == Status.DONE) & (columns["answer"] == index)
    return f"{int(labelled.sum()):,}", f"{int(right.sum()):,}"


def _metrics(result: Result) -> str:
    case, clock = result.case, result.run.document.board.clock
    rows = [
        (check.id, _value(check), _bounds(check.limit), check.outcome)
        for check in case.checks
        if check.id.startswith(_METRICS)
    ]
    parts = [f"## Metrics on {text(result.board)}", f"Verdict: **{case.verdict}**. {_told(result)}"]
    if rows:
        parts.append(_table(("metric", "value", "limit", "outcome"), rows))
    if case.answers is not None:
        sides = _table(comparison.HEADER, [row.cells for row in comparison.rows(case)])
        parts.append(f"{text(comparison.gap_sentence(case.answers))}\n\n{sides}")
    if case.latency is not None and case.latency.stages:
        unit, kind = case.latency.unit, clock.kind if clock else "unknown"
        head = ("stage", *(f"{name}, {unit}" for name in ("p50", "p95", "p99", "max")))
        stages = case.latency.stages.items()
        times = [(stage, *(f"{at:,}" for at in (it.p50, it.p95, it.p99, it.max))) for stage, it in stages]
        parts.append(f"Latency over distinct windows; the clock counts {text(kind)}.\n\n{_table(head, times)}")
    if case.memory is not None and not case.memory.host:
        it = case.memory
        sizes = (
            ("arena, high-water mark", it.arena_high_water, "no budget" if it.arena_bytes is None else it.arena_bytes),
            ("stack, high-water mark", it.stack_high_water, it.stack_bytes),
            ("flash, image and bundle", it.flash_bytes, "see memory.flash"),
            ("static RAM", it.ram_bytes, "see memory.ram"),
        )
        shown = [(what, f"{used:,}", f"{of:,}" if isinstance(of, int) else of) for what, used, of in sizes]
        parts.append(_table(("memory", "bytes", "of"), shown))
    return "\n\n".join(parts)


def _told(result: Result) -> str:
    outcomes = [check.outcome for check in result.case.checks]
    counts = {outcome: outcomes.count(outcome) for outcome in ("passed", "marginal", "failed", "invalid", "not judged")}
    return ", ".join(f"{count} checks {outcome}" for outcome, count in counts.items() if count) + "."


def _value(check: Check) -> str:
    return "none" if check.value is None else f"{check.value:,.6g} {check.unit}".rstrip()


def _bounds(limit: Limit | None) -> str:
    if limit is None:
        return "none"
    sides = ((">=", limit.minimum), ("<=", limit.maximum))
    return " and ".join(f"{sign} {value:,.6g} {limit.unit}".rstrip() for sign, value in sides if value is not None)


def _limits(result: Result) -> str:
    clock = result.run.document.board.clock
    lines = [
        "Every figure holds for the golden vectors of this case, and for others only as far as these stand for them.",
        "Equality with the int8 oracle shows that the device computes the model, not that the model is right.",
    ]
    if clock is not None and clock.kind == "instructions":
        lines.append("Instructions of an emulated core are no time: they say nothing of milliseconds or energy.")
    return "## Limits\n" + "\n".join(f"* {line}" for line in lines)


# ---- known failures


def _failures(results: Sequence[Result]) -> str:
    parts = ["## Known failures"]
    for result in results:
        lines = [*_checks(result), *_wrong(result)]
        if result.case.error:
            lines.append(f"* {result.case.what_happened}: {text(result.case.error)}")
        parts.append("\n".join([f"On {text(result.board)}:" + ("" if lines else " none."), *lines]))
    return "\n\n".join(parts)


def _checks(result: Result) -> Iterator[str]:
    """Every check that is not plainly passed, and what is odd about the model and meant so."""
    for check in result.case.checks:
        known = check.quarantine
        if check.outcome == "failed" and known is not None:
            yield (
                f"* {text(check.id)} fails, in quarantine until {text(known.expires)}: {text(known.reason)}"
                f" ({text(known.issue)})"
            )
        elif check.outcome == "failed":
            first = check.findings[0] if check.findings else None
            what = f": expected {text(first.expected)}, observed {text(first.observed)}" if first else ""
            yield f"* {text(check.id)} **fails**{what}"
        elif check.outcome == "passed" and check.contract == "sanity" and MEANT in check.reason:
            yield f"* {text(check.id)}: {text(check.reason)}"
        elif check.outcome != "passed":
            yield f"* {text(check.id)} is {check.outcome}: {text(check.reason)}"


def _wrong(result: Result) -> Iterator[str]:
    """Vectors that got another answer than their true label."""
    decision, columns = result.case.decision, _records(result)
    if decision is None or columns is None:
        return
    expected, answer, done = columns["expected_label"], columns["answer"], columns["status"] == Status.DONE
    wrong = np.flatnonzero((expected >= 0) & done & (answer != expected))
    lost = np.flatnonzero((expected >= 0) & ~done & (columns["reference_gate"] == GateReason.VALID))
    name = _labels(decision.labels, decision.unknown)
    for row in wrong[:MOST_VECTORS]:
        told = f"answered {name(int(answer[row]))}, it is {name(int(expected[row]))}"
        yield f"* vector {text(columns['name'][row])}: {told}"
    for row in lost[:MOST_VECTORS]:
        yield f"* vector {text(columns['name'][row])}: no answer, it is {name(int(expected[row]))}"
    if (more := len(wrong) + len(lost) - min(len(wrong), MOST_VECTORS) - min(len(lost), MOST_VECTORS)) > 0:
        yield f"* and {more:,} more vectors; the records of the run name them all"


def _labels(labels: Sequence[str], unknown: str) -> Callable[[int], str]:
    return lambda index: text(labels[index] if 0 <= index < len(labels) else unknown)


def _records(result: Result) -> Columns | None:
    """The records with the true labels; None when the run broke before it had them all, or they cannot be believed."""
    if result.case.error or not result.case.records:
        return None
    try:
        columns = result.run.records(result.case)
    except UsageError:
        return None
    return columns if {"expected_label", "reference_gate"} <= columns.keys() else None


# ---- where it comes from


def _changes(result: Result) -> str:
    baseline = result.case.baseline
    assert baseline is not None  # the caller looked
    head = f"## Since the baseline, on {text(result.board)}"
    who = f"Accepted by {text(baseline.accepted_by)} at {text(baseline.accepted_at)}: {text(baseline.reason)}."
    rows = [
        (change.what, change.unit, _number(change.before), _number(change.after), _percent(change.change_percent))
        for change in baseline.changes
        if change.before != change.after
    ]
    if not rows:
        return f"{head}\n{who}\n\nNothing that is compared has changed."
    return f"{head}\n{who}\n\n{_table(('what', 'unit', 'before', 'now', 'change'), rows)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.6g}" if value != int(value) else f"{int(value):,}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.3g} %"


def _provenance(results: Sequence[Result]) -> str:
    rows: list[tuple[str, str]] = []
    for result in results:
        case, document = result.case, result.run.document
        if case.device is not None and case.image is not None:
            rows.append((f"firmware on {result.board}", f"{case.device.firmware}, SHA-256 {case.image.sha256}"))
            rows.append((f"compiler on {result.board}", f"{case.device.compiler} {case.device.flags}"))
            rows.append((f"kernels on {result.board}", case.device.kernels))
        rows.append(
            (f"run on {result.board}", f"{document.started}, hil {document.manifest.hil}, seal {document.seal}")
        )
    bundle = results[0].case.bundle
    if bundle is not None:
        rows.append(("bundle", f"{bundle.bytes:,} bytes, SHA-256 {bundle.sha256}"))
    rows += [(f"file {name}", digest) for name, digest in results[0].case.manifest.files.items()]
    return "## Where it comes from\n" + _table(("", ""), rows)


def _readme(readme: str) -> str:
    """The case's own page with its headings two levels down."""
    if not readme.strip():
        return ""
    lowered = re.sub(r"^(#{1,4}) ", r"##\1 ", readme.strip(), flags=re.MULTILINE)
    return f"## The case's own page\n{lowered}"
