"""budget.toml: what is written is what is read, and every mistake is named with its line and its fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil.budget.file import read_budget
from hil.errors import CaseError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "budgets.md"
WHOLE = """\
case = "motion"
margin = 0.05

[flash]
image_bytes = { planned = 200_000 }
update_slot = "full"

[memory]
arena_bytes = { budget = 4096, planned = 3600 }

[latency.ms]
total.p99 = { budget = 25.0 }

[rate]
period_s = 0.5

[energy]
battery_days = 180
"""


def written(folder: Path, text: str) -> Path:
    (folder / "budget.toml").write_text(text, encoding="utf-8")
    return folder / "budget.toml"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    plan = read_budget(written(tmp_path, WHOLE))
    assert plan.case == "motion"
    assert plan.flash.image_bytes is not None
    assert (plan.flash.image_bytes.planned, plan.flash.image_bytes.budget) == (200_000, None)
    assert plan.latency.ms.total.p99 is not None
    assert plan.latency.ms.total.p99.budget == 25.0
    assert plan.rate is not None
    assert plan.rate.per_second == 2.0


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('case = "motion"', "", None, "case: the key is missing"),
        ("margin = 0.05", "margn = 0.05", 2, "did you mean 'margin'?"),
        ("margin = 0.05", "margin = 5", 2, "less than 1"),
        ('update_slot = "full"', 'update_slot = "double"', 6, 'write "full", "none" or a number of bytes'),
        ('update_slot = "full"', "update_slot = -1", 6, 'write "full", "none" or a number of bytes'),
        ('update_slot = "full"', "update_slot = true", 6, 'write "full", "none" or a number of bytes'),
        ("planned = 3600", "plan = 3600", 9, "did you mean 'planned'?"),
        ("{ budget = 4096, planned = 3600 }", "4096", 9, "write arena_bytes = { budget"),
        ("{ budget = 4096, planned = 3600 }", "{}", 9, "neither budget nor planned"),
        ("budget = 4096", "budget = 4096.5", 9, "[memory] arena_bytes.budget"),
        ("total.p99", "total.p98", 12, "did you mean 'p99'?"),
        ("{ budget = 25.0 }", "{ budget = 0.0 }", 12, "greater than 0"),
        ("period_s = 0.5", "period_s = 0.5\ninferences_per_second = 2.0", 14, "one of inferences_per_second"),
        ("battery_days = 180", "battery_days = inf", 18, "finite"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_fix(
    tmp_path: Path, old: str, new: str, line: int | None, words: str
) -> None:
    assert WHOLE.count(old) == 1
    file = written(tmp_path, WHOLE.replace(old, new))
    with pytest.raises(CaseError) as caught:
        read_budget(file)
    text = str(caught.value)
    assert str(file) in text
    assert words in text
    assert "\n  fix: " in text
    assert line is None or f"line {line}," in text


@pytest.mark.parametrize("content", [b"case = \xff", b"case = [", b"a = " + b"[" * 10_000])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "budget.toml").write_bytes(content)
    with pytest.raises(CaseError, match="fix: "):
        read_budget(tmp_path / "budget.toml")


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    text = re.findall(r"```toml\n(case = .*?)```", PAGE.read_text(encoding="utf-8"), re.S)[0]
    assert read_budget(written(tmp_path, text)).case
