"""The cache is pruned by the time of the last use; what a build holds, and what is no build, stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.cli import main
from hil.project.cache import entries, mark_used, prune

DAY = 86_400.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "hil").mkdir()
    return tmp_path / "hil"


def build(cache: Path, name: str, days: float) -> Path:
    """A folder of builds, used so many days ago."""
    folder = cache / name
    (folder / "build").mkdir(parents=True)
    (folder / "build" / "image.elf").write_bytes(bytes(1_000_000))
    (folder / "build" / "firmware.lock").touch()
    (folder / "used").touch()
    then = time.time() - days * DAY
    for path in (folder / "used", folder / "build" / "firmware.lock", folder):
        os.utime(path, (then, then))
    return folder


OLD, NEW, OTHER = "0123456789abcdef", "fedcba9876543210", "00000000000000ff"


def test_only_what_was_not_used_for_so_long_goes(cache: Path) -> None:
    old, new = build(cache, OLD, 31), build(cache, NEW, 29)
    assert [entry.path for entry in prune(30)] == [old]
    assert not old.exists()
    assert (new / "build" / "image.elf").exists()
    assert os.listdir(cache) == [NEW]


def test_what_is_marked_as_used_stays(cache: Path) -> None:
    folder = build(cache, OLD, 100)
    mark_used(folder)
    assert prune(30) == []


def test_a_build_that_goes_on_is_left_alone(cache: Path) -> None:
    """By another process, which a lock of this one would not keep out."""
    folder = build(cache, OLD, 100)
    held = "import fcntl,sys; f=open(sys.argv[1],'a'); fcntl.flock(f,fcntl.LOCK_EX); print('held',flush=True); input()"
    command = [sys.executable, "-c", held, str(folder / "build" / "firmware.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        os.utime(folder / "build" / "firmware.lock", (0, 0))
        assert prune(30) == []
        assert (folder / "build" / "image.elf").exists()
        process.communicate("\n")
    assert [entry.path for entry in prune(30)] == [folder]


def test_what_is_no_build_stays(cache: Path) -> None:
    (cache / "self-tests.json").write_text("{}")
    (cache / "tflm-crate").mkdir()
    for path in cache.iterdir():
        os.utime(path, (0, 0))
    assert prune(0) == []
    assert sorted(os.listdir(cache)) == ["self-tests.json", "tflm-crate"]


def test_a_copy_whose_making_broke_off_goes_at_once(cache: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    broken, going_on = cache / f"{OLD}.{ended.pid}", cache / f"{NEW}.{os.getpid()}"
    for folder in (broken, going_on):
        folder.mkdir()
    assert [entry.path for entry in prune()] == [broken]
    assert going_on.exists()


def test_sizes_and_ages_are_listed_and_what_went_is_told(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(cache, OLD, 40), build(cache, OTHER, 2)
    assert [(entry.path.name, entry.bytes, round(entry.days)) for entry in entries()] == [
        (OTHER, 1_000_000, 2),
        (OLD, 1_000_000, 40),
    ]
    assert main(["cache"]) == 0
    assert "1.0 MB  builds of firmware, used 40 days ago" in capsys.readouterr().out
    assert main(["cache", "--clean"]) == 0
    assert "1 removed, 1.0 MB" in capsys.readouterr().out
    assert os.listdir(cache) == [OTHER]


def test_a_cache_that_is_not_there_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    assert main(["cache"]) == 0
    assert "nowhere/hil: 0.0 MB" in capsys.readouterr().out
