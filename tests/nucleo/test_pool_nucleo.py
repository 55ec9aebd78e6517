"""A pool of simulated Nucleos: each has a probe of its own id, which one process holds at a time."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from harness_process import PASSED, run_harness
from native_session import imu_motion
from nucleo_session import board_file, nucleo_image, on_bench, short_case

from hil.board.config import BoardConfig, load_board
from hil.board.pool import devices, take
from hil.board.virtual_nucleo import open_board
from hil.bundle import build_bundle
from hil.device import Device
from hil.errors import BoardBroken

IDS = ("0669FF3031454D42531337A0", "0669FF3031454D42531337B1")


def pool_of(folder: Path) -> Path:
    """`bench.toml` with two boards; returns its folder."""
    boards = board_file(folder / "boards")
    with (boards / "bench.toml").open("a") as file:
        file.write("".join(f'[[pool]]\nprobe_id = "{number}"\n' for number in IDS))
    return boards


def configured(folder: Path) -> BoardConfig:
    return load_board("bench", [pool_of(folder)])


@pytest.mark.slow
def test_two_boards_of_one_pool_run_at_the_same_time(tmp_path: Path) -> None:
    config = configured(tmp_path)
    pool, said = devices(config), list[str]()
    with ExitStack() as stack:
        for number in IDS:
            held = stack.enter_context(closing(take(config, pool, said.append)))
            board = stack.enter_context(open_board(held.device.config, tmp_path / f"{number}.log"))
            board.begin_log(tmp_path / f"{number}.log")
            board.provision(nucleo_image(), build_bundle(imu_motion()))
            assert [probe.unique_id for probe in board.connection.bench.probes()] == [number]
            stack.callback(lambda device: device.run(bytes(480)), Device(board))  # with both there
    assert said == []


def test_one_id_is_one_board(tmp_path: Path) -> None:
    """As it is on a bench, and otherwise than without an id, when each run simulates a board of its own."""
    first, second = (devices(configured(tmp_path))[0].config for _ in range(2))
    with open_board(first, tmp_path / "one.log") as one, open_board(second, tmp_path / "two.log") as two:
        one.connection.target()
        with pytest.raises(BoardBroken, match=rf"connect: probe virtual-{IDS[0]} is in use by pid"):
            two.connection.target()


@pytest.mark.slow
def test_workers_share_the_pool(tmp_path: Path) -> None:
    for name in ("one", "two"):
        short_case(tmp_path / name, name)
    _, image = on_bench(tmp_path)
    boards = pool_of(tmp_path)
    options = ("-n", "2", "--basetemp=base", f"--hil-boards={boards}", image, "-k", "execution")
    finished = run_harness(tmp_path, *options, "one", "two", board="bench", limit_s=600)
    assert finished.code == PASSED, finished.text
    for case in finished.run["cases"]:
        assert case["verdict"] in ("passed", "marginal")
        assert set(case["devices"]) <= {f"probe_id {number}" for number in IDS}
        assert case["devices"]
