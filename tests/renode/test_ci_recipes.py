"""The recipes of docs/ci-recipes.md: they are YAML, and what they call exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hil.board.config import BENCH_OPTIONS
from hil.renode.process import GET, SUPPORTED

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "ci-recipes.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^## (.*?)\n.*?```yaml\n(.*?)```", PAGE, re.M | re.S)


def texts(value: Any) -> list[str]:
    """All texts in a YAML document."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []


@pytest.fixture(params=[text for _, text in RECIPES], ids=[name for name, _ in RECIPES])
def commands(request: pytest.FixtureRequest) -> list[str]:
    """What the recipe runs, line by line."""
    return [line.strip() for text in texts(yaml.safe_load(request.param)) for line in text.splitlines()]


def test_there_is_a_recipe_for_each_service() -> None:
    assert [name for name, _ in RECIPES] == ["GitHub Actions", "GitLab CI"]


def test_it_judges_on_renode_with_options_that_exist(commands: list[str]) -> None:
    (gate,) = [line for line in commands if line.startswith("make ")]
    known = {f"--{name}" for name in BENCH_OPTIONS} | {"--junit-xml"}
    assert set(re.findall(r"(--[\w-]+)=", gate)) <= known
    would_run = subprocess.run(
        ["make", "--dry-run", *gate.partition(" ")[2].partition(" ARGS")[0].split(" ")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "-m pytest" in would_run
    assert "--board=renode" in would_run


def test_it_gets_the_renode_that_the_board_supports(commands: list[str]) -> None:
    (archive,) = [line.partition("=")[2] for line in commands if line.startswith("archive=")]
    (version,) = set(re.findall(r'RENODE_VERSION: "(.*)"', PAGE))
    assert archive.replace("$RENODE_VERSION", version) in GET
    assert version.startswith(SUPPORTED.removeprefix("Renode v"))


def test_the_shell_in_them_is_shell() -> None:
    for text in (text for _, recipe in RECIPES for text in texts(yaml.safe_load(recipe)) if "tar -xzf" in text):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
