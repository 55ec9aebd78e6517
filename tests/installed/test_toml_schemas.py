"""The JSON Schemas for editors: they are what the models say, take every file of the project, and refuse wrong ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hil.board.config import kind_names
from hil.project.schemas import file_name
from hil.schemas.make import SCHEMAS, schema_text, texts_of

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "hil" / "schemas"
EXAMPLE = re.search(
    r"^```toml\n(.*?)^```$", (PROJECT / "docs" / "case-format.md").read_text(encoding="utf-8"), re.M | re.S
)
Edit = Callable[[str], str]


@cache
def validator(kind: str) -> Any:
    schema = json.loads((FOLDER / file_name(kind)).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(kind: str, text: str) -> list[str]:
    return [error.message for error in validator(kind).iter_errors(tomllib.loads(text))]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_file_is_current(kind: str) -> None:
    assert (FOLDER / file_name(kind)).read_text(encoding="utf-8") == schema_text(kind), "run `make schema`"


def test_there_is_no_other_file() -> None:
    assert {file.name for file in FOLDER.glob("*.json")} == {file_name(kind) for kind in SCHEMAS}


@pytest.mark.parametrize("file", sorted(PROJECT.glob("golden_vectors/*/case.toml")), ids=lambda file: file.parent.name)
def test_every_case_of_the_project_fits(file: Path) -> None:
    assert errors("case", file.read_text(encoding="utf-8-sig")) == []


@pytest.mark.parametrize("file", sorted(PROJECT.glob("boards/*.toml")), ids=lambda file: file.stem)
def test_every_board_file_of_the_project_fits(file: Path) -> None:
    assert errors("board", file.read_text(encoding="utf-8-sig")) == []


def test_the_example_of_the_page_fits() -> None:
    assert EXAMPLE is not None
    assert errors("case", EXAMPLE[1]) == []


def test_the_policy_of_the_project_fits_also_with_its_examples() -> None:
    text = (PROJECT / "release.toml").read_text(encoding="utf-8")
    assert errors("release", text) == []
    shown = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.M)
    assert tomllib.loads(shown)["marginal"], "the examples are read"
    assert errors("release", shown) == []


WRONG_CASES: dict[str, Edit] = {
    "unknown key": lambda text: text.replace("version = ", "versoin = "),
    "unknown table": lambda text: text + "\n[buget]\n",
    "text for a number": lambda text: text.replace("version = 1 ", 'version = "1" '),
    "fraction for a count": lambda text: text.replace("window = 40 ", "window = 40.5 "),
    "stage that there is not": lambda text: text.replace('"scale/1" ', '"scale/2" '),
    "nothing needed": lambda text: text.replace("[model]\nint8 = ", "[model]\n# int8 = "),
    "no label": lambda text: re.sub(r"labels = \[.*?\]", "labels = []", text),
    "share above one": lambda text: text.replace("arena_headroom = 0.10", "arena_headroom = 1.10"),
    "empty list": lambda text: re.sub(r"full_scale = \[.*?\]", "full_scale = []", text),
    "oddity that there is not": lambda text: text.replace("expect = []", 'expect = ["odd"]'),
}


@pytest.mark.parametrize("edit", WRONG_CASES.values(), ids=WRONG_CASES)
def test_a_wrong_case_does_not_fit(edit: Edit) -> None:
    assert EXAMPLE is not None
    wrong = edit(EXAMPLE[1])
    assert wrong != EXAMPLE[1], "the edit applies"
    assert errors("case", wrong) != []


WRONG_BOARDS: dict[str, Edit] = {
    "unknown kind": lambda text: text.replace('kind = "qemu"', 'kind = "quemu"'),
    "table of another kind": lambda text: text + "\n[native]\nshared_base = 0\nshared_bytes = 1\n",
    "kind of another table": lambda text: text.replace('kind = "qemu"', 'kind = "native"'),
    "no table": lambda text: text.partition("[qemu]")[0],
    "unknown key of the kind": lambda text: text + "\nicount = 6\n",
    "number out of range": lambda text: text.replace("icount_shift = 6 ", "icount_shift = 11 "),
    "no target": lambda text: text.replace("target = ", "# target = "),
    "a key of the harness": lambda text: 'name = "other"\n' + text,
}


@pytest.mark.parametrize("edit", WRONG_BOARDS.values(), ids=WRONG_BOARDS)
def test_a_wrong_board_does_not_fit(edit: Edit) -> None:
    text = (PROJECT / "boards" / "qemu.toml").read_text(encoding="utf-8")
    assert edit(text) != text, "the edit applies"
    assert errors("board", edit(text)) != []


@pytest.mark.parametrize(
    "text", ["", 'boards = []\ncases = "c"\n', 'boards = ["qemu"]\ncases = "c"\nbaseline = "maybe"\n', "[[marginal]]\n"]
)
def test_a_wrong_policy_does_not_fit(text: str) -> None:
    assert errors("release", text) != []


def test_each_kind_of_board_has_its_table() -> None:
    assert {*kind_names()} <= {*json.loads(schema_text("board"))["properties"]}


# ---- what the editor shows


def keys(part: dict[str, Any], whole: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every key that is no table, with its dotted name."""
    for name, value in part.get("properties", {}).items():
        below = [
            each["$ref"]
            for each in (value, value.get("additionalProperties"), value.get("items"))
            if isinstance(each, dict) and "$ref" in each
        ]
        for reference in below:
            yield from keys(whole["$defs"][reference.rpartition("/")[2]], whole, (*path, name))
        if not below:
            yield ".".join((*path, name)), value


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_has_a_text_for_the_editor(kind: str) -> None:
    schema = json.loads(schema_text(kind))
    found = dict(keys(schema, schema))
    assert len(found) > 8
    assert [name for name, value in found.items() if not value.get("description")] == []


def test_the_texts_are_the_comments_of_an_example() -> None:
    example = """\
[one]
plain = 1                         # of a number
text = "a # in it"                # of a text, that goes on
                                  # in the next line
# off = 3                         # of a key that is commented out
none = 4
[one.two]                         # of a table
p99.max = 5                       # of a dotted key
plain = 6
"""
    assert texts_of(example) == {
        ("one", "plain"): "of a number",
        ("one", "text"): "of a text, that goes on in the next line",
        ("one", "off"): "of a key that is commented out",
        ("one", "two"): "of a table",
        ("one", "two", "p99", "max"): "of a dotted key",
    }


def test_the_command_writes_them_over_older_ones(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "case.schema.json").write_text("{}")
    done = subprocess.run([sys.executable, "-m", "hil.cli", "schema"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.count(b"wrote ") == len(SCHEMAS)
    for kind in SCHEMAS:
        assert (tmp_path / "schemas" / file_name(kind)).read_text(encoding="utf-8") == schema_text(kind)


@pytest.mark.skipif(shutil.which("taplo") is None, reason="no taplo on PATH")
def test_taplo_finds_the_schema_by_the_first_line(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    shutil.copytree(FOLDER, tmp_path / "schemas")
    file = tmp_path / "golden_vectors" / "one" / "case.toml"
    file.parent.mkdir(parents=True)
    for text, code in ((EXAMPLE[1], 0), (WRONG_CASES["unknown key"](EXAMPLE[1]), 1)):
        file.write_text(f"#:schema ../../schemas/case.schema.json\n{text}", encoding="utf-8")
        assert subprocess.run(["taplo", "lint", file], capture_output=True, check=False).returncode == code
