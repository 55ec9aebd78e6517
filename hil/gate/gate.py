"""The gate: holds runs to the release policy and says whether a release is ready, and if not, every reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hil.gate import checks, completeness, integrity, manifests, spending
from hil.gate.policy import Explained
from hil.gate.question import Question
from hil.gate.reasons import Kind, Reason, worst_first
from hil.gate.results import Result, gather
from hil.runfile import Run


@dataclass(frozen=True)
class Decision:
    """reasons: worst first, empty when the release is ready; notes: what a release manager should know all the same."""

    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def ready(self) -> bool:
        return not self.reasons


def decide(runs: Sequence[Run], question: Question) -> Decision:
    """Whether these runs allow a release. Raises UsageError when a case ran twice on a board, unequally."""
    results = gather(runs)
    reasons = worst_first(_reasons(runs, results, question))
    return Decision(reasons, tuple(dict.fromkeys(_notes(results, question))), tuple(results))


def _reasons(runs: Sequence[Run], results: Sequence[Result], question: Question) -> Iterator[Reason]:
    policy, tree = question.policy, question.tree
    for run in runs:
        yield from integrity.run_reasons(run, question.now)
        yield from completeness.run_reasons(run, question)
    for result in results:
        demand = question.demand(result)
        yield from integrity.result_reasons(result, demand)
        yield from completeness.result_reasons(result)
        yield from checks.invalid_reasons(result)
        yield from checks.broken_reasons(result, question)
        if demand is not None:
            yield from spending.budget_reasons(result, demand, question)
        yield from checks.marginal_reasons(result, policy.marginal)
    yield from manifests.manifest_reasons(results)
    yield from manifests.tree_reasons(tree, policy)
    for demand, board, found in question.wanted(results):
        if found is None:
            yield completeness.missing(demand, board, question)
            continue
        yield from completeness.whole(found, demand)
        yield from manifests.edited_reasons(found, demand)
        yield from completeness.baseline_reasons(found, demand, policy.baseline == "required")
    for demand in tree.cases:
        boards = [found for wanted, _, found in question.wanted(results) if found is not None and wanted is demand]
        yield from checks.arena_reasons(demand, boards)
        yield from checks.not_judged_reasons(demand, boards, question)
    yield from checks.quarantine_reasons(results, question)
    yield from _source(question)
    if policy.clean_tree and question.source.commit:
        yield from (reason for run in runs for reason in _other_sources(run, question.source.commit))


def _other_sources(run: Run, commit: str) -> Iterator[Reason]:
    """A firmware that was built from other sources than those of the release; a named image says nothing of its own."""
    built = run.document.manifest.source
    if built is None or (built.commit == commit and not built.changed):
        return
    what = f"commit {built.commit[:12]}" + (" with uncommitted changes" if built.changed else "")
    text = f"{run.file}: its firmware was built from {what}, the release is of {commit[:12]}"
    yield Reason(Kind.SOURCE, text, "run it again at this commit", board=run.document.board.name)


def _source(question: Question) -> Iterator[Reason]:
    source = question.source
    if not question.policy.clean_tree or source.clean:
        return
    if not source.commit:
        what = "git does not know what the sources are: clean_tree cannot be shown"
        yield Reason(Kind.SOURCE, what, "release from a git checkout, or set clean_tree = false in the policy")
        return
    count = len(source.changed)
    what = (
        f"{count:,} {'file is' if count == 1 else 'files are'} not as committed: {completeness.names(source.changed)}"
    )
    yield Reason(Kind.SOURCE, what, "commit or remove them, and run again")


def _notes(results: Sequence[Result], question: Question) -> Iterator[str]:
    policy = question.policy
    for result in results:
        if question.demand(result) is None:
            yield f"{result}: the case is not below {question.tree.root}, and no part of the release"
        elif result.board not in policy.boards:
            yield f"{result}: the policy does not ask for this board; its verdict counts, what it left open does not"
        if (firmware := result.run.document.manifest.firmware) is not None and firmware.given:
            yield f"{result.run.file}: its image was named (--hil-image), so the run kept no ELF for a record"
        for check in result.failed():
            if (known := checks.excuse_of(result, check, question)) is not None:
                yield f"{result}: {check.id} fails in quarantine until {known.expires}: {known.reason} ({known.issue})"
    for entry in question.quarantine.entries:
        if not checks.covered(entry, results):
            yield f"quarantine of {entry}: none of these runs shows whether it still fails"
    for explained in policy.marginal:
        yield _exception("marginal", explained.reason, str(explained), _matches(explained, results, "marginal"))
    for explained in policy.not_judged:
        yield _exception("not judged", explained.reason, str(explained), _matches(explained, results, "not judged"))
    for demand, board, found in question.wanted(results):
        if policy.baseline == "optional" and found is not None and found.case.baseline is None:
            yield f"{demand.name} on {board}: there is no baseline, so nothing was compared with a former release"


def _matches(explained: Explained, results: Sequence[Result], outcome: str) -> list[str]:
    return [
        f"{result.name} {check.id} on {result.board}"
        for result in results
        for check in result.case.checks
        if check.outcome == outcome and explained.covers(result.case.name, check.id, result.board)
    ]


def _exception(title: str, reason: str, entry: str, matches: Sequence[str]) -> str:
    if not matches:
        return f"accepted as {title}, but nothing is: {entry}"
    return f"accepted as {title}: {completeness.names(matches)} ({reason})"
