"""Every reason that stops a release, each from one edit of a run that is ready without it."""

import shutil
from datetime import timedelta

import pytest
from release_project import CASE, CHECK, QUARANTINED, Project, entry, sha256

from hil.errors import UsageError
from hil.gate.reasons import Kind

# ---- nothing ran, or not all


def test_a_board_without_a_run(project: Project) -> None:
    project.policy(boards='"native", "other"')
    project.stops(Kind.NOT_RUN, "case small did not run on board other", "pytest --board=other cases/small/case.toml")


def test_a_case_without_a_run(project: Project) -> None:
    shutil.copytree(project.case, project.folder / "cases" / "twin")
    toml = project.folder / "cases" / "twin" / "case.toml"
    toml.write_text(toml.read_text().replace(f'name = "{CASE}"', 'name = "twin"'))
    (toml.parent / "case.lock").unlink()
    project.policy(locked="false").stops(Kind.NOT_RUN, "case twin did not run on board native")


def test_a_tree_without_a_case(project: Project) -> None:
    shutil.rmtree(project.case)
    decision = project.decide()
    assert [reason.kind for reason in decision.reasons] == [Kind.NOT_RUN]


def test_a_run_in_which_nothing_ran(project: Project) -> None:
    project.edit(lambda document: document.update(cases=[], verdict="nothing judged"))
    project.stops(Kind.NOT_RUN, "nothing ran", "did not run on board native")


def test_a_run_in_which_nothing_was_judged(project: Project) -> None:
    def change(document: dict) -> None:
        document["verdict"] = "nothing judged"
        document["cases"][0]["verdict"] = "not judged"
        for check in document["cases"][0]["checks"]:
            check.update(outcome="not judged", value=None, findings=[], findings_total=0)

    project.edit(change).add_to_policy('[[not_judged]]\ncase = "*"\ncheck = "*"\nreason = "r"\n')
    project.stops(Kind.NOT_RUN, "no check was judged")


def test_checks_left_out(project: Project) -> None:
    def leave_out(case: dict) -> None:
        case["checks"] = [check for check in case["checks"] if check["id"] != "input.zero_point"]

    project.edit_case(leave_out)
    project.stops(Kind.NOT_RUN, "1 checks that the case asks for are not in the run: input.zero_point")


def test_an_interrupted_run(project: Project) -> None:
    project.edit(lambda document: document.update(verdict="interrupted"))
    project.stops(Kind.BENCH, "interrupted", "pytest --board=native cases")


def test_a_broken_bench(project: Project) -> None:
    def change(document: dict) -> None:
        document["verdict"] = "error"
        document["cases"][0].update(verdict="error", error="LinkError: no answer\nmore", checks=[])

    project.edit(change).stops(Kind.BENCH, "LinkError: no answer", "small.native.log")


# ---- broken and quarantined


def test_a_broken_check_is_told_with_its_finding_and_its_hint(project: Project) -> None:
    project.fail()
    words = (CHECK, "vector v7, stage invoke", "expected the same bytes, observed others", "state that is not cleared")
    project.stops(Kind.BROKEN, *words)


def invalidate(case: dict) -> None:
    """The clock is broken, and one check rests on it."""
    told = dict(case=CASE, vector="", contract="instruments", check="instruments.clock", limit="", stage="")
    for check in case["checks"]:
        if check["id"] == "instruments.clock":
            finding = {
                **told,
                "expected": "a clock that runs",
                "observed": "it stands still",
                "hint": "look at the port",
            }
            check.update(outcome="invalid", findings=[finding], findings_total=1)
        if check["id"] == "execution.plain":
            check.update(outcome="invalid", reason="instruments.clock is broken: it stands still")
    case["verdict"] = "invalid"


def test_a_broken_instrument_is_told_once_with_what_rests_on_it(project: Project) -> None:
    project.edit_case(invalidate).edit(lambda document: document.update(verdict="invalid"))
    words = ("instruments.clock", "expected a clock that runs, observed it stands still", "said of execution.plain")
    project.stops(Kind.INVALID, *words, "see the port")
    assert len([reason for reason in project.decide().reasons if reason.kind is Kind.INVALID]) == 1


def test_no_quarantine_excuses_a_broken_instrument(project: Project) -> None:
    project.edit_case(invalidate).edit(lambda document: document.update(verdict="invalid"))
    project.quarantine(entry(check="instruments.clock"))
    assert Kind.INVALID in {reason.kind for reason in project.decide().reasons}


def test_a_run_that_hides_what_is_invalid_is_not_trusted(project: Project) -> None:
    def hide(case: dict) -> None:
        invalidate(case)
        case["verdict"] = "passed"

    project.edit_case(hide)
    assert Kind.UNTRUSTED in {reason.kind for reason in project.decide().reasons}


