"""Whether a run can be believed: its seal, its files, and whether what it says follows from what it measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from hil.case.types import Limit
from hil.contract.marginal import mark
from hil.contract.tensors import WORST_FIRST
from hil.contract.types import MAX_FINDINGS, CheckResult, Outcome
from hil.errors import UsageError
from hil.gate.again import contradictions
from hil.gate.demands import Demand
from hil.gate.figures import disagreements
from hil.gate.reasons import Kind, Reason
from hil.gate.results import Result
from hil.runfile import Case, Check, Run, TensorCheck
from hil.verdict import HELD, case_verdict, run_verdict

_AGAIN = "run the case again, and give the gate what that run wrote"
_ROOMY = "execution.arena"  # wider pointers need more than the product's arena: a workstation gives it
_AHEAD = timedelta(minutes=10)  # clocks of two machines may differ


def run_reasons(run: Run, now: datetime) -> Iterator[Reason]:
    """What is wrong with a run as a whole."""

    def say(what: str) -> Reason:
        return Reason(Kind.UNTRUSTED, f"{run.file}: {what}", _AGAIN, board=run.document.board.name)

    document = run.document
    if not run.sealed:
        yield say("changed since the run wrote it: its seal does not fit")
    wanted = run_verdict(
        [case.verdict for case in document.cases], document.verdict == "interrupted", document.lost_workers
    )
    if document.verdict != wanted:
        yield say(f"says {document.verdict!r}, but its cases make it {wanted!r}")
    started = start_of(run)
    if started is None:
        yield say(f"started: {document.started!r} is no time with a zone")
    elif started > now + _AHEAD:
        yield say(f"started at {document.started}, which is in the future")


def start_of(run: Run) -> datetime | None:
    """When the run started, None when it does not say so."""
    try:
        started = datetime.fromisoformat(run.document.started)
    except ValueError:
        return None
    return started if started.tzinfo is not None else None


def result_reasons(result: Result, demand: Demand | None) -> Iterator[Reason]:
    """What is wrong with one case of a run. demand: what the case asks for, None when the tree has no such case."""
    for what in _inconsistent(result, demand):
        yield Reason(Kind.UNTRUSTED, f"{result.run.file}: {what}", _AGAIN, case=result.name, board=result.board)


def _inconsistent(result: Result, demand: Demand | None) -> Iterator[str]:
    case = result.case
    names = [name for name in (case.records, case.log) if name]
    if strange := [name for name in names if not is_plain(name)]:
        yield f"{strange[0]!r} is no name of a file beside it"
        return
    if case.verdict != (wanted := verdict_of(case)):
        yield f"{case.called} says {case.verdict!r}, but its checks make it {wanted!r}"
    if (twice := len(case.checks) - len({check.id for check in case.checks})) > 0:
        yield f"{case.called}: {twice} checks are there twice"
    for check in case.checks:
        if not (result.host and check.id == _ROOMY):
            yield from (f"{check.id} {text}" for text in _check(check, demand))
    yield from _identity(case)
    if case.error:
        return
    try:
        columns = result.run.records(case)
    except UsageError as error:
        yield str(error).splitlines()[0].removeprefix(f"{result.run.file}: ")
        return
    yield from disagreements(result, columns, demand.confidence if demand else 0.95)
    yield from contradictions(result)


def is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same folder, so that nothing outside of it is ever read."""
    return name not in (".", "..") and not set(name) & set("/\\\0\n\r")


def verdict_of(case: Case) -> str:
    """The verdict that a case's checks make, as the run itself computes it."""
    return case_verdict(((check.outcome, check.quarantine is not None) for check in case.checks), case.error)


def _check(check: Check, demand: Demand | None) -> Iterator[str]:
    """What does not fit within one check. Its limit is the case's, its outcome follows from both."""
    limit, failed = check.limit, check.outcome == "failed"
    if check.outcome != "invalid" and failed != (check.findings_total > 0):
        yield f"is {check.outcome} with {check.findings_total} findings"
    if len(check.findings) != min(check.findings_total, MAX_FINDINGS):
        yield f"keeps {len(check.findings)} of {check.findings_total} findings"
    yield from _value(check, demand)
    listed = demand.limits.get(check.id) if demand else None
    if listed and check.outcome in HELD and limit not in listed:
        yield "is not held to the limit of the case"
    for each in check.tensors:
        yield from (f"{each.name}: {text}" for text in _value(each, demand))
        if listed and each.outcome in HELD and each.limit is not None and each.limit not in listed:
            yield f"{each.name}: is not held to a limit of the case"
    if check.tensors and check.outcome != "invalid":
        worst = min((Outcome(each.outcome) for each in check.tensors), key=WORST_FIRST.index)
        if check.outcome != worst:
            yield f"is {check.outcome}, but of one of its tensors it is {worst}"


def _value(check: Check | TensorCheck, demand: Demand | None) -> Iterator[str]:
    """What does not fit between a value, its limit and the outcome."""
    limit = check.limit
    if check.outcome not in HELD or check.value is None or limit is None:
        return
    bounds = Limit(limit.minimum, limit.maximum, limit.unit)
    if not bounds.holds(check.value):
        yield f"is {check.outcome}, but its value {check.value:,.10g} breaks {bounds}"
    elif demand is not None and check.outcome != (outcome := _outcome(check.value, bounds, demand.margin)):
        yield f"is {check.outcome}, but with the margin of the case it is {outcome}"


def _outcome(value: float, limit: Limit, margin: float) -> str:
    """`passed` or `marginal`, by the rule of the run."""
    return str(mark(CheckResult("", Outcome.PASSED, value=value, limit=limit), margin).outcome)


def _identity(case: Case) -> Iterator[str]:
    """The device's own word on model and bundle against what was provisioned."""
    said = (case.device.model_extra or {}) if case.device else {}
    provisioned = {
        "model_hash": ("execution.model", case.manifest.model_sha256),
        "bundle_hash": ("execution.bundle", case.bundle.sha256 if case.bundle else ""),
    }
    for key, (name, wanted) in provisioned.items():
        check = case.check(name)
        if check is not None and check.outcome in HELD and str(said.get(key)).lower() != wanted.lower():
            yield f"{name} passed, but the device's {key} is not what was provisioned"
