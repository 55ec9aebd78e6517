"""A case without `arena_bytes` on the real firmware: what arena it gets, and that the line that is proposed fits."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from native_session import PROJECT, imu_motion, native_image, with_vectors

from hil.board.config import kind_module, load_board
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.instruments.marks import MemoryTest
from hil.contract.types import CheckResult, Evidence, Outcome
from hil.errors import UsageError
from hil.image.build import build
from hil.image.elf import Image
from hil.session import run_case
from hil.session.arena import arena_of


def small(arena_bytes: int | None) -> Case:
    case = with_vectors(imu_motion(), range(6))
    contracts = replace(case.contracts, replays=2, passes=1, margin=0.0, latency=())  # too few for a percentile
    return replace(case, contracts=contracts, arena_bytes=arena_bytes)


def session(name: str, case: Case, folder: Path) -> Evidence:
    config = load_board(name, [PROJECT / "boards"])
    image = Image(build(config.target, PROJECT))
    with kind_module(config).open_board(config, folder / "board.log") as board:
        return run_case(case, board, image).evidence


def verdicts(evidence: Evidence) -> dict[str, CheckResult]:
    return {check.id: judge(check, evidence) for check in checks_for(evidence.case)}


@pytest.mark.slow
def test_on_a_target_the_line_that_a_run_proposes_makes_the_next_run_pass(tmp_path: Path) -> None:
    open_run = session("qemu", small(None), tmp_path)
    found = verdicts(open_run)
    assert open_run.section(MemoryTest).share == open_run.hello.arena_bytes == 262_144
    assert not [name for name, result in found.items() if result.outcome is Outcome.FAILED]
    proposed = found["memory.arena"].numbers["proposed"]
    assert isinstance(proposed, int)
    assert f"write arena_bytes = {proposed} under" in found["memory.arena"].hint
    held = verdicts(session("qemu", small(proposed), tmp_path))
    assert [name for name, result in held.items() if result.outcome is not Outcome.PASSED] == []
    assert held["memory.arena"].value == found["memory.arena"].value
    headroom = held["memory.arena_headroom"].value
    assert headroom is not None
    assert 0.1 <= headroom < 0.11


@pytest.mark.slow
def test_a_workstation_runs_the_case_and_says_that_it_cannot_tell(tmp_path: Path) -> None:
    """Its arena is twice as large, for pointers that are twice as wide."""
    evidence = session("native", small(None), tmp_path)
    found = verdicts(evidence)
    assert evidence.section(MemoryTest).share == 2 * evidence.hello.arena_bytes == 524_288
    assert not [name for name, result in found.items() if result.outcome is Outcome.FAILED]
    assert "native cannot tell what to write" in found["memory.arena"].reason


def test_an_image_that_does_not_tell_its_arena_is_refused_with_the_line_to_write(tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.elf"
    shutil.copy(native_image().path, stripped)
    subprocess.run(["strip", "--strip-symbol=hil_arena", str(stripped)], check=True)
    with pytest.raises(UsageError, match=r"case imu_motion gives no arena_bytes.*\n  fix: write arena_bytes under"):
        arena_of(small(None), Image(stripped))
    assert arena_of(small(4096), Image(stripped)) == 4096
