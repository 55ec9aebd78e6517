"""docs/contracts.md and the registry of checks say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scipy.stats import binom

from hil.case.types import CONTRACTS
from hil.contract import CHECKS
from hil.contract.types import Check

PAGE = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()
ROW = re.compile(r"^\| `(?P<id>[a-z]+\.[a-z0-9_.]+)` \|(?P<cells>.*)\|$", re.MULTILINE)
ROWS = {
    match["id"]: [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", match["cells"])]
    for match in ROW.finditer(PAGE)
}


def test_the_page_lists_every_check_once_and_no_other() -> None:
    assert [match["id"] for match in ROW.finditer(PAGE)] == [check.id for check in CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_page_gives_the_title_and_formula_of_the_code(check: Check) -> None:
    title, formula, _, not_judged = ROWS[check.id]
    assert (title, formula) == (check.title, check.formula)
    assert not_judged


def test_every_check_has_its_own_id_title_and_contract() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert {check.contract for check in CHECKS} == set(CONTRACTS)


def test_the_table_of_minimum_samples_is_right() -> None:
    """n is enough when the largest of n samples misses the quantile with at most 1 - confidence: Binomial(n, p) = n."""
    table = re.findall(r"^\| (0\.\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(table) == 3
    for confidence, *needed in table:
        for p, n in zip((0.5, 0.95, 0.99), map(int, needed), strict=True):
            assert binom.pmf(n, n, p) <= 1 - float(confidence) + 1e-12
            assert binom.pmf(n - 1, n - 1, p) > 1 - float(confidence)
