"""What the link had to mend is on the terminal where it may matter: when a check failed, or the run took longer."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_run import fail, write_run

from hil.report.terminal import case_table

REPEATED = "  link       requests repeated 3, each after half a second or more without a reply"


@pytest.mark.parametrize(
    ("counters", "broken", "row"),
    [
        ((0, 0, 0), False, ""),
        ((0, 0, 0), True, ""),
        ((3, 0, 0), False, REPEATED),
        ((0, 2, 1), False, ""),
        ((0, 2, 1), True, "  link       damaged frames dropped 2; replies to other requests ignored 1"),
        ((3, 2, 0), True, f"{REPEATED}; damaged frames dropped 2"),
    ],
)
def test_the_link_is_told_of_where_it_matters(
    counters: tuple[int, int, int], broken: bool, row: str, tmp_path: Path
) -> None:
    def edit(document: dict) -> None:
        document["cases"][0]["link"] = dict(zip(("repeats", "damaged", "ignored"), counters, strict=True))
        if broken:
            fail(document, "execution.output")

    run = write_run(tmp_path, edit=edit)
    lines = list(case_table(run.document.cases[0], run.document.board))
    assert [line for line in lines if line.startswith("  link")] == ([row] if row else [])
