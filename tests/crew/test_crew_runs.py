"""Runs of one crew in one process: what a worker without a board leaves to the others, and whose turn a bench is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from native_session import PROJECT, CaseFolder, native_image

from hil.board.config import load_board
from hil.board.pyocd import one_board as nucleo_is_one
from hil.board.virtual_nucleo import one_board as virtual_is_one
from hil.case.load import load_case
from hil.case.types import Case
from hil.contract import CHECKS
from hil.errors import BoardBroken
from hil.run import Crew, HilRun, Settings, WorkerRun

LOST = BoardBroken("connect: the probe is gone")


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    return [load_case(CaseFolder(tmp_path / name, name).path) for name in ("first", "second")]


@contextmanager
def worker(folder: Path, name: str, cases: list[Case], workers: int = 2) -> Iterator[HilRun]:
    (folder / "crew").mkdir(exist_ok=True)
    settings = Settings("native", folder / "out", (PROJECT / "boards",), image=native_image().path)
    run = WorkerRun(settings, crew=Crew(folder / "crew", name, workers))
    try:
        run.prepare(cases)
        yield run
    finally:
        run.close()


@pytest.mark.slow
def test_a_worker_without_a_board_leaves_the_cases_to_the_others(tmp_path: Path, cases: list[Case]) -> None:
    with worker(tmp_path, "gw0", cases) as broken, worker(tmp_path, "gw1", cases) as sound:
        broken.board_broken = LOST
        assert broken.not_run(cases[0]) is LOST
        assert sound.result(cases[0], CHECKS[0]).outcome == "passed"
        assert sound.result(cases[1], CHECKS[0]).outcome == "passed"
        assert broken.not_run(cases[1]) is None  # another has run it by now
        assert broken.result(cases[1], CHECKS[0]).outcome == "passed"


def test_when_no_worker_has_a_board_the_cases_are_reported_as_not_run(tmp_path: Path, cases: list[Case]) -> None:
    with worker(tmp_path, "gw0", cases) as one, worker(tmp_path, "gw1", cases) as other:
        one.board_broken = other.board_broken = LOST
        assert one.not_run(cases[0]) is LOST
        assert other.not_run(cases[1]) is LOST
        assert other.facts(cases[1])["error"].startswith("not run: BoardBroken: connect: the probe is gone")


@pytest.mark.slow
def test_the_only_board_of_a_bench_is_used_in_turns(
    tmp_path: Path, cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker waits while the first has the board for its tests in Python, and goes on when that one ends."""
    monkeypatch.setattr("hil.board.native.one_board", lambda _: True, raising=False)
    with worker(tmp_path, "gw1", cases) as second:
        with worker(tmp_path, "gw0", cases) as first:
            first.python_board()
            assert first.result(cases[0], CHECKS[0]).outcome == "passed"  # its own turn does not stand in its way
            waiting = threading.Thread(target=second.result, args=(cases[1], CHECKS[0]))
            waiting.start()
            waiting.join(0.3)
            assert waiting.is_alive()
        waiting.join(60)
        assert not waiting.is_alive()
        assert second.result(cases[1], CHECKS[0]).outcome == "passed"


def test_a_bench_has_one_board_and_a_simulation_as_many_as_there_are_workers() -> None:
    folders = [PROJECT / "boards"]
    virtual = load_board("nucleo-virtual", folders)
    kept = virtual.model_copy(update={"settings": {**virtual.settings, "flash_image": "flash.bin"}})
    assert nucleo_is_one(load_board("nucleo", folders))
    assert (virtual_is_one(virtual), virtual_is_one(kept)) == (False, True)
