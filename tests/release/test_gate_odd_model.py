"""From a run whose model or vectors are odd to the gate: nothing fails, everybody is told, and no release goes by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness_process import PASSED, Finished, run_harness
from native_session import CaseFolder, native_image
from release_project import CASE, Project

from hil.case.load import write_lock
from hil.gate.reasons import Kind
from hil.release.card import model_card

ODD = "sanity.identical_windows"
TOLD = "all 12 windows are the same, byte for byte"
MEANT = '[contract.sanity]\nexpect = ["identical_windows"]\n\n[contract.input]'

pytestmark = pytest.mark.slow


def ran(folder: Path, *, meant: bool) -> Finished:
    """A project with one locked case, one window twelve times, and its run on native."""
    small = CaseFolder(folder / "cases" / CASE, CASE)
    small.replace("replays = 10", "replays = 2").replace("[contract.input]", MEANT if meant else "[contract.input]")
    arrays = small.stored()
    small.arrays(**{key: values if key == "name" else np.repeat(values[:1], 12, 0) for key, values in arrays.items()})
    write_lock(small.path)
    return run_harness(folder, "cases", f"--hil-image={native_image().path}", out=str(folder / "native"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    folder = tmp_path_factory.mktemp("odd")
    return folder, ran(folder, meant=False)


def test_the_run_does_not_fail_and_is_no_plain_pass(odd: tuple[Path, Finished]) -> None:
    _, finished = odd
    assert finished.code == PASSED, finished.text
    assert (finished.run["verdict"], finished.run["cases"][0]["verdict"]) == ("marginal", "marginal")
    check = next(check for check in finished.run["cases"][0]["checks"] if check["id"] == ODD)
    assert (check["outcome"], check["reason"], check["value"]) == ("marginal", TOLD, 1.0)
    assert check["hint"]


def test_terminal_and_summary_say_it_with_the_figure_and_the_next_step(odd: tuple[Path, Finished]) -> None:
    _, finished = odd
    lines = finished.text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("small version 1 on native: MARGINAL"))
    assert lines[at].startswith("small version 1 on native: MARGINAL: look at this (12 vectors, ")
    assert lines[at + 1] == f"  {ODD}: {TOLD}"
    assert lines[at + 2].startswith("    next: look at how the vectors are made")
    summary = (finished.out / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"## hil on native: MARGINAL\n\nEvery check holds, but look at this: {TOLD}; see {ODD}.")


def test_the_gate_waits_until_somebody_says_that_it_is_meant(odd: tuple[Path, Finished], tmp_path: Path) -> None:
    project = Project(tmp_path, odd[0])
    project.stops(Kind.MARGINAL, f"{ODD} is marginal: {TOLD}", "[contract.sanity] expect", "[[marginal]] entry")
    project.add_to_policy(f'[[marginal]]\ncase = "small"\ncheck = "{ODD}"\nreason = "a test of the gate"\n')
    decision = project.decide()
    assert decision.ready, decision.reasons
    assert any("a test of the gate" in note for note in decision.notes)


def test_a_case_that_means_it_passes_plainly_and_may_be_released(tmp_path: Path) -> None:
    finished = ran(tmp_path / "meant", meant=True)
    assert (finished.code, finished.run["verdict"]) == (PASSED, "passed")
    assert f"meant so by the case: {TOLD}" in (finished.out / "run.json").read_text(encoding="utf-8")
    project = Project(tmp_path / "project", tmp_path / "meant")
    decision = project.decide()
    assert decision.ready, decision.reasons
    card = model_card(decision.results, None, "")
    assert f"* {ODD}: meant so by the case: {TOLD}" in card
    assert "| accuracy | 100 % | 100 % | 100 % | 0 | 0 | 0 |" in card


def test_what_is_odd_cannot_be_taken_out_of_a_run(
    odd: tuple[Path, Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody who knows the seal, and what verdict the checks make."""
    project = Project(tmp_path, odd[0])
    monkeypatch.chdir(tmp_path)  # where the case is as it was
    project.edit_check(ODD, outcome="passed", reason="", hint="")
    project.edit(lambda document: document.update(verdict="passed"))
    project.edit_case(lambda case: case.update(verdict="passed"))
    project.stops(Kind.UNTRUSTED, f"{ODD} is passed, but the records make it marginal")
