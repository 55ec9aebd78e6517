"""What lets a release through, and what the gate says then."""

import json

import pytest
from release_project import CHECK, QUARANTINED, Project, entry

from hil.errors import UsageError
from hil.gate.reasons import Kind


def test_a_whole_passed_run_is_ready(project: Project) -> None:
    assert project.decide().reasons == ()


def test_the_command_says_ready_and_ends_with_0(project: Project) -> None:
    code, text = project.hil("gate", project.folder / "native", "--policy", project.folder / "release.toml")
    assert (code, text.splitlines()[-1]) == (0, "ready for release")


def test_the_command_says_every_reason_with_its_next_step_and_ends_with_1(project: Project) -> None:
    project.fail().policy(boards='"native", "other"')
    code, text = project.hil("gate", project.folder / "native", "--policy", project.folder)
    assert code == 1
    assert text.splitlines()[-1] == "not ready for release: 2 reasons"
    assert text.index("did not run on board other") < text.index("observed others")
    assert text.count("     next: ") == 2


def test_json_holds_what_the_text_says(project: Project) -> None:
    project.fail()
    code, text = project.hil("gate", project.folder / "native", "--policy", project.folder, "--json")
    answer = json.loads(text)
    assert (code, answer["ready"]) == (1, False)
    assert [(row["kind"], row["check"]) for row in answer["reasons"]] == [(str(Kind.BROKEN), CHECK)]


def test_what_is_no_run_is_misuse(project: Project) -> None:
    with pytest.raises(UsageError, match=r"run\.json.*\n  fix: "):
        project.hil("gate", project.folder / "cases", "--policy", project.folder)


def test_a_missing_policy_is_misuse(project: Project) -> None:
    with pytest.raises(UsageError, match=r"release\.toml: cannot be read.*\n  fix: "):
        project.hil("gate", project.folder / "native", "--policy", project.folder / "cases")


def test_the_same_run_twice_is_one(project: Project) -> None:
    assert len(project.decide("native", "native").results) == 1


def test_one_case_on_one_board_in_two_unequal_runs_is_ambiguous(project: Project) -> None:
    project.second().edit(lambda document: document["board"].update(name="native"), "other")
    project.edit_case(lambda case: case.update(host_seconds=1.5), "other")
    with pytest.raises(UsageError, match=r"small on native is in .*native.* and in .*other.*\n  fix: "):
        project.decide("native", "other")


def test_a_case_outside_the_tree_is_noted(project: Project) -> None:
    project.second("stray", kind="native")
    project.edit(lambda document: document["board"].update(name="native"), "stray")
    project.edit_case(lambda case: case.update(name="stray", title="stray"), "stray")
    assert any("stray on native" in note for note in project.decide("native", "stray").notes)


def test_a_board_that_nobody_asked_for_is_noted_but_its_failure_counts(project: Project) -> None:
    project.second()
    assert any("other" in note for note in project.decide("native", "other").notes)
    project.fail(run="other")
    project.stops(Kind.BROKEN, "small on other", runs=("native", "other"))


def test_known_failures_are_noted(project: Project) -> None:
    project.quarantine(entry()).fail(quarantine=QUARANTINED)
    decision = project.decide()
    assert decision.ready
    assert any(CHECK in note and "https://tracker.example/7" in note for note in decision.notes)


def test_an_exception_that_excuses_nothing_is_noted(project: Project) -> None:
    project.add_to_policy('[[marginal]]\ncase = "*"\ncheck = "agreement.*"\nreason = "r"\n')
    assert any("but nothing is" in note for note in project.decide().notes)


def test_a_run_of_a_named_image_says_that_it_kept_no_elf(project: Project) -> None:
    firmware = project.run().document.manifest.firmware
    assert firmware is not None
    assert (firmware.given, firmware.kept) == (True, "")
    assert any("--hil-image" in note and "kept no ELF" in note for note in project.decide().notes)
