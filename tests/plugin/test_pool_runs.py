"""`pytest -n` on a pool: workers run at the same time on a device each, wait for one, and free it when killed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from harness_process import FAILED, PASSED, HarnessRun, observe, run_harness
from native_session import CaseFolder
from pool_of_wires import name_of, pool_of_wires
from wire import Wire

from hil.bench.probe_lock import holder
from hil.board.config import read_board
from hil.board.pool import devices

pytestmark = pytest.mark.slow

LIMIT_S = 300.0


def options(folder: Path, workers: int) -> tuple[str, ...]:
    return ("-n", str(workers), "--basetemp=base", f"--hil-boards={folder / 'boards'}", "-k", "execution or input")


def deaf_until_all_are_asked(wires: list[Wire]) -> None:
    """No board answers before the host has spoken to each of them."""
    asked = [threading.Event() for _ in wires]

    def meddle(own: threading.Event) -> Callable[[bytes], bytes]:
        def to_device(data: bytes) -> bytes:
            own.set()
            return data if all(each.is_set() for each in asked) else b""

        return to_device

    for wire, event in zip(wires, asked, strict=True):
        wire.to_device = meddle(event)


def test_two_workers_use_two_boards_at_the_same_time(tmp_path: Path, image: str) -> None:
    """One after the other they would get no hello from the first board."""
    for name in ("one", "two"):
        CaseFolder(tmp_path / name, name, 4)
    with pool_of_wires(tmp_path, 2) as wires:
        deaf_until_all_are_asked(wires)
        finished = run_harness(tmp_path, *options(tmp_path, 2), image, "one", "two", board="pool", limit_s=LIMIT_S)
        names = {name_of(wire) for wire in wires}
    assert finished.code == PASSED, finished.text
    assert finished.run["workers"] == 2
    assert {name for case in finished.run["cases"] for name in case["devices"]} == names


def test_three_workers_on_two_boards_judge_all_cases(tmp_path: Path, image: str) -> None:
    names = ["one", "two", "three"]
    for name in names:
        CaseFolder(tmp_path / name, name, 4)
    with pool_of_wires(tmp_path, 2) as wires:
        finished = run_harness(tmp_path, *options(tmp_path, 3), image, *names, board="pool", limit_s=LIMIT_S)
        known = {name_of(wire) for wire in wires}
    assert finished.code == PASSED, finished.text
    cases = {case["name"]: case for case in finished.run["cases"]}
    assert sorted(cases) == sorted(names)
    for case in cases.values():
        assert case["verdict"] in ("passed", "marginal")
        assert len(case["devices"]) == 1
        assert set(case["devices"]) <= known


def test_a_worker_that_is_killed_frees_its_board(tmp_path: Path, image: str) -> None:
    """There is only one, and the others need it."""
    CaseFolder(tmp_path / "one", "one", 4)
    with pool_of_wires(tmp_path, 1) as (wire,):
        (device,) = devices(read_board(tmp_path / "boards" / "pool.toml"))
        with HarnessRun(tmp_path, *options(tmp_path, 2), image, "one", board="pool") as run:
            worker = observe(lambda: holder(device.lock), limit_s=LIMIT_S)
            os.kill(worker, signal.SIGKILL)
            finished = run.wait(LIMIT_S)
        assert finished.code == FAILED
        (case,) = finished.run["cases"]
        assert (case["verdict"], case["devices"]) == ("passed", [name_of(wire)]), finished.text
        assert finished.run["verdict"] == "error"
        assert len(finished.run["lost_workers"]) == 1
        assert holder(device.lock) is None
