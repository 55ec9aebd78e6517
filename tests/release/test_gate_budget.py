"""The gate asks the budget sheet: what is over there stops a release, also where no check of the run knows of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from made_run import CYCLES, made_case, made_check, made_run, write_run
from release_project import CASE, Project

from hil.board.config import Power
from hil.budget.file import read_budget
from hil.budget.limits import CaseLimits, LatencyLimit
from hil.gate.demands import Demand, Tree
from hil.gate.policy import Policy
from hil.gate.question import Question
from hil.gate.reasons import Kind, Reason
from hil.gate.results import gather
from hil.gate.spending import budget_reasons
from hil.project.git import Source
from hil.project.quarantine import Quarantine
from hil.release.verify import verify
from hil.runfile import read_run

LIMITS = CaseLimits(
    name="motion",
    version=1,
    margin=0.0,
    confidence=0.95,
    arena_bytes=4096,
    arena_headroom=None,
    flash_bytes=None,
    ram_bytes=100_000,
    stack_bytes=None,
    stack_headroom=None,
    latency=[LatencyLimit(unit="instructions", stage="total", statistic="p99", maximum=600_000.0)],
)
OVER = "[flash]\nbundle_bytes = { budget = 100, planned = 200 }\n"


def told(folder: Path, plan: str, limits: CaseLimits = LIMITS, power: Power | None = None, **run: Any) -> list[Reason]:
    """What the gate says of a made run on board qemu: 207,000 bytes of flash, 90,000 of RAM, 510,900 instructions."""
    file = folder / "budget.toml"
    file.write_text(f'case = "motion"\n{plan}', encoding="utf-8")
    demand = Demand(
        name="motion", version=1, path="motion/case.toml", locked=True, files={}, checks=[], limits={}, clocks={},
        margin=0.0, confidence=0.95, baselines={}, budget=limits, plan=read_budget(file) if plan else None,
    )  # fmt: skip
    tree = Tree(root="cases", cases=[demand], power={"qemu": power} if power else {})
    question = Question(Policy(boards=("qemu",), cases="cases"), Quarantine(), tree, Source(), datetime.now(UTC))
    document = made_run(run.pop("case", made_case()), **run)
    (result,) = gather([read_run(write_run(folder / "run", document))])
    return list(budget_reasons(result, demand, question))


def test_a_case_inside_its_budgets_has_nothing_told(tmp_path: Path) -> None:
    assert told(tmp_path, "[flash]\ntotal_bytes = { budget = 207_000 }\n") == []
    assert told(tmp_path, "") == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("[flash]\ntotal_bytes = { budget = 206_999 }\n", "flash: image + bundle: 207,000 of 206,999 bytes"),
        ("[flash]\nimage_bytes = { budget = 199_999 }\n", "flash: image: 200,000 of 199,999 bytes"),
        (
            '[flash]\ndevice_bytes = 400_000\nupdate_slot = "full"\n',
            "flash: device: 414,000 of 400,000 bytes",
        ),
        ("[memory]\nstack_bytes = { budget = 900 }\n", "stack: 984 of 900 bytes"),
        ("[latency.instructions]\ninvoke.p95 = { budget = 500_000 }\n", "latency: invoke p95: 500,100 of 500,000"),
        (
            "[memory]\narena_bytes = { planned = 5000 }\n[flash]\nbundle_bytes = { budget = 6_999 }\n",
            "flash: bundle: 7,0",
        ),
    ],
)
def test_what_only_the_sheet_knows_stops_a_release(tmp_path: Path, plan: str, words: str) -> None:
    (reason,) = told(tmp_path, plan)
    assert (reason.kind, reason.case, reason.board) == (Kind.BUDGET, "motion", "qemu")
    assert words in reason.what
    assert "budget.toml" in reason.fix


def test_a_battery_that_does_not_last_stops_a_release(tmp_path: Path) -> None:
    power = Power(active_mw=30.0, sleep_mw=0.05, battery_mwh=740.0, source="bench supply")
    plan = "[rate]\ninferences_per_second = 10.0\n[energy]\nbattery_days = 400.0\n"
    (reason,) = told(tmp_path, plan, power=power, clock=CYCLES)
    assert "battery: " in reason.what
    assert "days, at least 400 wanted" in reason.what
    assert told(tmp_path, plan, clock=CYCLES) == []  # nobody knows what the board draws


def test_what_a_failed_check_says_is_not_told_twice(tmp_path: Path) -> None:
    small = LIMITS.model_copy(update={"ram_bytes": 80_000})
    (reason,) = told(tmp_path, "", small)
    assert "static RAM: 90,000 of 80,000 bytes" in reason.what
    assert "case.toml" in reason.fix
    failed = made_check("memory.ram", 90_000.0, "bytes") | {"outcome": "failed", "findings_total": 1}
    assert told(tmp_path, "", small, case=made_case(checks=[failed])) == []


def test_a_broken_run_has_no_figures_to_hold(tmp_path: Path) -> None:
    assert told(tmp_path, "[memory]\nstack_bytes = { budget = 900 }\n", case=made_case(error="BoardError: lost")) == []


def test_a_plan_that_is_over_stops_a_release_and_so_says_the_command(project: Project) -> None:
    (project.case / "budget.toml").write_text(f'case = "{CASE}"\n{OVER}', encoding="utf-8")
    project.stops(Kind.BUDGET, "small on native: flash: bundle: 200 of 100 bytes, as planned")
    code, text = project.hil("gate", project.folder / "native", "--policy", project.folder)
    assert code == 1
    assert "over budget:\n  1. small on native: flash: bundle" in text


def test_a_budget_file_that_cannot_be_read_stops_a_release(project: Project) -> None:
    (project.case / "budget.toml").write_text('case = "other"\n', encoding="utf-8")
    kinds = {reason.kind: reason.what for reason in project.decide().reasons}
    assert "it is the plan of 'other'" in kinds[Kind.CASE]


def test_a_record_that_was_packed_all_the_same_verifies(project: Project) -> None:
    """The gate is asked again without the tree: the record holds what the sheet is made of."""
    (project.case / "budget.toml").write_text(f'case = "{CASE}"\n{OVER}', encoding="utf-8")
    record = project.folder / "record"
    options = ("--policy", project.folder, "--out", record)
    assert project.hil("release", project.folder / "native", *options)[0] == 1
    assert project.hil("release", project.folder / "native", *options, "--allow-failed")[0] == 0
    (project.case / "budget.toml").unlink()
    verified = verify(record)
    assert verified.problems == ()
    assert verified.record is not None
    assert [row["kind"] for row in verified.record.reasons] == [str(Kind.BUDGET)]
