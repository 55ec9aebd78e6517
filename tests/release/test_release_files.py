"""release.toml and quarantine.toml: what they mean, and how their faults are told."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from release_project import PROJECT, QUARANTINED, entry

from hil.errors import UsageError
from hil.gate.policy import Explained, read_policy
from hil.project.quarantine import Entry, Quarantine, load_quarantine

NAMES = st.sampled_from(["one", "two", "three"])
CHECKS = st.sampled_from(["input.gate", "memory.arena"])
DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2030, 1, 1))


def policy(folder: Path, text: str) -> Path:
    (folder / "release.toml").write_text(text, encoding="utf-8")
    return folder / "release.toml"


def quarantine(folder: Path, text: str) -> Path:
    (folder / "quarantine.toml").write_text(text, encoding="utf-8")
    return folder / "quarantine.toml"


def test_the_project_s_own_policy_and_quarantine_are_in_order() -> None:
    read = read_policy(PROJECT)
    assert "qemu" in read.policy.boards
    assert (read.policy.baseline, read.policy.locked, read.policy.clean_tree) == ("required", True, True)
    assert read.cases.is_dir()
    assert read.quarantine is not None
    assert load_quarantine(read.quarantine).entries == ()


@pytest.mark.parametrize("name", ["release.toml", "quarantine.toml"])
def test_the_commented_examples_of_the_shipped_files_are_valid(tmp_path: Path, name: str) -> None:
    lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# [["))
    text = "\n".join([*lines[:start], *(line.removeprefix("#").strip() for line in lines[start:])])
    if name == "release.toml":
        read = read_policy(policy(tmp_path, text)).policy
        assert (len(read.marginal), len(read.not_judged)) == (1, 1)
    else:
        assert len(load_quarantine(quarantine(tmp_path, text)).entries) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('cases = "c"', r"boards: the key boards is missing\n  fix: add boards = \[\"qemu\"\]"),
        ('boards = []\ncases = "c"', r"line 1, boards: .*\n  fix: write boards = "),
        ('boards = ["a", "a"]\ncases = "c"', r"line 1, boards: .*a board is named twice"),
        ('boards = "qemu"\ncases = "c"', r"line 1, boards: 'qemu' does not do"),
        (
            'boards = ["a"]\ncases = "c"\nbaselines = "required"',
            r"line 3, baselines: unknown key.*\n  fix: did you mean 'baseline'",
        ),
        ('boards = ["a"]\ncases = "c"\nbaseline = "must"', r"line 3, baseline: 'must' does not do"),
        ('boards = ["a"]\ncases = "c"\nlocked = "yes"', r"line 3, locked: 'yes' does not do"),
        ('boards = ["a"]\ncases = "c"\nmax_age_hours = 0', r"line 3, max_age_hours: 0 does not do"),
        ('boards = ["a"]\ncases = "c"\nmax_age_hours = inf', r"line 3, max_age_hours: inf does not do"),
        (
            'boards = ["a"]\ncases = "c"\n[[marginal]]\ncase = "c"\ncheck = "x"\nreason = "r"\n'
            '[[marginal]]\ncase = "c"\ncheck = "x"',
            r"line 7, \[\[marginal\]\] reason: the key reason is missing",
        ),
        (
            'boards = ["a"]\ncases = "c"\n[[not_judged]]\ncase = "c"\ncheck = "x"\nreason = " "',
            r"line 6, \[\[not_judged\]\] reason: ' ' does not do",
        ),
        ('boards = ["a"', "not valid TOML"),
    ],
)
def test_a_fault_of_the_policy_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read_policy(policy(tmp_path, text))
    assert str(tmp_path / "release.toml") in str(caught.value)
    assert "\n  fix: " in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('case = "small"\n', "", r"line 1, \[\[quarantine\]\] case: the key case is missing"),
        ('reason = "known"', 'reason = ""', r"line 4, \[\[quarantine\]\] reason"),
        ("https://tracker.example/7", "soon", r"line 5, \[\[quarantine\]\] issue: 'soon' does not do.*\n.*https://"),
        ("execution.repeat", "repeat", r"line 3, \[\[quarantine\]\] check: 'repeat' does not do"),
        (
            "2999-12-31",
            '"2999-12-31"',
            r"line 6, \[\[quarantine\]\] expires: '2999-12-31' does not do.*\n.*without quotes",
        ),
        ("2999-12-31", "2999-12-31T10:00:00", r"line 6, \[\[quarantine\]\] expires"),
        ("reason =", "reasons =", r"line 4, \[\[quarantine\]\] reasons: unknown key.*\n  fix: did you mean 'reason'"),
        ("[[quarantine]]", "[[quarantined]]", r"line 1, .*unknown key 'quarantined'"),
    ],
)
def test_a_fault_of_the_quarantine_is_told_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = entry()
    assert text.count(old) == 1
    with pytest.raises(UsageError, match=words):
        load_quarantine(quarantine(tmp_path, text.replace(old, new)))


@pytest.mark.parametrize(("first", "second"), [("", ""), ("qemu", ""), ("", "qemu"), ("qemu", "qemu")])
def test_two_entries_for_the_same_are_refused(tmp_path: Path, first: str, second: str) -> None:
    text = entry(board=first) + entry(board=second, expires="2030-01-01")
    with pytest.raises(UsageError, match="is covered by an earlier entry too"):
        load_quarantine(quarantine(tmp_path, text))


def test_entries_for_two_boards_are_two(tmp_path: Path) -> None:
    text = entry(board="qemu") + entry(board="nucleo")
    assert len(load_quarantine(quarantine(tmp_path, text)).entries) == 2


def test_an_empty_file_quarantines_nothing(tmp_path: Path) -> None:
    assert load_quarantine(quarantine(tmp_path, "")).of("small", "qemu", date.today()) == {}


def test_what_is_quarantined_says_why_and_until_when(tmp_path: Path) -> None:
    read = load_quarantine(quarantine(tmp_path, entry()))
    assert read.of("small", "qemu", date(2999, 12, 31)) == {"execution.repeat": QUARANTINED}


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, CHECKS, st.none() | NAMES, DAYS), max_size=6), NAMES, NAMES, DAYS)
def test_only_entries_of_the_case_the_board_and_the_day_hold(rows: list, case: str, board: str, today: date) -> None:
    entries = [
        Entry(case=of, check=check, board=on, reason="r", issue="https://e.example", expires=until)
        for of, check, on, until in rows
    ]
    wanted = {
        row[1] for row in rows if row[0] == case and row[2] in (None, board) and today < row[3] + timedelta(days=1)
    }
    assert set(Quarantine(entries=tuple(entries)).of(case, board, today)) == wanted


def test_unknown_checks_are_refused_only_of_cases_that_are_known(tmp_path: Path) -> None:
    read = load_quarantine(quarantine(tmp_path, entry("input.nothing")))
    read.refuse_unknown({"other": ["input.gate"]})
    with pytest.raises(UsageError, match=r"line 3, \[\[quarantine\]\] check: case small asks for no check"):
        read.refuse_unknown({"small": ["input.gate"]})
    with pytest.raises(UsageError, match=r"line 2, \[\[quarantine\]\] case: there is no case 'small'"):
        read.refuse_unknown({"other": ["input.gate"]}, all_cases=True)


@pytest.mark.parametrize(
    ("case", "check", "board", "covered"),
    [
        ("small", "memory.*", "*", True),
        ("sm?ll", "memory.arena", "q*", True),
        ("small", "arena", "*", False),
        ("*", "*", "nucleo", False),
    ],
)
def test_exceptions_are_patterns(case: str, check: str, board: str, covered: bool) -> None:
    explained = Explained(case=case, check=check, board=board, reason="r")
    assert explained.covers("small", "memory.arena", "qemu") is covered
