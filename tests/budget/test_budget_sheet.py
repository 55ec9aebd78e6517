"""`hil budget`: planned and actual figures against their budgets, what is left, and the exit code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from made_run import CYCLES, HOST, figures, made_case, made_check, made_run, write_run
from native_session import CaseFolder

from hil.budget.commands import add_budget_command
from hil.budget.find import budget_sheets
from hil.budget.types import Row, Sheet, State
from hil.errors import UsageError

PROJECT = Path(__file__).resolve().parents[2]
BOARD = """\
kind = "native"
target = "native"
[power]
active_mw = 30.0
sleep_mw = 0.05
wake_ms = 1.0
wake_uj = 12.0
battery_mwh = 740.0
source = "made up"
[native]
"""
PLAN = """\
case = "motion"
source = "a guess"
margin = 0.05

[flash]
image_bytes = { planned = 205_000 }
bundle_bytes = { budget = 16_000, planned = 9_000 }
total_bytes = { budget = 220_000 }
device_bytes = 500_000
update_slot = "full"

[memory]
arena_bytes = { budget = 4096, planned = 3950 }

[latency.instructions]
total.p99 = { budget = 600_000, planned = 540_000 }
[latency.ms]
total.p99 = { budget = 20.0, planned = 18.5 }
"""
RATE = "[rate]\ninferences_per_second = 2.0\n[energy]\nbattery_days = 20\n"
ASSUMED = "[assumed]\ncycles_per_instruction = 2.0\ncore_hz = 100e6\n"


class Desk:
    """A folder with a plan, board files and a run."""

    def __init__(self, path: Path) -> None:
        self.path, self.case, self.boards = path, path / "motion", path / "boards"
        self.case.mkdir()
        self.boards.mkdir()
        (self.boards / "watch.toml").write_text(BOARD)
        self.plan()

    def plan(self, text: str = PLAN) -> None:
        (self.case / "budget.toml").write_text(text)

    def sheet(self, run: Path | None = None, board: str | None = "watch") -> Sheet:
        (sheet,) = budget_sheets([str(self.case)], run, board, [self.boards])
        return sheet

    def run(self, **changes: Any) -> Path:
        """A run of the case on the board, of which `clock` and keys of the case may be changed."""
        clock = {"clock": changes.pop("clock")} if "clock" in changes else {}
        return write_run(self.path / "run", made_run(made_case(**changes), board="watch", **clock))

    def command(self, *arguments: str | Path) -> int:
        parser = argparse.ArgumentParser()
        add_budget_command(parser.add_subparsers(), lambda: [self.boards])
        options = parser.parse_args(["budget", *map(str, arguments)])
        return int(options.run(options))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def row(sheet: Sheet, what: str, unit: str = "") -> Row:
    (found,) = (each for each in sheet.rows if each.what == what and unit in each.unit)
    return found


def test_a_plan_alone_has_a_sheet(desk: Desk) -> None:
    sheet = desk.sheet()
    assert (sheet.case, sheet.version, sheet.run) == ("motion", None, "")
    whole = row(sheet, "flash: image + bundle")
    assert (whole.budget, whole.planned, whole.actual, whole.slack) == (220_000, 214_000, None, 6_000)
    assert row(sheet, "flash: update slot").planned == 214_000
    device = row(sheet, "flash: device")
    assert (device.planned, device.slack, device.state) == (428_000, 72_000, State.OK)
    assert row(sheet, "flash: image").state is State.NO_BUDGET
    assert row(sheet, "arena").state is State.MARGINAL  # 146 of 4,096 bytes are 3.6 %


@pytest.mark.parametrize(("slot", "reserve"), [('"none"', 0), ("10_000", 10_000)])
def test_the_update_slot_is_what_the_plan_reserves(desk: Desk, slot: str, reserve: int) -> None:
    desk.plan(PLAN.replace('"full"', slot))
    assert row(desk.sheet(), "flash: device").planned == 214_000 + reserve


def test_actual_figures_go_before_planned_ones(desk: Desk) -> None:
    sheet = desk.sheet(desk.run())
    whole = row(sheet, "flash: image + bundle")
    assert (whole.planned, whole.actual, whole.slack) == (214_000, 207_000, 13_000)
    assert row(sheet, "arena").state is State.OK
    assert row(sheet, "flash: device").actual == 414_000
    assert row(sheet, "static RAM").state is State.NO_BUDGET


def test_latency_is_the_bound_that_the_gate_judged(desk: Desk) -> None:
    total = row(desk.sheet(desk.run()), "latency: total p99", "instructions")
    assert (total.actual, total.slack) == (510_900, 89_100)
    assert "upper" in total.note


def test_each_stage_without_a_budget_is_shown(desk: Desk) -> None:
    sheet = desk.sheet(desk.run())
    prepare = row(sheet, "latency: prepare p99")
    assert (prepare.actual, prepare.state) == (10_200, State.NO_BUDGET)


def test_instructions_are_no_time(desk: Desk) -> None:
    total = row(desk.sheet(desk.run()), "latency: total p99", "ms")
    assert total.actual is None
    assert "no time" in total.note


def test_instructions_become_time_only_by_an_assumption_that_is_named(desk: Desk) -> None:
    desk.plan(PLAN + RATE + ASSUMED)
    sheet = desk.sheet(desk.run())
    total = row(sheet, "latency: total p99", "ms")
    assert total.actual == pytest.approx(510_900 * 2 / 100e6 * 1000)
    assert "assumed: 2 cycles an instruction at 100 MHz" in total.note
    assert "assumed" in row(sheet, "average power").note


def test_measured_cycles_are_time(desk: Desk) -> None:
    desk.plan(PLAN + RATE)
    latency = {"unit": "cycles", "stages": {"total": figures(1_000_000)}}
    sheet = desk.sheet(desk.run(clock=CYCLES, latency=latency, checks=[]))
    assert row(sheet, "latency: total p99", "ms").actual == pytest.approx(10.002)  # 1,000,200 cycles at 100 MHz
    # 2/s x (10 + 1) ms = 2.2 % awake; 0.022 x 30 + 0.978 x 0.05 + 0.024 = 0.7329 mW
    power = row(sheet, "average power")
    assert power.actual == pytest.approx(0.7329)
    assert "assumed" not in power.note
    assert row(sheet, "battery").actual == pytest.approx(740 / (0.7329 * 24))


def test_host_time_is_no_time_of_the_product(desk: Desk) -> None:
    desk.plan(PLAN + RATE)
    memory = made_case()["memory"] | {"host": True}
    latency = {"unit": "ns", "stages": {"total": figures(1_000_000)}}
    sheet = desk.sheet(desk.run(clock=HOST, latency=latency, memory=memory, checks=[]))
    assert row(sheet, "latency: total p99", "ms").actual is None
    assert row(sheet, "average power").actual is None
    assert row(sheet, "flash: image + bundle").actual is None
    assert any("workstation" in note for note in sheet.notes)


def test_a_battery_budget_is_a_least_one(desk: Desk) -> None:
    desk.plan(PLAN + RATE.replace("20", "25"))
    battery = row(desk.sheet(), "battery")
    assert battery.planned == pytest.approx(24.82, abs=0.01)
    assert battery.state is State.OVER
    assert battery.slack == pytest.approx(-0.18, abs=0.01)


def test_a_rate_that_the_device_cannot_keep_is_over(desk: Desk) -> None:
    desk.plan(PLAN + "[rate]\ninferences_per_second = 60.0\n")
    sheet = desk.sheet()
    assert row(sheet, "duty cycle").planned == pytest.approx(60 * 1.95)
    assert [each.what for each in sheet.over] == ["duty cycle"]


def test_an_energy_budget_without_power_is_unknown_and_says_what_it_needs(desk: Desk) -> None:
    desk.plan(PLAN + RATE)
    (desk.boards / "bare.toml").write_text('kind = "native"\ntarget = "native"\n[native]\n')
    battery = row(desk.sheet(board="bare"), "battery")
    assert battery.state is State.UNKNOWN
    assert "[power] table in bare.toml" in battery.note
    assert "--board" in row(desk.sheet(board=None), "battery").note


@pytest.mark.parametrize(("arena", "code"), [(4096, 0), (4097, 1)])
def test_the_exit_code_tells_that_something_is_over(desk: Desk, arena: int, code: int) -> None:
    memory = made_case()["memory"] | {"arena_high_water": arena}
    assert desk.command(desk.case, "--run", desk.run(memory=memory)) == code


def test_a_case_without_an_arena_is_noted_with_the_line_of_the_run(desk: Desk) -> None:
    case = CaseFolder(desk.path / "small").replace("arena_bytes = 4096\n", "").path
    ran = made_case("small", memory=made_case()["memory"] | {"arena_bytes": None})
    line = "write arena_bytes = 4000 under [budget.memory] of case.toml"
    told = made_check("memory.arena", 3600.0, "bytes", proposed=4000) | {"outcome": "not judged", "hint": line}
    run = write_run(desk.path / "run", made_run(ran | {"checks": [told]}))
    (sheet,) = budget_sheets([str(case)], run, None, [PROJECT / "boards"])
    assert row(sheet, "arena").state is State.NO_BUDGET
    assert row(sheet, "arena").actual == 3600
    assert "arena, headroom kept" not in [each.what for each in sheet.rows]
    assert f"case.toml gives no arena_bytes, and hil gate refuses the case without it: {line}" in sheet.notes
    (alone,) = budget_sheets([str(case)], None, None, [PROJECT / "boards"])
    assert any("refuses the case without it: a run on a target says which line to write" in it for it in alone.notes)


def test_json_has_the_rows(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.command(desk.case, "--json", "--board", "watch") == 0
    (sheet,) = json.loads(capsys.readouterr().out)
    arena = next(each for each in sheet["rows"] if each["what"] == "arena")
    assert (arena["budget"], arena["planned"], arena["slack"], arena["state"]) == (4096, 3950, 146, "marginal")


def test_the_golden_case_has_a_sheet_from_its_own_budgets(desk: Desk) -> None:
    (sheet,) = budget_sheets([str(PROJECT / "golden_vectors" / "imu_motion")], None, None, [PROJECT / "boards"])
    assert row(sheet, "arena").budget == 4096
    assert row(sheet, "arena, headroom kept").budget == 3686  # 10 % must stay free
    assert row(sheet, "latency: total p99").budget == 600_000
    assert {each.state for each in sheet.rows} == {State.UNKNOWN}


def test_a_run_of_other_files_is_told(desk: Desk) -> None:
    case = PROJECT / "golden_vectors" / "imu_motion"
    run = write_run(desk.path / "run", made_run(made_case("imu_motion")))
    (sheet,) = budget_sheets([str(case)], run, None, [PROJECT / "boards"])
    assert any("these files are not the same now" in note and "vectors.npz" in note for note in sheet.notes)


def test_a_run_that_broke_is_told(desk: Desk) -> None:
    broken = made_case(error="BoardError: gone\nmore", verdict="error", memory=None, latency=None, checks=[])
    sheet = desk.sheet(write_run(desk.path / "run", made_run(broken, board="watch")))
    assert "the run of the case broke: BoardError: gone" in sheet.notes
    assert all(each.actual is None for each in sheet.rows)


def test_a_run_on_another_board_than_the_one_named_is_misuse(desk: Desk) -> None:
    run = write_run(desk.path / "run", made_run())
    with pytest.raises(UsageError, match="is a run on qemu, not on watch"):
        desk.sheet(run)


def test_the_last_run_is_used_only_where_it_serves(desk: Desk) -> None:
    write_run(desk.path / "hil-out", made_run())
    assert desk.sheet(board=None).run == "hil-out/run.json"
    assert desk.sheet(board="watch").run == ""
    (desk.path / "hil-out" / "run.json").write_text("{")
    assert desk.sheet(board=None).run == ""


def test_a_plan_of_another_case_and_no_case_at_all_are_misuse(desk: Desk) -> None:
    with pytest.raises(UsageError, match=r"there is no case\.toml and no budget\.toml"):
        budget_sheets(["nothing"], None, None, [])
    run = write_run(desk.path / "run", made_run(made_case("other"), board="watch"))
    assert any("has no case motion" in note for note in desk.sheet(run).notes)


def test_a_check_in_another_unit_does_not_become_a_latency(desk: Desk) -> None:
    """Of two limits on one statistic the check shows one; the bound is always in units of the clock."""
    check = made_check("latency.total.p99", 5.109, "ms", bound=510_900)
    assert row(desk.sheet(desk.run(checks=[check])), "latency: total p99", "instructions").actual == 510_900
