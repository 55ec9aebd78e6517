"""What the page says of a case in words and tables: plain values for the template, nothing drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from hil.contract import CHECKS
from hil.report import comparison, tensors
from hil.report.page import cause, sizes
from hil.report.page.words import change_text, clip, limit_text, number, observed, plural, used_share
from hil.runfile import BaselineFacts, Case, Check, Document, Finding, Firmware, Run
from hil.verdict import PASSED

_TITLES: Mapping[str, str] = {check.id: check.title for check in CHECKS}
_MOST_FINDINGS = 6  # of one check on the page; run.json has more
_SYMBOLS = {"passed": "✓", "marginal": "~", "failed": "✗", "not judged": "○", "quarantined": "!", "invalid": "?"}
_ATTENTION = ("failed", "invalid", "quarantined", "marginal")  # outcomes that a reader should look at
_CASE_SYMBOLS = {
    "passed": "✓",
    "marginal": "~",
    "failed": "✗",
    "invalid": "?",
    "error": "!",
    "interrupted": "!",
    "not judged": "○",
    "nothing judged": "○",
}
_FIELDS = (
    ("expected", "expected"),
    ("observed", "observed"),
    ("limit", "limit"),
    ("stage", "first stage"),
    ("hint", "next"),
)
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class FindingView:
    vector: str
    fields: Pairs


@dataclass(frozen=True)
class CheckView:
    """outcome: as in run.json, or `quarantined`. used: share of a maximum that is used, None where there is none.
    tensors: of a check that was made of each of several.
    """

    id: str
    anchor: str
    outcome: str
    symbol: str
    title: str
    observed: str
    limit: str
    used: float | None
    reason: str
    hint: str
    numbers: Pairs
    findings: Sequence[FindingView]
    unlisted: str
    opened: bool
    quarantine: str
    tensors: Sequence[tensors.Row] = ()

    @property
    def more_label(self) -> str:
        return plural(len(self.findings), "finding")


@dataclass(frozen=True)
class CheckGroup:
    """Checks of one contract in one table. anchor: "" where another table has it."""

    contract: str
    anchor: str
    checks: Sequence[CheckView]


@dataclass(frozen=True)
class CheckTable:
    """A table of checks with one outcome class in common. opened: a reader should see it at once."""

    title: str
    opened: bool
    groups: Sequence[CheckGroup]


@dataclass(frozen=True)
class ContractView:
    """One contract in the order of blame, and the worst outcome of its checks."""

    name: str
    anchor: str
    outcome: str
    symbol: str
    counts: str
    checks: Sequence[CheckView]


@dataclass(frozen=True)
class Tile:
    """A figure that is looked for first. used: of its limit, None without one."""

    name: str
    value: str
    note: str
    used: float | None = None


@dataclass(frozen=True)
class ChangeView:
    what: str
    unit: str
    before: str
    after: str
    change: str
    verdict: str
    symbol: str


@dataclass(frozen=True)
class CaseView:
    """One case; `facts` and `changes` are tables, `groups` and `symbols` say what the image takes, `number` counts the
    cases of the page.
    """

    case: Case
    number: int
    name: str
    verdict: str
    symbol: str
    sentence: str
    hint: str
    aftermath: str
    contracts: Sequence[ContractView]
    gap: str
    answers: Sequence[comparison.Row]
    tiles: Sequence[Tile]
    stages: Sequence[tuple[str, Sequence[str]]]
    changes: Sequence[ChangeView]
    unchanged: Sequence[ChangeView]
    baseline: Pairs
    groups: Sequence[Sequence[str]]
    symbols: Sequence[Sequence[str]]
    faults: Sequence[str]
    facts: Pairs
    files: Pairs

    @property
    def total(self) -> int:
        return sum(len(contract.checks) for contract in self.contracts)

    @property
    def asks(self) -> bool:
        """Whether a reader should look at the case; what passed may be folded."""
        return self.verdict != PASSED

    @property
    def tables(self) -> Sequence[CheckTable]:
        """What failed or is marginal first and open, then what was not judged and what passed, folded."""
        parts = (
            (_ATTENTION, "check to look at", "checks to look at", True),
            (("not judged",), "check was not judged here", "checks were not judged here", False),
            (("passed",), "check passed", "checks passed", False),
        )
        tables, named = [], set[str]()
        for outcomes, one, many, opened in parts:
            groups = [
                CheckGroup(
                    contract.name,
                    "" if contract.name in named else contract.anchor,
                    [check for check in contract.checks if check.outcome in outcomes],
                )
                for contract in self.contracts
                if any(check.outcome in outcomes for check in contract.checks)
            ]
            if groups:
                count = sum(len(group.checks) for group in groups)
                tables.append(CheckTable(plural(count, one, many), opened, groups))
            named |= {group.contract for group in groups}
        return tables

    @property
    def outcomes(self) -> Sequence[tuple[str, int]]:
        """Outcomes that occur, worst first, with their count."""
        found = [check.outcome for contract in self.contracts for check in contract.checks]
        order = ("failed", "invalid", "quarantined", "marginal", "not judged", "passed")
        return [(outcome, found.count(outcome)) for outcome in order if outcome in found]


def case_symbol(verdict: str) -> str:
    return _CASE_SYMBOLS[verdict]


def case_view(case: Case, at: int) -> CaseView:
    """What the page says of one case; at: its number on the page, from 1."""
    groups = groupby(cause.by_blame(case.checks), lambda check: check.contract)
    return CaseView(
        case=case,
        number=at,
        name=clip(case.called, 120),
        verdict=case.verdict,
        symbol=case_symbol(case.verdict),
        sentence=cause.case_sentence(case),
        hint=clip(cause.hint(case)),
        aftermath=cause.aftermath(case),
        contracts=[_contract(name, list(checks), at) for name, checks in groups],
        gap=comparison.gap_sentence(case.answers) if case.answers else "",
        answers=comparison.rows(case),
        tiles=list(_tiles(case)),
        stages=_stages(case),
        changes=_changes(case.baseline, ("worse", "better")) if case.baseline else (),
        unchanged=_changes(case.baseline, ("info", "same")) if case.baseline else (),
        baseline=_baseline(case.baseline) if case.baseline else (),
        groups=sizes.groups(case.sizes),
        symbols=sizes.symbols(case.sizes),
        faults=[_fault(case, index) for index in range(min(len(case.faults), 20))],
        facts=list(_facts(case)),
        files=[(clip(name, 200), digest) for name, digest in case.manifest.files.items()],
    )


def _contract(name: str, checks: Sequence[Check], at: int) -> ContractView:
    views = [_check(check, at) for check in checks]
    found = [view.outcome for view in views]
    order = ("failed", "invalid", "quarantined", "marginal", "passed", "not judged")
    worst = next(outcome for outcome in order if outcome in found)
    counts = ", ".join(f"{found.count(outcome)} {outcome}" for outcome in order if outcome in found)
    return ContractView(name, f"case-{at}-{_slug(name)}", worst, _SYMBOLS[worst], counts, views)


def _check(check: Check, at: int) -> CheckView:
    outcome = "quarantined" if check.outcome == "failed" and check.quarantine else check.outcome
    listed = check.findings[:_MOST_FINDINGS]
    rest = check.findings_total - len(listed)
    return CheckView(
        id=clip(check.id, 80),
        anchor=f"case-{at}-{_slug(check.id)}",
        outcome=outcome,
        symbol=_SYMBOLS[outcome],
        title=_TITLES.get(check.id, ""),
        observed=observed(check),
        limit=limit_text(check),
        used=used_share(check.value, check.limit),
        reason=clip(check.reason),
        hint=clip(check.hint),
        numbers=[(clip(name, 80).replace("_", " "), _figure(value)) for name, value in check.numbers.items()],
        findings=[_finding(finding) for finding in listed],
        unlisted=f"{plural(rest, 'further finding')}: see run.json" if rest > 0 else "",
        opened=outcome == "failed" and bool(listed),
        quarantine=_quarantine(check),
        tensors=tensors.of_check(check),
    )


def _quarantine(check: Check) -> str:
    if check.quarantine is None:
        return ""
    facts = check.quarantine
    return f"in quarantine until {clip(facts.expires, 40)}: {clip(facts.reason)} ({clip(facts.issue, 200)})"


def _slug(text: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in text)[:80]


def _figure(value: float | int | str | None) -> str:
    if value is None:
        return "not finite"
    return clip(value, 200) if isinstance(value, str) else number(value)


def _finding(finding: Finding) -> FindingView:
    fields = [(name, clip(getattr(finding, key))) for key, name in _FIELDS if getattr(finding, key)]
    return FindingView(clip(finding.vector, 120), fields)


def _tiles(case: Case) -> Iterator[Tile]:
    yield Tile("vectors", f"{case.vectors:,}", f"{case.inferences:,} inferences in all")
    if (accuracy := case.check("decision.accuracy")) and accuracy.value is not None:
        yield Tile("accuracy", observed(accuracy), limit_text(accuracy) or "no limit")
    if case.latency and "total" in case.latency.stages:
        limit = next((check for check in map(case.check, ("latency.total.p99", "latency.total.max")) if check), None)
        judged = limit is not None and limit.outcome != "not judged" and limit.unit == case.latency.unit
        note = f"{case.latency.unit}, limit {limit_text(limit)}" if judged and limit else case.latency.unit
        used = used_share(limit.value, limit.limit) if judged and limit else None
        yield Tile("total p99", f"{case.latency.stages['total'].p99:,}", note, used)
    if case.memory is not None:
        memory = case.memory
        note = f"bytes of {memory.arena_bytes:,}" if memory.arena_bytes else "bytes, no budget"
        share = memory.arena_high_water / memory.arena_bytes if memory.arena_bytes else None
        yield Tile("arena", f"{memory.arena_high_water:,}", note, share)
        flash = case.check("memory.flash")
        if not memory.host:
            limited = flash is not None and flash.limit is not None
            note = f"bytes, limit {limit_text(flash)}" if limited and flash else "bytes, no limit"
            yield Tile(
                "flash", f"{memory.flash_bytes:,}", note, used_share(flash.value, flash.limit) if flash else None
            )


def _stages(case: Case) -> Sequence[tuple[str, Sequence[str]]]:
    if case.latency is None:
        return ()
    names = ("n", "min", "p50", "p95", "p99", "max", "mean")
    return [
        (stage, [number(round(getattr(figures, name), 1)) for name in names])
        for stage, figures in case.latency.stages.items()
    ]


def _changes(baseline: BaselineFacts, verdicts: Sequence[str]) -> Sequence[ChangeView]:
    """The changes of these verdicts, in their order."""
    symbols = {"better": "▲ better", "same": "= same", "worse": "▼ worse", "info": "· info"}
    found = [change for change in baseline.changes if change.verdict in verdicts]
    return [
        ChangeView(
            clip(change.what, 120),
            clip(change.unit, 60),
            "none" if change.before is None else number(change.before),
            "none" if change.after is None else number(change.after),
            change_text(change),
            change.verdict,
            symbols[change.verdict],
        )
        for change in sorted(found, key=lambda change: verdicts.index(change.verdict))
    ]


def _baseline(baseline: BaselineFacts) -> Pairs:
    return [
        ("accepted", f"{clip(baseline.accepted_at, 60)} by {clip(baseline.accepted_by, 120)}"),
        ("reason", clip(baseline.reason)),
        ("of", f"board {clip(baseline.board, 60)}, case version {baseline.case_version}"),
        ("file", clip(baseline.file, 200)),
        ("firmware SHA-256", baseline.firmware_sha256),
        ("model SHA-256", baseline.model_sha256),
    ]


def _fault(case: Case, index: int) -> str:
    fault = case.faults[index]
    return clip(f"vector {fault.vector}, stage {fault.stage or 'unknown'}, {fault.kind}: {fault.text}")


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    """The manifest: what was under test."""
    yield (
        "case",
        f"{clip(case.called, 120)} version {case.version}{', locked' if case.manifest.locked else ', not locked'}",
    )
    yield "source of the data", clip(case.manifest.source)
    if case.image is not None:
        yield "firmware SHA-256", case.image.sha256
    yield "model SHA-256", case.manifest.model_sha256
    yield "float model SHA-256", case.manifest.float_model_sha256 or "none"
    if case.bundle is not None:
        yield "bundle SHA-256", f"{case.bundle.sha256} ({case.bundle.bytes:,} B)"
    if case.device is not None:
        yield "firmware", f"{clip(case.device.firmware, 80)} for {clip(case.device.target, 80)}"
        yield "compiler", clip(case.device.compiler)
        yield "flags", clip(case.device.flags, 1500)
        yield "kernels", clip(case.device.kernels)
        for name, tensor in case.device.tensors():
            shape = " x ".join(map(str, tensor.shape))
            yield clip(name, 80), f"{clip(tensor.type, 40)} {shape}, {tensor.quantisation}"
    if case.link is not None:
        link = case.link
        yield "link", f"{link.repeats} frames repeated, {link.damaged} damaged, {link.ignored} ignored"
    yield "host time", f"{case.host_seconds:,.1f} s"
    yield "records", clip(case.records) or "none"
    yield "log", clip(case.log) or "none"
    if case.devices:
        yield "run on", clip(", ".join(dict.fromkeys(case.devices)))


def run_facts(run: Run) -> Pairs:
    """What the whole run was made with."""
    document = run.document
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in document.manifest.packages.items())
    return [
        ("hil", document.manifest.hil),
        ("Python", document.manifest.python),
        ("host", clip(document.manifest.host)),
        ("workers", ", lost: ".join([f"{document.workers:,}", *map(clip, document.lost_workers)])),
        ("firmware ELF", _kept(document.manifest.firmware)),
        ("host time", f"{document.host_seconds:,.1f} s"),
        ("packages", clip(packages, 2000)),
        ("seal of run.json", document.seal),
    ]


def _kept(firmware: Firmware | None) -> str:
    if firmware is None:
        return "unknown"
    return clip(firmware.kept) or ("named with --hil-image, and not kept" if firmware.given else "none")


def run_title(document: Document) -> str:
    """Case and board, or how many cases."""
    if len(document.cases) == 1:
        return f"{clip(document.cases[0].called, 120)} on {clip(document.board.name, 80)}"
    return f"{plural(len(document.cases), 'case')} on {clip(document.board.name, 80)}"
