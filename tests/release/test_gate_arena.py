"""A case without `arena_bytes` stops a release: a limit that is not there is not met."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness_process import PASSED, run_harness
from made_run import made_case, made_check, made_run, write_run
from native_session import CaseFolder, native_image
from release_project import CASE, Project
from test_gate_budget import LIMITS

from hil.case.load import write_lock
from hil.gate.checks import arena_reasons, not_judged_reasons
from hil.gate.demands import Demand, Tree
from hil.gate.manifests import manifest_reasons
from hil.gate.policy import Policy
from hil.gate.question import Question
from hil.gate.reasons import Kind
from hil.gate.results import Result, gather
from hil.project.git import Source
from hil.project.quarantine import Quarantine
from hil.runfile import read_run

LINE = "write arena_bytes = 4000 under [budget.memory] of case.toml: the 3,600 bytes, and 10.0 % of headroom"


def demand(arena_bytes: int | None) -> Demand:
    return Demand(
        name="motion", version=1, path="motion/case.toml", locked=True, files={}, checks=[], limits={}, clocks={},
        margin=0.0, confidence=0.95, baselines={}, budget=LIMITS.model_copy(update={"arena_bytes": arena_bytes}),
    )  # fmt: skip


def result(folder: Path, board: str = "qemu", bundle: str = "01") -> Result:
    """A run that says what to write."""
    told = {"outcome": "not judged", "reason": "case.toml gives no arena_bytes", "hint": LINE}
    checks = [
        made_check("memory.arena", 3600.0, "bytes", proposed=4000) | told,
        made_check("execution.arena", 0.0) | told | {"value": None, "hint": ""},
    ]
    case = made_case(
        checks=checks,
        memory=made_case()["memory"] | {"arena_bytes": None},
        bundle={"sha256": bundle * 32, "bytes": 7000},
    )
    (found,) = gather([read_run(write_run(folder / board, made_run(case, board=board)))])
    return found


def test_the_reason_has_the_line_of_the_run(tmp_path: Path) -> None:
    (reason,) = arena_reasons(demand(None), [result(tmp_path)])
    assert (reason.kind, reason.case) == (Kind.CASE, "motion")
    assert reason.what == "case motion gives no arena_bytes: a limit that is not there is not met"
    assert reason.fix == f"{LINE}; then run it again"
    (reason,) = arena_reasons(demand(None), [])
    assert "run it on a board of a 32-bit target" in reason.fix
    assert list(arena_reasons(demand(4096), [])) == []


def test_the_checks_that_lack_the_limit_are_not_told_twice(tmp_path: Path) -> None:
    one = result(tmp_path)
    for arena, told in ((None, 0), (4096, 1)):
        tree = Tree(root="cases", cases=[demand(arena)])
        question = Question(Policy(boards=("qemu",), cases="cases"), Quarantine(), tree, Source(), datetime.now(UTC))
        assert len(list(not_judged_reasons(demand(arena), [one], question))) == told


def test_bundles_with_the_arenas_of_two_targets_are_no_disagreement(tmp_path: Path) -> None:
    both = [result(tmp_path, "qemu", "01"), result(tmp_path, "renode", "02")]
    assert [reason.what for reason in manifest_reasons(both) if "bundle" in reason.what] == []


@pytest.mark.slow
def test_no_entry_of_the_policy_excuses_it(tmp_path: Path) -> None:
    """Such as the one here, that `memory.*` may be left open. A record of it is whole all the same."""
    small = CaseFolder(tmp_path / "made" / "cases" / CASE, CASE).replace("arena_bytes = 4096\n", "")
    write_lock(small.path)
    image = f"--hil-image={native_image().path}"
    done = run_harness(tmp_path / "made", "cases", image, out=str(tmp_path / "made" / "native"))
    assert done.code == PASSED, done.text
    project = Project(tmp_path / "project", tmp_path / "made")
    project.stops(Kind.CASE, "case small gives no arena_bytes: a limit that is not there is not met", "32-bit target")
    code, text = project.hil("gate", project.folder / "native", "--policy", project.folder)
    assert (code, "a limit that is not there is not met" in text) == (1, True)
    options = ("--policy", project.folder, "--out", project.folder / "record")
    assert project.hil("release", project.folder / "native", *options)[0] == 1
    assert project.hil("release", project.folder / "native", *options, "--allow-failed")[0] == 0
    assert project.hil("release", "verify", project.folder / "record")[0] == 0
