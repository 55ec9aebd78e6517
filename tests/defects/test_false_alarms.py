"""A clean firmware is never accused: not once in a hundred runs, with the machine idle or busy."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from busy_machine import busy_machine
from defect_bench import CASE, NormalImage
from firmware_workbench import PROJECT

from hil.board.base import Board
from hil.board.config import kind_module, load_board
from hil.case.load import load_case
from hil.contract import checks_for, judge
from hil.contract.types import Outcome
from hil.image.elf import Image
from hil.session import run_case

RUNS = {"native": 60, "qemu": 40}


@pytest.mark.slow
@pytest.mark.parametrize("board", RUNS)
def test_no_finding_in_many_clean_runs(board: str, normal_image: NormalImage, tmp_path: Path) -> None:
    """Each run provisions anew; the last third competes for the processor."""
    image, runs = Image(normal_image(board)), RUNS[board]
    config = load_board(board, [PROJECT / "boards"])
    with closing(kind_module(config).open_board(config, tmp_path / "board.log")) as device:
        false_alarms = [alarm for _ in range(runs * 2 // 3) for alarm in findings(device, image)]
        with busy_machine():
            false_alarms += [alarm for _ in range(runs - runs * 2 // 3) for alarm in findings(device, image)]
    assert false_alarms == []


def findings(board: Board, image: Image) -> list[str]:
    """All that one run of the case has to say, and the link's repeats and damage, which no run should need."""
    case = load_case(CASE / "case.toml")
    result = run_case(case, board, image)
    results = [judge(check, result.evidence) for check in checks_for(case)]
    assert Outcome.PASSED in {result.outcome for result in results}
    found = [str(finding) for result in results for finding in result.findings]
    return found + [f"damaged frames: {result.link.damaged}"] * (result.link.damaged > 0)
