"""The documents hold: links lead somewhere, options and tables are the real ones."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from pages import PAGES, PROJECT, blocks

from hil.bench.hardware_map import read_hardware_map
from hil.board.config import check_settings, kind_module, read_board
from hil.case.load import load_case
from hil.contract import checks_for
from hil.environment import environment_name
from hil.model.kernels.own import OWN_KERNELS, OwnKernel
from hil.model.kernels.tflm_2020 import TFLM_2020
from hil.plugin import _OPTIONS, _ini_name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (PROJECT / "docs").glob("*.md") if f"docs/{page.name}" not in readme] == []


def test_the_readmes_run_has_as_many_checks_as_the_case() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    shown = {name: int(count) for name, count in re.findall(r"^  (\w+) +(\d+) passed$", readme, re.M)}
    checks = checks_for(load_case(PROJECT / "golden_vectors" / "imu_motion"))
    assert shown == Counter(check.contract for check in checks)


def test_the_golden_case_is_locked() -> None:
    assert load_case(PROJECT / "golden_vectors" / "imu_motion").locked


def test_the_two_commands_of_the_readme_are_what_the_server_runs() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    (_, first_block, *_) = (PROJECT / "README.md").read_text(encoding="utf-8").split("```")
    commands = re.findall(r"^(make [a-z-]+)", first_block, re.M)
    assert len(commands) == 2
    for command in commands:
        assert re.search(rf"^run {command}$", script, re.M), command


def test_the_table_of_options_names_every_option_with_its_twins() -> None:
    page = (PROJECT / "docs" / "options.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `--([a-z-]+)=\w+` \| `(\w+)` \| `(\w+)` \|", page, re.M))
    assert rows == {(name, environment_name(name), _ini_name(name)) for name in _OPTIONS}


def test_every_make_target_that_a_page_names_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.M))
        assert named <= targets, page


def texts(page: str, language: str) -> list[str]:
    return [block.text for block in blocks(PROJECT / "docs" / page) if block.language == language]


def test_the_boards_of_the_documents_are_read(tmp_path: Path) -> None:
    """Each is a whole board file: its kind takes every key."""
    for number, text in enumerate(texts("boards.md", "toml")):
        file = tmp_path / f"board{number}.toml"
        file.write_text(text, encoding="utf-8")
        config = read_board(file)
        assert check_settings(config, kind_module(config).Settings)


def test_the_hardware_map_of_the_documents_is_read(tmp_path: Path) -> None:
    (text,) = texts("bench.md", "yaml")
    (tmp_path / "map.yaml").write_text(text, encoding="utf-8")
    (board,) = read_hardware_map(tmp_path / "map.yaml", "nucleo_f429zi")
    assert board.probe in text
    assert board.serial == "/dev/ttyACM0"


def test_every_line_of_the_fault_table_has_a_step_of_the_run() -> None:
    page = (PROJECT / "docs" / "bench.md").read_text(encoding="utf-8")
    steps = set(re.findall(r"^\d\. \*\*(\w+)\*\*", page, re.M))
    table = page.split("| what happens | step |")[1].split("\n\n")[0]
    named = [row.split("|")[2].strip() for row in table.splitlines()[2:]]
    assert {word for text in named for word in re.split(r" or ", text)} <= steps | {"before the start", "in the log"}


TYPES = ("INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT32", "BOOL")


def row_of(kernel: OwnKernel) -> tuple[str, ...]:
    gives: dict[str, list[str]] = {}
    for kind, given in kernel.pairs:
        gives.setdefault(kind, []).append(given)
    ours = (kind if given == [kind] else f"{kind} to {' '.join(given)}" for kind, given in gives.items())
    older = sorted(TFLM_2020.types.get(kernel.operator, ()), key=TYPES.index)
    return kernel.operator, ", ".join(ours), " ".join(older), kernel.follows


def test_the_table_of_our_operators_is_that_of_the_model_check() -> None:
    page = (PROJECT / "docs" / "models.md").read_text(encoding="utf-8").partition("## Operators of our own")[2]
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in re.findall(r"^\| [A-Z].*", page, re.M)]
    assert rows == [row_of(kernel) for kernel in OWN_KERNELS]
