"""Knows how to run the harness as users do, `python -m pytest --board=...`, and what such a run may leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self, TypeVar

PASSED, FAILED, INTERRUPTED, USAGE_ERROR = 0, 1, 2, 4  # pytest.ExitCode
LIMIT_S = 120.0
# Left out of each run: hypothesis is a tool of these tests only, and loading it is a fifth of the start of a run.
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
PROJECT = Path(__file__).resolve().parents[1]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Finished:
    """One run that came to its end: exit code, both outputs together, output folder."""

    code: int
    text: str
    out: Path

    @property
    def run(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.out / "run.json").read_text(encoding="utf-8"))
        return document

    def junit(self) -> ET.Element:
        return ET.parse(self.out.parent / "junit.xml").getroot()


class HarnessRun:
    """A run that was started: `wait` gives its result. A context manager, so that a failing test leaves no run behind.

    Its temporary files go to a folder of its own, so that leftovers show.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        board: str = "native",
        env: Mapping[str, str] | None = None,
        out: str = "",
    ) -> None:
        """board: empty gives no --board. env: on top of this process's variables. out: output folder, else `out`."""
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.out = Path(out) if out else folder / "out"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HIL_", "PYTEST_"))}
        environment["HIL_REPORT"] = "none"  # a page would cost every run a second
        environment |= {"TMPDIR": str(self.temporary), "COLUMNS": "200", "PYTHONPATH": str(PROJECT), **(env or {})}
        plugin = [] if "hil" in entry_points(group="pytest11").names else ["-p", "hil.plugin"]  # not installed yet
        command = [
            sys.executable,
            "-m",
            "pytest",
            *plugin,
            "-W",
            "error",
            "-ra",
            *WITHOUT,
            f"--hil-out={self.out}",
        ]
        command += [f"--junit-xml={folder / 'junit.xml'}", f"--rootdir={folder}"]
        command += [f"--board={board}"] if board else []
        self.process = subprocess.Popen(
            [*command, *(str(argument) for argument in arguments)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def wait(self, limit_s: float = LIMIT_S) -> Finished:
        """The result; fails when the run does not end in time, or leaves a process or a file behind."""
        text, _ = self.process.communicate(timeout=limit_s)
        self.assert_nothing_left()
        return Finished(self.process.returncode, text, self.out)

    def children(self) -> list[int]:
        """Process ids of the run's children: the emulator or the native firmware, or a compiler."""
        return children_of(self.process.pid)

    def wait_for_board(self) -> int:
        """Process id of the board's process, once it runs."""
        return observe(lambda: next((pid for pid in self.children() if is_board(pid)), 0))

    def wait_for_file(self, name: str) -> Path:
        """The file of that name in the output folder, once it is there."""
        observe((self.out / name).exists)
        return self.out / name

    def assert_nothing_left(self) -> None:
        """No process of this run, known by the folder for temporary files that it hands down, and no file in there."""
        observe(lambda: not started_with(self.temporary))
        assert list(self.temporary.iterdir()) == []


def run_harness(
    folder: Path,
    *arguments: str | Path,
    board: str = "native",
    env: Mapping[str, str] | None = None,
    out: str = "",
    limit_s: float = LIMIT_S,
) -> Finished:
    with HarnessRun(folder, *arguments, board=board, env=env, out=out) as run:
        return run.wait(limit_s)


def observe(condition: Callable[[], Found], limit_s: float = 30.0) -> Found:
    """Wait until the condition gives something true, and return that."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError(f"did not happen within {limit_s:g} s")


@contextmanager
def holding(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, which runs `code` until this ends; it says "held" once it holds what it is to hold."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def children_of(parent: int) -> list[int]:
    return [pid for pid in processes() if _status(pid).get("PPid") == str(parent)]


def processes() -> list[int]:
    """Ids of all living processes; zombies are none."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if not _status(pid).get("State", "Z").startswith("Z")]


def command_line(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()


def state_of(pid: int) -> str:
    """What the process does, in the words of proc(5): "R (running)", "T (stopped)"; "" when there is none."""
    return _status(pid).get("State", "")


def stop_still(pid: int) -> None:
    """Stop the process, and return when it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    observe(lambda: state_of(pid).startswith("T"))


def is_board(pid: int) -> bool:
    """Whether the process has become the firmware or its emulator."""
    program = command_line(pid).split(" ")[0]
    return program.endswith("qemu-system-arm") or program.endswith(".elf")


def started_with(temporary: Path) -> list[str]:
    """Command lines of the living processes whose TMPDIR is `temporary`."""
    wanted = f"TMPDIR={temporary}"
    return [command_line(pid) for pid in processes() if wanted in _read(Path(f"/proc/{pid}/environ")).split("\0")]


def _status(pid: int) -> dict[str, str]:
    lines = _read(Path(f"/proc/{pid}/status")).splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it ended meanwhile
        return ""
