"""Pieces of work among processes: each is done once, and what a dying worker leaves undone another takes up."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from harness_process import observe

from hil.errors import BoardBroken, CaseError, MissingTool
from hil.run import Crew

FORK = multiprocessing.get_context("fork")


def note(folder: Path, value: int) -> int:
    """A piece of work that leaves a trace of each time that it is done."""
    with (folder / "done").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return value


def traces(folder: Path) -> list[str]:
    return (folder / "done").read_text().split() if (folder / "done").exists() else []


def started(work: Callable[[], object]) -> multiprocessing.process.BaseProcess:
    process = FORK.Process(target=work)
    process.start()
    return process


def test_many_workers_do_a_piece_once_and_all_have_its_result(tmp_path: Path) -> None:
    def work() -> None:
        crew = Crew(tmp_path, "gw", 4)
        values = [crew.once(f"piece{number}", lambda number=number: note(tmp_path, number)) for number in range(20)]
        os._exit(0 if values == list(range(20)) else 1)

    workers = [started(work) for _ in range(4)]
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(traces(tmp_path)) == 20


def test_a_piece_whose_worker_was_killed_is_taken_up(tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    def stuck() -> int:
        ready.touch()
        signal.pause()
        return 0

    worker = started(lambda: Crew(tmp_path, "gw0", 2).once("piece", stuck))
    observe(ready.exists)
    other = Crew(tmp_path, "gw1", 2)
    other.offer("piece", lambda: note(tmp_path, 1))  # held: left alone
    assert traces(tmp_path) == []
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    assert other.once("piece", lambda: note(tmp_path, 2)) == 2
    worker.join(10)


def test_work_that_raises_is_left_to_the_next(tmp_path: Path) -> None:
    crew = Crew(tmp_path, "gw0", 1)

    def fail() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crew.once("piece", fail)
    assert crew.result("piece") is None
    assert crew.once("piece", lambda: 5) == 5
    assert crew.once("piece", fail) == 5


def test_results_come_by_the_names_of_their_pieces(tmp_path: Path) -> None:
    crew = Crew(tmp_path, "gw0", 1)
    for name in ("outcome.0010", "outcome.0002", "share.0001"):
        crew.offer(name, lambda name=name: name)
    assert crew.results("outcome.") == ["outcome.0002", "outcome.0010"]


def test_errors_keep_class_and_words_on_their_way(tmp_path: Path) -> None:
    crew = Crew(tmp_path, "gw0", 1)
    case, tool = CaseError("case.toml", "key", "is wrong", "mend it"), MissingTool("gcc", "to build", "apt install gcc")
    errors = [case, tool, BoardBroken("the probe is gone")]
    for number, error in enumerate(errors):
        crew.offer(str(number), lambda error=error: error)
        again = crew.result(str(number))
        assert (type(again), str(again)) == (type(error), str(error))