def test_a_quarantine_that_the_file_no_longer_has(project: Project) -> None:
    project.fail(quarantine=QUARANTINED).stops(Kind.BROKEN, "the quarantine has no such entry now")


def test_a_quarantine_that_was_added_after_the_run(project: Project) -> None:
    project.fail().quarantine(entry()).stops(Kind.BROKEN, "run the case again")


def test_an_expired_quarantine_stops_even_though_the_run_had_it(project: Project) -> None:
    project.quarantine(entry(expires="2020-01-01")).fail(quarantine=QUARANTINED | {"expires": "2020-01-01"})
    kinds = {reason.kind for reason in project.decide().reasons}
    assert kinds == {Kind.BROKEN, Kind.QUARANTINE}


def test_a_quarantine_holds_on_its_last_day_and_not_after(project: Project) -> None:
    from datetime import UTC, datetime

    today = datetime.now(UTC).date()
    project.quarantine(entry(expires=str(today))).fail(quarantine=QUARANTINED)
    assert project.decide().ready
    kinds = {reason.kind for reason in project.decide(later=timedelta(days=1)).reasons}
    assert kinds == {Kind.BROKEN, Kind.QUARANTINE}


def test_a_quarantine_that_is_not_needed(project: Project) -> None:
    project.quarantine(entry()).stops(Kind.QUARANTINE, "the check holds", "remove the entry")


def test_a_quarantine_of_a_check_that_nobody_judged(project: Project) -> None:
    project.quarantine(entry("memory.flash")).stops(Kind.QUARANTINE, "was judged on no board")


def test_a_quarantine_of_all_boards_is_needed_when_one_of_them_fails(project: Project) -> None:
    project.second().policy(boards='"native", "other"').quarantine(entry())
    project.fail(run="other", quarantine=QUARANTINED)
    assert project.decide("native", "other").ready


def test_a_quarantine_of_one_board_does_not_excuse_another(project: Project) -> None:
    project.second().quarantine(entry(board="native")).fail(quarantine=QUARANTINED)
    project.fail(run="other").stops(Kind.BROKEN, "small on other", runs=("native", "other"))


