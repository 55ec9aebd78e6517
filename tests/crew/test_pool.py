"""A pool: who gets which device, who waits, what is said meanwhile, and what a process that is killed leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from harness_process import holding, observe

from hil.bench.probe_lock import ProbeLock
from hil.board.config import BoardConfig, read_board
from hil.board.pool import Device, Held, devices, each, take
from hil.cli import main
from hil.errors import BoardBroken, UsageError

HOLD = """
import sys, time
from pathlib import Path
from hil.board.config import read_board
from hil.board.pool import Held, devices
held = Held(devices(read_board(Path(sys.argv[1])))[int(sys.argv[2])])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two ports that no other test has. None of them is there."""
    stem = f"/dev/hil-test-{os.getpid()}-{time.monotonic_ns()}"
    return write(tmp_path, f'port = "{stem}a"', f'port = "{stem}b"\nbaud = 9600')


def write(folder: Path, *entries: str, head: str = "") -> Path:
    file = folder / "mine.toml"
    pool = "".join(f"[[pool]]\n{entry}\n" for entry in entries)
    file.write_text(f'kind = "serial"\ntarget = "our-board"\n{head}\n[serial]\nbaud = 115200\n{pool}')
    return file


def held_elsewhere(file: Path, number: int) -> AbstractContextManager[subprocess.Popen[str]]:
    return holding(HOLD, str(file), str(number))


def quietly(text: str) -> None:
    raise AssertionError(f"nobody has to wait here: {text}")


def pool(file: Path) -> tuple[BoardConfig, tuple[Device, ...]]:
    config = read_board(file)
    return config, devices(config)


def test_a_device_is_the_board_file_with_keys_of_its_own(file: Path) -> None:
    config, (first, second) = pool(file)
    assert first.config.settings == {"baud": 115200, "port": first.name.removeprefix("port ")}
    assert second.config.settings == {"baud": 9600, "port": second.name.removeprefix("port ")}
    assert (first.config.name, first.config.pool) == (config.name, ())


def test_a_board_without_a_pool_is_one_board(tmp_path: Path) -> None:
    config = read_board(write(tmp_path))
    assert devices(config) == ()
    assert each(config) == [config]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (("baud = 9600",), r"\[\[pool\]\] entry 1: port: "),
        (('port = "/dev/a"', 'port = ""'), r"\[\[pool\]\] entry 2: port: "),
        (('port = "/dev/a"\nbuad = 9600',), r"entry 1: buad: .*\n.*baud"),
        (('port = "/dev/a"', 'port = "/dev/a"'), r"entry 2: port /dev/a is there twice\n  fix: give each entry a port"),
    ],
)
def test_a_wrong_entry_is_named(entries: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=problem):
        pool(write(tmp_path, *entries))


def test_two_names_of_one_port_are_one_device(tmp_path: Path) -> None:
    (tmp_path / "port").touch()
    (tmp_path / "by-id").symlink_to("port")
    with pytest.raises(UsageError, match="is there twice"):
        pool(write(tmp_path, f'port = "{tmp_path / "port"}"', f'port = "{tmp_path / "by-id"}"'))


def test_a_kind_whose_boards_are_programs_needs_no_pool(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('kind = "native"\ntarget = "native"\n[native]\nshared_base = 0\nshared_bytes = 1\n[[pool]]\n')
    with pytest.raises(UsageError, match=r"\[\[pool\]\]: each worker starts a 'native' board of its own"):
        pool(file)


def test_an_option_chooses_among_the_devices(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    table = 'pyocd_target = "stm32f429xi"\nclock_hz = 180_000_000\n'
    entries = '[[pool]]\nprobe = "0669AA"\n[[pool]]\nprobe = "0669BB"\n'
    file.write_text(f'kind = "pyocd"\ntarget = "stm32f429"\n[pyocd]\n{table}{entries}')
    config = read_board(file)
    chosen = config.model_copy(update={"options": {"hil-probe": "69bb"}})
    assert [device.name for device in devices(chosen)] == ["probe 0669BB"]
    assert each(chosen)[0].options == {}  # or it would go before the entry's own
    with pytest.raises(UsageError, match="no entry fits --hil-probe=CC; there are probe 0669AA, probe 0669BB"):
        devices(config.model_copy(update={"options": {"hil-probe": "CC"}}))


def test_each_process_gets_a_free_one(file: Path) -> None:
    config, both = pool(file)
    with held_elsewhere(file, 0), closing(take(config, both, quietly)) as mine:
        assert mine.device == both[1]


def test_who_finds_none_free_waits_and_says_who_holds_them(file: Path) -> None:
    config, both = pool(file)
    said: list[str] = []
    taken: list[Held] = []
    with held_elsewhere(file, 0) as one, held_elsewhere(file, 1) as other:
        waiting = threading.Thread(target=lambda: taken.append(take(config, both, said.append)))
        waiting.start()
        (text,) = observe(lambda: list(said))
        assert not taken
        for process, device in ((one, both[0]), (other, both[1])):
            assert re.search(rf"{device.name} is in use by pid {process.pid} \(.*python", text)
        other.send_signal(signal.SIGKILL)  # the kernel takes back what it held
        waiting.join(30)
        assert [held.device for held in taken] == [both[1]]
    taken[0].close()


def test_waiting_ends_in_an_error_that_names_the_holders(tmp_path: Path, file: Path) -> None:
    config, both = pool(file)
    config = config.model_copy(update={"pool_wait_s": 0.1})
    with (
        held_elsewhere(file, 0) as one,
        held_elsewhere(file, 1),
        pytest.raises(
            BoardBroken, match=rf"no device was free within 0.1 s: .* pid {one.pid} .*\n  next: .*pool_wait_s"
        ),
    ):
        take(config, both, lambda _: None)


def test_processes_of_the_same_run_are_waited_for_without_a_limit(file: Path) -> None:
    config, both = pool(file)
    config = config.model_copy(update={"pool_wait_s": 0.1})
    taken: list[Held] = []
    with held_elsewhere(file, 0) as one, held_elsewhere(file, 1):
        ours = frozenset((one.pid,))
        waiting = threading.Thread(target=lambda: taken.append(take(config, both, lambda _: None, ours=lambda: ours)))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        one.kill()
        waiting.join(30)
    taken[0].close()


def test_a_broken_device_is_left_alone(file: Path) -> None:
    config, both = pool(file)
    with closing(take(config, both, quietly, broken=lambda: [both[0].name])) as held:
        assert held.device == both[1]
    with pytest.raises(BoardBroken, match="all of its 2 devices are broken"):
        take(config, both, quietly, broken=lambda: [device.name for device in both])


def test_a_probe_that_a_run_without_the_pool_uses_is_not_free(file: Path) -> None:
    """Its own lock is held by the name of the probe alone."""
    config, both = pool(file)
    with closing(ProbeLock(both[0].values[0], 0)), closing(take(config, both, quietly)) as held:
        assert held.device == both[1]


def test_a_port_that_another_program_has_open_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    config, both = pool(write(tmp_path, f'port = "{tmp_path / "a"}"', f'port = "{tmp_path / "b"}"'))
    command = [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print(1, flush=True); sys.stdin.read()"]
    with subprocess.Popen([*command, str(tmp_path / "a")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        with closing(take(config, both, quietly)) as held:
            assert held.device == both[1]
        other.communicate()


def test_doctor_looks_at_each_device(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "boards").mkdir()
    file.rename(file.parent / "boards" / "mine.toml")
    monkeypatch.chdir(file.parent)
    assert main(["doctor", "--board", "mine"]) == 1
    said = capsys.readouterr().out
    assert all(re.search(rf"^/dev/hil-test-\S+{end} +- +any +missing", said, re.M) for end in "ab")
