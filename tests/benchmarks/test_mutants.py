"""The mutation tester: what it takes for an edit, what it leaves out, and that it finds one that no test notices."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "benchmarks" / "mutants.py"
sys.path.insert(0, str(SCRIPT.parent))
import each_edit  # noqa: E402  scripts, not a package
import mutants  # noqa: E402

# As mutmut writes a file: each function as it was, and once for every edit.
BROKEN = '''
def x_near__mutmut_orig(value, limit):
    """In words."""
    if value < limit:
        return f"below {limit}", "near"
    return ""


def x_near__mutmut_1(value, limit):
    """In words."""
    if value <= limit:
        return f"below {limit}", "near"
    return ""


def x_near__mutmut_2(value, limit):
    """In words."""
    if value < limit:
        return f"below {limit}", "XXnearXX"
    return ""


class Blame:
    def xǁBlameǁcheck__mutmut_orig(self):
        return dict(
            stage=self.stage,
        )

    def xǁBlameǁcheck__mutmut_1(self):
        return dict(
            stage=None,
        )
'''
NAMES = ("x_near__mutmut_1", "x_near__mutmut_2", "xǁBlameǁcheck__mutmut_1")


@pytest.fixture
def edits(tmp_path: Path) -> list[mutants.Edit]:
    (tmp_path / "blame.py").write_text(BROKEN)
    return list(mutants.edits_of(tmp_path / "blame.py", [f"hil.contract.blame.{name}" for name in NAMES]))


def test_an_edit_is_known_by_its_function_and_its_line(edits: list[mutants.Edit]) -> None:
    assert [edit.identity for edit in edits] == [
        ("hil.contract.blame.near", "if value < limit:", "if value <= limit:"),
        ("hil.contract.blame.Blame.check", "stage=self.stage,", "stage=None,"),
    ]


def test_an_edit_of_nothing_but_text_is_none(edits: list[mutants.Edit]) -> None:
    assert "x_near__mutmut_2" not in {edit.name.rpartition(".")[2] for edit in edits}


def test_the_table_counts_what_became_of_each(edits: list[mutants.Edit]) -> None:
    fates = dict(zip(edits, (mutants.Fate.KILLED, mutants.Fate.SURVIVED), strict=True))
    lines = mutants.table(edits, fates, {edits[1].identity}).splitlines()
    assert lines[0].split() == ["module", "edits", "run", "killed", "survived", "not", "reached", "equivalent"]
    assert [line.split() for line in lines[1:]] == [
        ["hil.contract.blame", "2", "2", "1", "1", "0", "1"],
        ["all", "2", "2", "1", "1", "0", "1"],
    ]


def test_every_equivalent_edit_has_a_reason() -> None:
    assert all(why for room in mutants.ROOMS for why in mutants.equivalents(room).values())


def test_an_edit_is_held_to_the_tests_of_its_function() -> None:
    """As mutmut lists them: by the function, of a package without the name of its file."""
    assert [
        each_edit.function_of(f"hil.contract.{name}")
        for name in ("blame.xǁBlameǁcheck__mutmut_12", "__init__.x_judge__mutmut_1")
    ] == [
        "hil.contract.blame.xǁBlameǁcheck",
        "hil.contract.x_judge",
    ]


@pytest.mark.slow
def test_an_edit_that_no_test_notices_is_printed_and_fails(tmp_path: Path) -> None:
    """Held to tests of something else."""
    words = ("contract", "--module", "ready.py", "--tests", "tests/contract/test_contract_order.py", "--sample", "5")
    done = subprocess.run([sys.executable, SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^hil\.contract\.ready\.\w+: (survived|not reached)\n  - .+\n  \+ .+$", done.stdout, re.M)
