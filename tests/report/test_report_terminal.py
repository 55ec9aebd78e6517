"""What the link had to mend is on the terminal where it may matter: when a check failed, or the run took longer."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_run import fail, look_at, write_run

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


def test_what_asks_to_be_looked_at_and_the_three_sides_are_on_the_terminal(tmp_path: Path) -> None:
    """Of 60 vectors the input costs one and the device another, both of the first label."""
    run = write_run(tmp_path, edit=look_at)
    lines = list(case_table(run.document.cases[0], run.document.board))
    assert lines[0].startswith("synthetic version 1 on qemu: MARGINAL: look at this (60 vectors, ")
    assert lines[1:3] == [
        "  sanity.constant_output: one output for 60 different windows",
        "    next: look at the conversion",
    ]
    at = next(number for number, line in enumerate(lines) if line.startswith("  answers "))
    assert lines[at : at + 3] == [
        "  answers     accuracy float 100 %, int8 98.33 %, device 96.67 %; "
        "of the gap input -1.67 points, quantisation 0, device -1.67 points",
        "              worst recall of down (15 vectors) float 100 %, int8 93.33 %, device 86.67 %",
        "              accepted 60/59/58, wrongly accepted 0/0/0, answered 'unknown' 0/1/2 of 60 vectors",
    ]
