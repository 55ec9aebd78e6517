"""Each outcome that a check can have is told as what it is by terminal, summary and page; none is told as a pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from synthetic_run import check, write_run

from hil.report.markdown import summary
from hil.report.page.view import CaseView, case_view
from hil.report.terminal import case_table
from hil.runfile import Run

KNOWN = {"reason": "r", "issue": "i", "expires": "2027-01-01"}


@dataclass(frozen=True)
class Told:
    """Of a contract with one check that passed and `ties`, which has this outcome: what terminal and summary say, how
    the page calls the check, and the contract by its worst, and whether the page shows the check at once.
    """

    outcome: str
    terminal: str
    summary: str
    called: str
    worst: str
    shown: bool
    quarantine: bool = False


OUTCOMES = (
    Told("passed", "2 passed", "2 held", "passed", "passed", False),
    Told("passed", "2 passed", "2 held", "passed", "passed", False, quarantine=True),
    Told("marginal", "2 passed, 1 marginal: ties", "2 held, 1 marginal", "marginal", "marginal", True),
    Told("failed", "1 passed, 1 FAILED: ties", "1 held, 1 failed", "failed", "failed", True),
    Told(
        "failed",
        "1 passed, 1 failed in quarantine: ties",
        "1 held, 1 in quarantine",
        "quarantined",
        "quarantined",
        True,
        quarantine=True,
    ),
    Told("invalid", "1 passed, 1 INVALID: ties", "1 held, 1 invalid", "invalid", "invalid", True),
    Told("not judged", "1 passed, 1 not judged here: ties", "1 held, 1 not judged", "not judged", "passed", False),
)


@pytest.fixture(params=OUTCOMES, ids=lambda told: told.outcome + (" in quarantine" if told.quarantine else ""))
def told(request: pytest.FixtureRequest) -> Told:
    found: Told = request.param
    return found


@pytest.fixture
def run(told: Told, tmp_path: Path) -> Run:
    def edit(document: dict) -> None:
        ties = {**check("decision.ties", told.outcome), "quarantine": KNOWN if told.quarantine else None}
        document["cases"][0]["checks"] = [check("decision.answer"), ties]

    return write_run(tmp_path, edit=edit)


@pytest.fixture
def page(run: Run) -> CaseView:
    return case_view(run.document.cases[0], 1)


def test_the_terminal_counts_it_as_what_it_is(told: Told, run: Run) -> None:
    lines = list(case_table(run.document.cases[0], run.document.board))
    (row,) = (line for line in lines if line.startswith("  decision "))
    assert row.split(None, 1)[1] == told.terminal


def test_the_summary_counts_it_as_what_it_is(told: Told, run: Run) -> None:
    assert f"| {told.summary} |" in summary(run)


def test_the_page_calls_it_and_its_contract_by_it(told: Told, page: CaseView) -> None:
    (contract,) = page.contracts
    assert [view.outcome for view in contract.checks] == ["passed", told.called]
    assert contract.outcome == told.worst


def test_the_page_shows_at_once_what_asks_for_it(told: Told, page: CaseView) -> None:
    tables = {view.id: table.opened for table in page.tables for group in table.groups for view in group.checks}
    assert tables == {"decision.answer": False, "decision.ties": told.shown}
