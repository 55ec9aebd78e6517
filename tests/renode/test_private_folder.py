"""A private folder goes with its owner, and so do the processes that were started in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from harness_process import children_of, command_line, observe, started_with

from hil.renode.private_folder import PrivateFolder, remove_ownerless

OWNER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from hil.renode.private_folder import PrivateFolder
folder = PrivateFolder()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(temporary: Path) -> subprocess.Popen[str]:
    """A process with a private folder below `temporary`, whose path it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(temporary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def sleeper(folder: Path) -> None:
    """A process in the folder that has left its parent and its session, as a daemon does."""
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    subprocess.run(["setsid", "--fork", "sleep", "1000"], env=environment, check=True)
    observe(lambda: started_with(folder / "tmp"))


def test_it_ends_with_its_processes() -> None:
    with PrivateFolder() as folder:
        assert folder.environment == {"TMPDIR": str(folder.path / "tmp"), "HOME": str(folder.path / "home")}
        sleeper(folder.path)
    assert not folder.path.exists()
    assert started_with(folder.path / "tmp") == []


def test_an_owner_that_is_killed_takes_it_along(owner: subprocess.Popen[str]) -> None:
    assert owner.stdout is not None
    path = Path(owner.stdout.readline().strip())
    sleeper(path)
    owner.kill()
    observe(lambda: not path.exists())
    assert started_with(path / "tmp") == []


def test_the_next_run_clears_up_when_the_guardian_was_killed_too(owner: subprocess.Popen[str], temporary: Path) -> None:
    assert owner.stdout is not None
    path = Path(owner.stdout.readline().strip())
    sleeper(path)
    (guardian,) = observe(lambda: [pid for pid in children_of(owner.pid) if "private_folder" in command_line(pid)])
    remove_ownerless(temporary)
    assert path.exists()  # it has an owner
    os.kill(guardian, signal.SIGKILL)
    owner.kill()
    owner.wait()
    assert path.exists()
    assert tempfile.gettempdir() == str(temporary)
    PrivateFolder().remove()
    assert not path.exists()
    assert started_with(path / "tmp") == []


def test_a_folder_of_another_make_is_left_alone(temporary: Path) -> None:
    foreign = temporary / "hil-private-notes"
    foreign.mkdir()
    remove_ownerless(temporary)
    assert foreign.exists()
    foreign.rmdir()
