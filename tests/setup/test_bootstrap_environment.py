"""The bootstrap's Python environment: made once, made again when it must be, whole after any interruption.

The project that is installed is a tiny one with its own build backend, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1.0"
"""
BACKEND = '''\
"""The smallest build backend: a wheel that puts the checkout on the path."""
import os, time, zipfile

def build_editable(folder, config=None, metadata=None):
    while os.environ.get("TINY_HANGS"):
        time.sleep(0.01)
    name, info = "tiny-1.0-py3-none-any.whl", "tiny-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("tiny.pth", os.getcwd())
        wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "/RECORD", "")
    return name
'''


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "setup").mkdir(parents=True)
    shutil.copy(ROOT / "setup/bootstrap.sh", folder / "setup/bootstrap.sh")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "requirements.lock").write_text("# nothing\n")
    return folder


def start(checkout: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [checkout / "setup/bootstrap.sh"],
        env={**os.environ, "HIL_NO_INSTALL": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def bootstrap(checkout: Path, **environment: str) -> str:
    """Run to a good end; returns what it said."""
    process = start(checkout, **environment)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def is_installed(checkout: Path) -> bool:
    asked = [checkout / ".venv/bin/python", "-c", "import backend"]
    return subprocess.run(asked, cwd="/", check=False).returncode == 0


def test_cold_says_what_it_does_and_warm_is_silent(checkout: Path) -> None:
    assert "making .venv with Python 3." in bootstrap(checkout)
    assert is_installed(checkout)
    made = (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns
    assert bootstrap(checkout) == ""
    assert (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns == made


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_changed_input_makes_it_again(checkout: Path, file: str) -> None:
    bootstrap(checkout)
    (checkout / ".venv/left-over").touch()
    with (checkout / file).open("a") as handle:
        handle.write("# changed\n")
    assert "making .venv" in bootstrap(checkout)
    assert not (checkout / ".venv/left-over").exists()


def test_moved_checkout_makes_it_again(checkout: Path, tmp_path: Path) -> None:
    bootstrap(checkout)
    moved = tmp_path / "elsewhere"
    checkout.rename(moved)
    assert "making .venv" in bootstrap(moved)
    assert is_installed(moved)


def test_killed_half_way_is_made_again(checkout: Path) -> None:
    process = start(checkout, TINY_HANGS="1")
    log = checkout / "build/bootstrap.log"
    end = time.monotonic() + 60
    while not (log.exists() and "editable" in log.read_text()):
        assert time.monotonic() < end, "pip did not come to the build"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    assert (checkout / ".venv/bin/python").exists()
    assert not (checkout / ".venv/.hil-ready").exists()
    assert "making .venv" in bootstrap(checkout)
    assert is_installed(checkout)


def test_two_at_once_make_it_once(checkout: Path) -> None:
    both = [start(checkout), start(checkout)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("making .venv" in text for text in said) == 1
    assert is_installed(checkout)


def test_failing_install_names_step_and_log_and_is_not_taken_for_ready(checkout: Path) -> None:
    lock = checkout / "requirements.lock"
    lock.write_text("./no-such-folder\n")
    process = start(checkout)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "failed: pip install --require-hashes -r requirements.lock" in said
    assert "build/bootstrap.log" in said
    assert not (checkout / ".venv/.hil-ready").exists()
    lock.write_text("# nothing\n")
    bootstrap(checkout)


def test_unfit_python_is_refused_with_the_way_out(checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\ncase $1 in --version) echo Python 3.9.2;; *) exit 1;; esac\n")
    old.chmod(0o755)
    process = start(checkout, PYTHON=str(old))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Python 3.9.2" in said
    assert "make PYTHON=" in said
    assert not (checkout / ".venv").exists()
