"""The summary of a run in Markdown, for the page that a CI server shows of a job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hil.report import comparison, tensors
from hil.report.page import cause, sizes
from hil.report.page.words import change_text, clip, clock_text, limit_text, observed, plural, quantity
from hil.runfile import Board, Case, Run
from hil.verdict import HELD, MARGINAL, WORST_FIRST

MOST_BYTES = 60_000
_MOST_ROWS = 20  # of one table
_MOST_CELL = 240
_MOST_LABELS = 40  # rows of the comparison: a case may have 64 labels
# What has a meaning within a line; an underscore inside a word and a colon in prose have none.
_SPECIAL = re.compile(r"[\\`*{}\[\]#|~$>&<@]|(?<!\w)_|_(?!\w)|:(?=//|\w+:)|(?<=www)\.")
_START = re.compile(r"^[-+=]|^\d(?=\d*[.)]\s)")  # a list, or a heading of the line above


def summary(run: Run) -> str:
    """Verdict, what to look at first, a line for each case, and what is not plainly in order; below 60 kB.

    All texts of the run are escaped: neither Markdown nor HTML in a name has any effect.
    """
    document = run.document
    lines = [
        f"## hil on {_cell(document.board.name)}: {document.verdict.upper()}",
        "",
        _text(cause.run_sentence(document)),
        "",
        *_warning(run),
        *_overview(document.cases, document.board),
        *_sizes(document.cases),
    ]
    # The worst first: what does not fit is what nobody misses.
    alone = len(document.cases) == 1
    parts = [
        "\n".join(_case(case, alone))
        for case in sorted(document.cases, key=lambda case: WORST_FIRST.index(case.verdict))
    ]
    return _fitting("\n".join(lines), [part for part in parts if part])


def _fitting(head: str, parts: Sequence[str]) -> str:
    text = head
    for done, part in enumerate(parts):
        if len(f"{text}\n{part}".encode("utf-8", "replace")) > MOST_BYTES - 200:
            rest = plural(len(parts) - done, "case is", "cases are")
            return f"{text}\n\n{rest} left out: the report has everything.\n"
        text = f"{text}\n{part}"
    return f"{text}\n"


def _warning(run: Run) -> list[str]:
    if run.sealed:
        return []
    return ["**run.json was changed since the run wrote it: nothing here is evidence.**", ""]


def _overview(cases: Sequence[Case], board: Board) -> Iterator[str]:
    """One line a case, as many as a page bears."""
    if not cases:
        return
    yield f"Clock: {_text(clock_text(board))}."
    yield ""
    yield from _header("case", "verdict", "checks", "vectors", "total p99", "arena", "flash")
    for case in cases[:200]:
        yield _row(case.called, f"**{case.verdict}**", _counts(case), f"{case.vectors:,}", *_figures(case))
    if len(cases) > 200:
        yield f"\n{plural(len(cases) - 200, 'more case', 'more cases')}."


def _sizes(cases: Sequence[Case]) -> Iterator[str]:
    """A line for each image: what its flash and its RAM are for."""
    told = {case.image.sha256: case.sizes for case in cases if case.image and case.sizes}
    for found in told.values():
        yield f"\n{_text(sizes.sentence(found))}"


def _counts(case: Case) -> str:
    held = [check for check in case.checks if check.outcome in HELD]
    listed = (
        (len(cause.broken(case)), "failed"),
        (len(cause.invalid(case)), "invalid"),
        (len(cause.in_quarantine(case)), "in quarantine"),
        (len(cause.marginal(case)), "marginal"),
        (len(cause.not_judged(case)), "not judged"),
    )
    return ", ".join([f"{len(held)} held", *(f"{count} {name}" for count, name in listed if count)])


def _figures(case: Case) -> tuple[str, str, str]:
    latency, memory = case.latency, case.memory
    total = latency.stages.get("total") if latency else None
    return (
        f"{total.p99:,} {latency.unit}" if total and latency else "",
        memory.arena if memory else "",
        f"{memory.flash_bytes:,} B" if memory and not memory.host else "",
    )


def _case(case: Case, alone: bool) -> Iterator[str]:
    """What is to be said of one case beyond its line; nothing when all is in order and there are no labels. alone: its
    sentence was said.
    """
    parts = [
        *_error(case),
        *_broken(case, alone),
        *_invalid(case),
        *_marginal(case, alone),
        *_quarantined(case),
        *_tensors(case),
        *_answers(case),
        *_changes(case),
        *_unjudged(case),
    ]
    if parts:
        yield f"\n### {_cell(case.called)} version {case.version}: {case.verdict}"
        yield from parts


def _error(case: Case) -> Iterator[str]:
    if case.error:
        yield f"\n{case.what_happened.capitalize()}: {_text(case.error.splitlines()[0])}"
        yield f"\nLog: {_cell(case.log) or 'none'}"


def _broken(case: Case, alone: bool) -> Iterator[str]:
    found = cause.broken(case)
    if not found:
        return
    if not alone:
        yield f"\n{_text(cause.case_sentence(case))}"
    if hint := cause.hint(case):
        yield f"\n**Next:** {_text(hint)}"
    yield ""
    yield from _header("broken check", "expected", "observed", "vector", "first stage")
    for check in found[:_MOST_ROWS]:
        finding = check.findings[0] if check.findings else None
        cells = (
            (finding.expected, finding.observed, finding.vector, finding.stage)
            if finding
            else ("", check.reason, "", "")
        )
        yield _row(check.id, *cells)
    yield from _more(found)


def _invalid(case: Case) -> Iterator[str]:
    checks = cause.invalid(case)
    if not checks:
        return
    yield "\nInvalid, because what it was measured with is broken:\n"
    yield from _header("check", "expected", "observed")
    for check in checks[:_MOST_ROWS]:
        finding = check.findings[0] if check.findings else None
        yield _row(check.id, *((finding.expected, finding.observed) if finding else ("", check.reason)))
    yield from _more(checks)


def _marginal(case: Case, alone: bool) -> Iterator[str]:
    """What asks to be looked at: odd about the model, or close to a limit of the case."""
    checks = cause.marginal(case)
    if not checks:
        return
    if case.verdict == MARGINAL:
        if not alone:
            yield f"\n{_text(cause.case_sentence(case))}"
        if hint := cause.hint(case):
            yield f"\n**Next:** {_text(hint)}"
    yield "\nMarginal, look at this:\n"
    yield from _header("check", "observed", "limit", "why")
    for check in checks[:_MOST_ROWS]:
        yield _row(check.id, observed(check), limit_text(check), check.reason)
    yield from _more(checks)


def _tensors(case: Case) -> Iterator[str]:
    """Each tensor of a model with several."""
    listed = tensors.rows(case)
    if not listed:
        return
    yield "\nEach tensor:\n"
    yield from _header(*tensors.HEADER)
    for row in listed[:_MOST_ROWS]:
        yield _row(*row.cells)
    yield from _more(listed)


def _answers(case: Case) -> Iterator[str]:
    """Float model, simulated int8 and device over the labelled vectors."""
    table = comparison.rows(case)
    if not table or case.answers is None:
        return
    yield f"\n{_text(comparison.gap_sentence(case.answers))}\n"
    yield from _header(*comparison.HEADER)
    for row in table[:_MOST_LABELS]:
        yield _row(*row.cells)
    if len(table) > _MOST_LABELS:
        yield f"\n{len(table) - _MOST_LABELS} more: see the report."


def _quarantined(case: Case) -> Iterator[str]:
    checks = cause.in_quarantine(case)
    if not checks:
        return
    yield "\nFailed, but in quarantine:\n"
    yield from _header("check", "until", "reason", "issue")
    for check in checks[:_MOST_ROWS]:
        if check.quarantine:
            yield _row(check.id, check.quarantine.expires, check.quarantine.reason, check.quarantine.issue)
    yield from _more(checks)


def _changes(case: Case) -> Iterator[str]:
    baseline = case.baseline
    changes = [change for change in baseline.changes if change.verdict in ("worse", "better")] if baseline else []
    if not changes or baseline is None:
        return
    by = f"accepted {_cell(baseline.accepted_at)} by {_cell(baseline.accepted_by)}"
    yield f"\nChanged since the baseline ({by}: {_text(baseline.reason)}):\n"
    yield from _header("what", "before", "after", "change", "verdict")
    for change in sorted(changes, key=lambda change: change.verdict == "better")[:_MOST_ROWS]:
        before, after = (
            "" if value is None else quantity(value, change.unit) for value in (change.before, change.after)
        )
        yield _row(change.what, before, after, change_text(change), change.verdict)
    yield from _more(changes)


def _unjudged(case: Case) -> Iterator[str]:
    checks = cause.not_judged(case)
    if not checks:
        return
    yield "\nNot judged here:\n"
    yield from _header("check", "reason")
    for check in checks[:_MOST_ROWS]:
        yield _row(check.id, check.reason)
    yield from _more(checks)
    for check in checks:
        if check.hint:
            yield f"\n**Next:** {_text(check.hint)}"


def _more(listed: Sequence[object]) -> Iterator[str]:
    if len(listed) > _MOST_ROWS:
        yield f"\n{len(listed) - _MOST_ROWS} more: see the report."


def _header(*names: str) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield "|---" * len(names) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell if cell.startswith('**') else _cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return _escape(_SPECIAL, " ".join(clip(text, _MOST_CELL).split()))


def _text(text: str, most: int = 600) -> str:
    """On one line, and as it is: no character of it is Markdown or HTML. A line that begins with it is no list."""
    escaped = _escape(_SPECIAL, " ".join(clip(text, most).split()))
    return _escape(_START, escaped)


def _escape(special: re.Pattern[str], text: str) -> str:
    return special.sub(lambda found: f"&#{ord(found[0])};", text)
