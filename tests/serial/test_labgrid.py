"""A board at a place of labgrid: acquired, used, and released however the run ends. Coordinator and exporter are real.

labgrid is looked for on PATH, or in the folder that HIL_TEST_LABGRID names.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness_process import observe
from native_session import imu_motion, native_image
from serial_board import board_file
from wire import Wire, wire

from hil.bench.labgrid import Place
from hil.board.config import read_board
from hil.board.serial import open_board
from hil.bundle import build_bundle
from hil.cli import main
from hil.device import Device
from hil.errors import BoardBroken, MissingTool
from hil.records import Status

SEARCH = os.pathsep.join(filter(None, (os.environ.get("HIL_TEST_LABGRID"), os.environ["PATH"])))
CLIENT, COORDINATOR, EXPORTER = (
    shutil.which(f"labgrid-{name}", path=SEARCH) or "" for name in ("client", "coordinator", "exporter")
)
needs_labgrid = pytest.mark.skipif(not (CLIENT and COORDINATOR and EXPORTER), reason="no labgrid on PATH")
PLACE = "desk"
HOLD = (
    "import sys, time; from hil.bench.labgrid import Place; Place(*sys.argv[1:]); print(1, flush=True); time.sleep(99)"
)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A coordinator on loopback, and an exporter that offers the wire as the serial port of a place."""
    folder = tmp_path_factory.mktemp("labgrid")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.MonkeyPatch.context() as patch, wire(folder, imu_motion(), "socket") as made:
        patch.setenv("LG_COORDINATOR", address)
        number = made.port.rpartition(":")[2]
        offer = "desk:\n  NetworkSerialPort: {host: 127.0.0.1, port: %s, protocol: raw, speed: 921600}\n"
        (folder / "exporter.yaml").write_text(offer % number)
        with (
            running(folder, COORDINATOR, "-l", address),
            running(folder, EXPORTER, "-n", "bench", "exporter.yaml"),
        ):
            observe(lambda: client("create").returncode == 0, limit_s=120)
            client("add-match", "bench/desk/NetworkSerialPort", check=True)
            observe(lambda: "bench/desk" in client("resources", place="").stdout, limit_s=120)
            yield made


@contextmanager
def running(folder: Path, *command: str) -> Iterator[None]:
    with (folder / "labgrid.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def client(*words: str, place: str = PLACE, check: bool = False, **who: str) -> subprocess.CompletedProcess[str]:
    """who: LG_USERNAME and LG_HOSTNAME of somebody else."""
    command = [CLIENT, *(("-p", place) if place else ()), *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **who}, check=check)


def is_free() -> bool:
    return "acquired: None" in client("show", check=True).stdout


def placed(wire: Wire, folder: Path) -> Path:
    """A board file with the place as its port."""
    return board_file(wire, port=f"labgrid://{PLACE}", labgrid_client=CLIENT).rename(folder / "placed.toml")


@needs_labgrid
@pytest.mark.slow
def test_a_board_runs_at_its_place_and_frees_it(tmp_path: Path, laboratory: Wire) -> None:
    with open_board(read_board(placed(laboratory, tmp_path)), tmp_path / "log") as board:
        (tmp_path / "log").touch()
        board.provision(native_image(), build_bundle(imu_motion()))
        assert not is_free()
        assert Device(board).run(imu_motion().vectors.payload(0)).status == Status.DONE
    assert is_free()


@needs_labgrid
@pytest.mark.slow
def test_who_has_the_place_is_named_and_keeps_it(
    tmp_path: Path, laboratory: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boards").mkdir()
    placed(laboratory, tmp_path / "boards")
    monkeypatch.chdir(tmp_path)
    other = {"LG_USERNAME": "ada", "LG_HOSTNAME": "elsewhere"}
    client("acquire", check=True, **other)
    try:
        assert main(["ping", "--board", "placed"]) == 3
        assert "place desk cannot be acquired: it is acquired by elsewhere/ada\n  next: " in capsys.readouterr().err
        assert "elsewhere/ada" in client("show").stdout
    finally:
        client("release", check=True, **other)
    assert main(["ping", "--board", "placed"]) == 0
    assert "imu_motion" in capsys.readouterr().out
    assert is_free()


@needs_labgrid
@pytest.mark.slow
def test_a_run_that_is_killed_frees_its_place(laboratory: Wire) -> None:
    command = [sys.executable, "-c", HOLD, PLACE, CLIENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert not is_free()
        process.send_signal(signal.SIGKILL)
        process.wait()
        observe(is_free, limit_s=60)


@needs_labgrid
@pytest.mark.slow
def test_a_place_that_there_is_not_is_told(laboratory: Wire) -> None:
    with pytest.raises(BoardBroken, match=r"labgrid place nowhere cannot be acquired: .*nowhere"):
        Place("nowhere", CLIENT)


def test_without_labgrid_what_installs_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "placed.toml"
    file.write_text(
        'kind = "serial"\ntarget = "x"\n[serial]\nport = "labgrid://desk"\nlabgrid_client = "no-such-client"\n'
    )
    with pytest.raises(MissingTool, match=r"no-such-client is needed by board 'placed'.*\n  fix: pipx install labgrid"):
        open_board(read_board(file), tmp_path / "log")