def test_a_quarantine_of_a_board_without_a_run_is_noted(project: Project) -> None:
    project.quarantine(entry(board="nucleo"))
    assert any("none of these runs shows" in note for note in project.decide().notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [(entry("input.nothing"), "line 3, .*asks for no check"), (entry(case="other"), "line 2, .*there is no case")],
)
def test_a_quarantine_of_what_there_is_not_is_misuse(project: Project, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        project.quarantine(text).decide()


# ---- marginal and not judged


def make_marginal(project: Project) -> Project:
    """A check at 99 % of a limit, in a case that calls the last 5 % marginal, as such a run says it."""
    toml = project.case / "case.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace("margin = 0.0\n", "margin = 0.05\n"), encoding="utf-8")
    (project.case / "case.lock").unlink()
    project.policy(locked="false")
    project.edit_case(lambda case: case["manifest"]["files"].update({"case.toml": sha256(toml.read_bytes())}))
    project.edit_check("execution.arena", value=100.0)
    project.edit(lambda document: document.update(verdict="marginal")).edit_case(
        lambda case: case.update(verdict="marginal")
    )
    return project.edit_check("input.saturation", value=0.0099, outcome="marginal", reason="1 % from its limit")


def test_a_marginal_check(project: Project) -> None:
    make_marginal(project).stops(Kind.MARGINAL, "input.saturation is marginal: 1 % from its limit", "[[marginal]]")


def test_a_marginal_check_that_the_policy_explains(project: Project) -> None:
    make_marginal(project).add_to_policy('[[marginal]]\ncase = "small"\ncheck = "input.*"\nreason = "the sensor"\n')
    decision = project.decide()
    assert decision.ready
    assert any("the sensor" in note for note in decision.notes)


def test_an_explanation_for_another_board_does_not_count(project: Project) -> None:
    make_marginal(project)
    project.add_to_policy('[[marginal]]\ncase = "small"\ncheck = "input.*"\nboard = "qemu"\nreason = "r"\n')
    project.stops(Kind.MARGINAL, "input.saturation")


def open_check(project: Project, run: str = "native", check: str = CHECK) -> Project:
    return project.edit_check(check, run, outcome="not judged", value=None, reason="the board cannot")


def test_a_check_that_no_board_judged(project: Project) -> None:
    open_check(project).stops(Kind.NOT_JUDGED, f"{CHECK} not judged: the board cannot", "[[not_judged]]")


def test_a_check_that_another_board_of_the_release_judged(project: Project) -> None:
    open_check(project.second().policy(boards='"native", "other"'))
    assert project.decide("native", "other").ready


def test_a_verdict_of_a_board_outside_the_policy_does_not_stand_in(project: Project) -> None:
    open_check(project.second()).stops(Kind.NOT_JUDGED, CHECK, runs=("native", "other"))


def strict(project: Project, boards: str) -> Project:
    """A policy that accepts nothing."""
    text = project.policy(boards=boards).read_policy().data.decode()
    (project.folder / "release.toml").write_text(text[: text.index("[[")], encoding="utf-8")
    return project


def on_target(project: Project, name: str, target: str, clock: str) -> Project:
    """The run as a board with a device would have given it: sizes judged, and times where the case limits its clock."""
    counted = {"kind": clock, "unit": clock, "hz": None, "deterministic": False}
    project.second(name, target=target, clock=counted)

    def change(case: dict) -> None:
        case["memory"]["host"] = False
        for check in case["checks"]:
            of_clock = check["id"].startswith("latency.") and clock != "instructions"
            if check["outcome"] == "not judged" and not of_clock:
                check.update(outcome="passed", reason="", value=None, limit=None)
        for check in case["checks"]:  # a workstation's figures break the product's limits
            if check["id"] == "execution.arena":
                check.update(value=None)

    return project.edit_case(change, name)


def kinds_without_limits(project: Project, *runs: str) -> list[tuple[Kind, str]]:
    """Reasons but those that a check without value gives, and the figures of a workstation, held to the product's
    budgets.
    """
    reasons = project.decide(*runs).reasons
    left_out = (Kind.UNTRUSTED, Kind.BUDGET)
    return [(reason.kind, reason.check) for reason in reasons if reason.kind not in left_out]


def test_sizes_and_times_of_a_workstation_are_left_to_another_board(project: Project) -> None:
    on_target(strict(project, '"native", "emulated"'), "emulated", "cortex", "instructions")
    assert kinds_without_limits(project, "native", "emulated") == []


def test_a_size_that_a_target_left_open_is_not_answered_by_another_target(project: Project) -> None:
    on_target(strict(project, '"one", "two"'), "one", "cortex", "instructions")
    on_target(project, "two", "other", "instructions")
    open_check(project, "two", "memory.stack")
    assert kinds_without_limits(project, "one", "two") == [(Kind.NOT_JUDGED, "memory.stack")]
    project.edit(lambda document: document["board"].update(target="cortex"), "two")
    assert kinds_without_limits(project, "one", "two") == []


def test_a_limit_in_a_clock_that_no_board_counts_is_not_judged_although_its_check_passed(project: Project) -> None:
    on_target(strict(project, '"one"'), "one", "cortex", "cycles")
    told = project.decide("one").reasons
    assert any(
        reason.kind is Kind.NOT_JUDGED and "no board of the release counts instructions" in reason.what
        for reason in told
    )


def test_a_run_that_lost_a_worker_broke(project: Project) -> None:
    """Others took up its cases and all passed, but pytest did not."""
    project.edit(lambda document: document.update(lost_workers=["gw1"], verdict="error"))
    project.stops(Kind.BENCH, "a worker ended before its time (gw1)", "pytest --board=native cases")


def test_a_lost_worker_that_was_left_out_of_the_verdict(project: Project) -> None:
    project.edit(lambda document: document.update(lost_workers=["gw1"]))
    assert Kind.UNTRUSTED in {reason.kind for reason in project.decide().reasons}


# ---- the case and its manifests


def test_a_case_without_a_lock(project: Project) -> None:
    (project.case / "case.lock").unlink()
    project.stops(Kind.CASE, "is not locked", "hil case lock cases/small")
    project.policy(locked="false")
    assert project.decide().ready


def test_a_file_that_was_edited_after_the_run(project: Project) -> None:
    (project.case / "case.lock").unlink()
    with (project.case / "case.toml").open("a", encoding="utf-8") as file:
        file.write("# later\n")
    project.policy(locked="false").stops(Kind.MANIFEST, "changed since the run: case.toml")


def test_a_locked_case_that_was_edited(project: Project) -> None:
    with (project.case / "case.toml").open("a", encoding="utf-8") as file:
        file.write("# later\n")
    project.stops(Kind.CASE, "case.toml changed", "restore what changed")


def test_another_version_than_the_one_that_ran(project: Project) -> None:
    project.edit_case(lambda case: case.update(version=9))
    project.stops(Kind.MANIFEST, "version 9 ran, the tree has version ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda case: case["image"].update(sha256="0" * 64), "more than one firmware image of target native"),
        (lambda case: case["device"].update(firmware="9.9"), "more than one source version of the firmware"),
    ],
)
def test_two_firmwares(project: Project, change, words: str) -> None:
    project.second().policy(boards='"native", "other"').edit_case(change, "other")
    project.stops(Kind.MANIFEST, words, runs=("native", "other"))


