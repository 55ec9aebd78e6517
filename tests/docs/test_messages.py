"""What hil says names what exists: every option, table and key in a text of `hil/` is a real one."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pages import PROJECT
from pydantic import BaseModel

from hil.board.config import board_files, kind_module, read_board
from hil.budget.file import BudgetFile
from hil.case.schema import TABLES, CaseFile
from hil.case.toml_file import _valid_keys
from hil.cli import _parser
from hil.gate.policy import Policy
from hil.plugin import _OPTIONS

# Options of other programs, and what takes them.
FOREIGN = {
    "hil/bench/hardware_map.py": "--generate-hardware-map",  # Zephyr's twister
    "hil/bench/labgrid.py": "--format",  # labgrid-client
    "hil/bench/target.py": "--targets",  # pyocd
    "hil/bench/usb.py": "--reload",  # udevadm
    "hil/board/native.py": "--ram",  # the native firmware
    "hil/child.py": "--pdeathsig",  # setpriv
    "hil/image/build.py": "--preset --build --target",  # cmake
    "hil/image/library.py": "--defsym",  # the linker
    "hil/image/toolchain.py": "--version --no-install-recommends",  # the compiler, apt-get
    "hil/project/git.py": "--verify --porcelain --untracked-files --no-renames --no-optional-locks",
    "hil/renode/process.py": "--disable-xwt --console --plain --hide-log --robot-server-port --version",
    "hil/newboard/files.py": "--targets",  # pyocd
    "hil/newboard/plugged.py": "--targets",
    "hil/virtual/board.py": "--control --misbehave --flash --probe-id",  # the simulated bench
    "hil/virtual/server.py": "--control --misbehave --flash --probe-id",
    "hil/release/commands.py": "--help",  # argparse's own
}
# Words of prose that follow a table, or stand in front of one; any other is a key of it.
PROSE = {"figure", "gives", "has", "is", "limits", "of", "sets", "stage", "table"}


@cache
def texts() -> list[tuple[str, str]]:
    """File and text of every literal of the package that is no docstring; the parts of an f-string one by one."""
    return [
        (file.relative_to(PROJECT).as_posix(), text)
        for file in sorted((PROJECT / "hil").rglob("*.py"))
        for text in literals(file)
    ]


def literals(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    silent = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)  # docstrings
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from options_of(each)


@cache
def known_options() -> set[str]:
    return {*options_of(_parser()), *(f"--{name}" for name in _OPTIONS)}


@cache
def tables() -> set[str]:
    """Of case.toml, budget.toml, release.toml, case.lock and the board files."""
    boards = [read_board(file) for file in board_files([PROJECT / "boards"]).values()]
    return {
        *TABLES,
        *BudgetFile.model_fields,
        *Policy.model_fields,
        "files",
        "power",
        "tflm",
        "firmware",
        "pool",
        *(each.kind for each in boards),
    }


def test_every_option_in_a_text_exists() -> None:
    foreign = {(file, option) for file, listed in FOREIGN.items() for option in listed.split()}
    named = {(file, option) for file, text in texts() for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)}
    unknown = {(file, option) for file, option in named if option not in known_options()}
    assert unknown - foreign == set()
    assert foreign - named == set(), "these are named no more"
    assert len(named - foreign) > 50


def test_every_table_in_a_text_exists() -> None:
    named = {
        (file, table)
        for file, text in texts()
        for table in re.findall(r"(?<![\w\])])\[\[?([a-z_]+(?:\.[a-z_]+)*)\]", text)
        if not re.search(rf"pip install|\[{re.escape(table)}\]'", text)  # an extra of the package
    }
    assert {(file, table) for file, table in named if table not in tables()} == set()
    assert len({table for _, table in named if table in TABLES}) > 8


def keys_of(model: type[BaseModel]) -> set[str]:
    """Those of the model and of all models in it."""
    schema = model.model_json_schema()
    return {key for part in (schema, *schema.get("$defs", {}).values()) for key in part.get("properties", {})}


def keys_beside_tables() -> set[tuple[str, str, str]]:
    """File, table of case.toml, and the word behind it or, with `in`, in front of it."""
    table = "|".join(re.escape(name) for name in sorted(TABLES, key=len, reverse=True))
    return {
        (file, name, word)
        for file, text in texts()
        for pattern, order in (
            (rf"\[({table})\] ([a-z_0-9]+)\b", (1, 2)),
            (rf"\b([a-z_0-9]+) (?:in|under) \[({table})\]", (2, 1)),
        )
        for match in re.finditer(pattern, text)
        for name, word in [(match[order[0]], match[order[1]])]
        if word not in PROSE
    }


def test_every_key_that_a_text_names_with_its_table_is_one_of_it() -> None:
    found = keys_beside_tables()
    assert {each for each in found if each[2] not in _valid_keys(each[1].split("."))} == set()
    assert len(found) >= 8


def test_every_key_that_a_text_wants_written_exists() -> None:
    """As in `write prepare = "tensor/1"`; case.toml, budget.toml, release.toml or a board file has the key."""
    boards = [kind_module(read_board(file)).Settings for file in board_files([PROJECT / "boards"]).values()]
    keys = {key for model in (CaseFile, BudgetFile, Policy, *boards) for key in keys_of(model)}
    found = {
        (file, key)
        for file, text in texts()
        for key in re.findall(r"\b(?:[Ww]rite|add|set|lower|raise) ([a-z_0-9]+) = ", text)
    }
    assert {(file, key) for file, key in found if key not in keys} == set()
    assert len(found) >= 5


@pytest.mark.parametrize("text", ["raise arena_bites in [budget.memory]", "[budget.memory] arena_bites"])
def test_a_key_that_is_none_is_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "texts", lambda: [("file", text)])
    assert keys_beside_tables() == {("file", "budget.memory", "arena_bites")}
