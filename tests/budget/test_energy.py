"""Energy of a product that sleeps between inferences: against figures worked out by hand, and laws that must hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.board.config import Power, read_board
from hil.budget.energy import energy
from hil.errors import UsageError

POWER = Power(active_mw=30.0, sleep_mw=0.05, wake_ms=1.0, wake_uj=12.0, battery_mwh=740.0, source="made up")
BOARD = """\
kind = "native"
target = "native"
[power]
active_mw = 30.0
sleep_mw = 0.05
source = "made up"
[native]
"""


def test_a_product_of_two_inferences_a_second_by_hand() -> None:
    """2/s x (18.5 + 1) ms = 3.9 % awake; 0.039 x 30 + 0.961 x 0.05 + 2 x 0.012 = 1.24205 mW."""
    found = energy(POWER, 0.0185, 2.0)
    assert found.duty == pytest.approx(0.039)
    assert found.average_mw == pytest.approx(1.24205)
    assert found.daily_mwh == pytest.approx(29.8092)
    assert found.battery_days == pytest.approx(740 / 29.8092)


def test_a_device_that_cannot_keep_up_has_no_power() -> None:
    found = energy(POWER, 0.6, 2.0)
    assert found.duty == pytest.approx(1.202)
    assert (found.average_mw, found.daily_mwh, found.battery_days) == (None, None, None)


def test_without_a_battery_there_are_no_days() -> None:
    bare = POWER.model_copy(update={"battery_mwh": None})
    assert energy(bare, 0.01, 1.0).battery_days is None
    assert energy(bare, 0.01, 1.0, battery_mwh=100.0).battery_days is not None


@given(seconds=st.floats(0, 0.4), rate=st.floats(0.001, 2.0), faster=st.floats(0, 1))
def test_average_power_lies_between_sleep_and_active_and_grows_with_time(
    seconds: float, rate: float, faster: float
) -> None:
    power = POWER.model_copy(update={"wake_uj": 0.0})
    slow, quick = energy(power, seconds, rate), energy(power, seconds * faster, rate)
    assert slow.average_mw is not None
    assert quick.average_mw is not None
    assert power.sleep_mw * 0.999999 <= quick.average_mw <= slow.average_mw * 1.000001
    assert slow.average_mw <= power.active_mw * 1.000001


def test_a_board_file_gives_power_with_its_source(tmp_path: Path) -> None:
    file = tmp_path / "watch.toml"
    file.write_text(BOARD)
    power = read_board(file).power
    assert power is not None
    assert (power.active_mw, power.source) == (30.0, "made up")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('source = "made up"\n', "", "power.source"),
        ("active_mw = 30.0", "active_mw = 0.0", "power.active_mw"),
        ("sleep_mw", "slep_mw", "write 'sleep_mw'"),
    ],
)
def test_wrong_power_figures_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "watch.toml"
    file.write_text(BOARD.replace(old, new))
    with pytest.raises(UsageError, match=words):
        read_board(file)


def test_the_power_table_of_the_page_is_read(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "budgets.md"
    table = re.findall(r"```toml\n(\[power\].*?)```", page.read_text(encoding="utf-8"), re.S)[0]
    file = tmp_path / "watch.toml"
    file.write_text(BOARD.split("[power]")[0] + table + "[native]\n")
    assert read_board(file).power == Power.model_validate(tomllib.loads(table)["power"])