def test_two_firmwares_of_two_targets_are_fine(project: Project) -> None:
    project.second(target="another").policy(boards='"native", "other"')
    project.edit_case(lambda case: case["image"].update(sha256="0" * 64), "other")
    assert project.decide("native", "other").ready


def test_two_bundles(project: Project) -> None:
    def change(case: dict) -> None:
        case["bundle"]["sha256"] = case["device"]["bundle_hash"] = "0" * 64

    project.second().policy(boards='"native", "other"').edit_case(change, "other")
    project.stops(Kind.MANIFEST, "more than one bundle of case small", runs=("native", "other"))


def test_two_versions_of_hil_and_of_an_oracle(project: Project) -> None:
    def change(document: dict) -> None:
        document["manifest"]["hil"] = "9.9.9"
        document["manifest"]["packages"]["tflite-micro"] = "9"

    project.second().policy(boards='"native", "other"').edit(change, "other")
    words = ("more than one version of hil", "more than one version of tflite-micro")
    project.stops(Kind.MANIFEST, *words, runs=("native", "other"))


# ---- baseline, age, sources


def baseline(project: Project, text: str = "{}", **values: object) -> Project:
    """A run that was held to a baseline, and the file beside the case."""
    folder = project.case / "baseline"
    folder.mkdir()
    (folder / "native.json").write_text(text, encoding="utf-8")
    facts = {
        "file": "cases/small/baseline/native.json",
        "sha256": sha256(text.encode()),
        "board": "native",
        "case_version": project.run().document.cases[0].version,
        "accepted_at": "2026-01-01T00:00:00+00:00",
        "accepted_by": "A <a@example.org>",
        "reason": "first",
        "firmware_sha256": "0" * 64,
        "model_sha256": "0" * 64,
        "changes": [],
    }
    return project.edit_case(lambda case: case.update(baseline=facts | values))


def of_kind(project: Project, kind: Kind) -> list[str]:
    return [reason.what for reason in project.decide().reasons if reason.kind is kind]


def test_a_required_baseline_that_is_not_there(project: Project) -> None:
    project.policy(baseline="required").stops(Kind.BASELINE, "there is no baseline", "hil baseline accept")


def test_a_baseline_that_was_accepted_after_the_run(project: Project) -> None:
    baseline(project).edit_case(lambda case: case.update(baseline=None))
    project.stops(Kind.BASELINE, "accepted after the run")


@pytest.mark.parametrize("values", [{"board": "qemu"}, {"case_version": 7}])
def test_a_baseline_of_another_board_or_version(project: Project, values: dict) -> None:
    baseline(project, **values)
    assert "the baseline is of board" in of_kind(project, Kind.BASELINE)[0]


def test_a_baseline_that_changed_since_the_run(project: Project) -> None:
    baseline(project, sha256="1" * 64)
    assert "changed since the run" in of_kind(project, Kind.BASELINE)[0]


def test_a_run_that_was_held_to_its_baseline(project: Project) -> None:
    baseline(project).policy(baseline="required")
    assert of_kind(project, Kind.BASELINE) == []


def test_an_old_run(project: Project) -> None:
    project.policy(more="max_age_hours = 2.0").stops(Kind.AGE, "the policy allows 2 h", later=timedelta(hours=3))
    assert project.decide(later=timedelta(hours=1)).ready


def test_a_tree_that_git_does_not_know(project: Project) -> None:
    project.policy(clean_tree="true").stops(Kind.SOURCE, "git does not know")


def test_the_worst_reason_comes_first(project: Project) -> None:
    (project.case / "case.lock").unlink()
    project.policy(boards='"native", "other"', clean_tree="true", more="max_age_hours = 2.0")
    open_check(project).fail("execution.fault").edit(lambda document: None, sealed=True)
    project.edit(lambda document: document.update(host_seconds=0.0), sealed=False)
    kinds = [reason.kind for reason in project.decide(later=timedelta(hours=9)).reasons]
    assert kinds == [
        Kind.UNTRUSTED,
        Kind.NOT_RUN,
        Kind.BROKEN,
        Kind.CASE,
        Kind.NOT_JUDGED,
        Kind.AGE,
        Kind.SOURCE,
    ]
