"""Knows when a run may become the baseline of a case and board, and makes it one: who, when, why, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hil.acceptance.stored import stored_evidence
from hil.baseline.file import baseline_of, baseline_path, write_baseline
from hil.baseline.types import Acceptance, Baseline, BaselineFile, Origin
from hil.contract.accepted import put_in
from hil.contract.changes import changes, notable
from hil.contract.measured import measure
from hil.contract.types import Evidence
from hil.errors import UsageError
from hil.runfile import Case, Run

MOST_HISTORY = 20  # acceptances that a baseline remembers


@dataclass(frozen=True)
class Accepted:
    """A baseline that is to be written."""

    path: Path
    baseline: Baseline


def prepare(run: Run, names: Sequence[str], *, by: str, reason: str) -> list[Accepted]:
    """The baselines of these cases (all of the run when none is named). Writes nothing. Raises UsageError that says why
    a run may not be accepted: all of them or none.
    """
    if not reason.strip():
        raise UsageError('--reason is empty\n  fix: say why these figures are right: --reason "new model, see #12"')
    if not by.strip():
        raise UsageError('--by is empty\n  fix: say who accepts: --by "Name <mail>"')
    if not run.sealed:
        problem = "seal: the file is not as the run wrote it"
        raise UsageError(f"{run.file}: {problem}\n  fix: run the case again, and accept that run")
    chosen = list(names) or [case.called for case in run.document.cases]
    if not chosen:
        raise UsageError(f"{run.file}: no case ran\n  fix: accept a run that judged something")
    for name in chosen:
        _refuse_failed(run, run.case(name))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return [_accepted(run, name, Acceptance(at=now, by=by, reason=reason.strip(), changes=[])) for name in chosen]


def write(accepted: Sequence[Accepted]) -> None:
    """Write them. Each file is whole, or as it was."""
    for item in accepted:
        write_baseline(item.path, item.baseline)


def _refuse_failed(run: Run, case: Case) -> None:
    """Only a case that passed may be accepted; what it broke of its former baseline is what acceptance is for."""
    failed = [check for check in case.checks if check.outcome == "failed" and check.contract != "baseline"]
    broken = ", ".join(check.id for check in failed if check.quarantine is None)
    if run.document.verdict == "interrupted" or case.error:
        raise UsageError(
            f"{run.file}: case {case.called} was cut short: {case.error or 'interrupted'}\n"
            f"  fix: run it again to its end"
        )
    if broken:
        raise UsageError(
            f"{run.file}: case {case.called} broke {broken}\n  fix: mend that first: it is no matter of a baseline"
        )
    if invalid := ", ".join(check.id for check in case.checks if check.outcome == "invalid"):
        raise UsageError(
            f"{run.file}: case {case.name}: invalid: {invalid}\n  fix: mend the instrument: nothing it measured counts"
        )
    if not any(check.outcome in ("passed", "marginal") for check in case.checks):
        raise UsageError(
            f"{run.file}: case {case.called}: no check was judged\n  fix: accept a run that judged something"
        )


def _accepted(run: Run, name: str, acceptance: Acceptance) -> Accepted:
    evidence, document = stored_evidence(run, name), run.document
    before = baseline_of(evidence.case, evidence.board)
    origin = Origin(
        board_kind=document.board.kind,
        hil=document.manifest.hil,
        packages=document.manifest.packages,
        python=document.manifest.python,
        seal=document.seal,
        started=document.started,
    )
    changed = [*what_changed(evidence, before), *_quarantined(run.case(name))]
    history = [acceptance.model_copy(update={"changes": changed}), *(before.baseline.history if before else ())]
    baseline = Baseline(**dict(measure(evidence)), history=history[:MOST_HISTORY], origin=origin)
    return Accepted(baseline_path(evidence.case.path, evidence.board), baseline)


def _quarantined(case: Case) -> list[str]:
    """Checks that failed and were let through: whoever reads the baseline later must know."""
    failed = [check.id for check in case.checks if check.outcome == "failed" and check.quarantine is not None]
    return [f"accepted with failures in quarantine: {', '.join(failed)}"] if failed else []


def what_changed(evidence: Evidence, before: BaselineFile | None) -> list[str]:
    """What is not as in the baseline before, in words."""
    if before is None:
        return ["first baseline"]
    held = replace(evidence, baseline=before)
    found = changes(held)
    shown = [change for change in found if change.what == "case version"] + notable(found)
    return [put_in(held), *([str(change) for change in shown] or ["no figure changed"])]
