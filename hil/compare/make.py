"""Runs one case twice, on two boards or with two builds of TFLM, so that both can be held against each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.environment import environment_name
from hil.errors import UsageError
from hil.image.tflm import ENGINES, TFLM_OPTIONS, UPSTREAM

_JUDGED = (0, 1)  # exit codes of pytest that leave a run: passed, failed


@dataclass(frozen=True)
class Way:
    """One of the two ways to run the case. name: of its folder; settings: variables of its environment."""

    name: str
    board: str
    settings: Mapping[str, str | None]


def two_boards(boards: str) -> tuple[Way, Way]:
    """Two boards, with a comma between them. Raises UsageError."""
    first, second = _two("--boards", boards)
    return Way(first, first, {}), Way(second, second, {})


def two_kernels(kernels: str, board: str) -> tuple[Way, Way]:
    """Two builds of TFLM on one board, with a comma between them. Raises UsageError."""
    names = _two("--kernels", kernels)
    for name in names:
        if name not in ENGINES:
            raise UsageError(f"--kernels {kernels}: there is no {name!r}\n  fix: name two of {', '.join(ENGINES)}")
    first, second = (Way(name, board, _engine(name)) for name in names)
    return first, second


def _two(option: str, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise UsageError(f"{option} {text}: two different ones are wanted\n  fix: write {option} ONE,OTHER")
    return names


def _engine(name: str) -> dict[str, str | None]:
    """Headers and library belong to today's TFLM only."""
    given = {environment_name(option): os.environ.get(environment_name(option)) for option in TFLM_OPTIONS}
    kept = given if name == UPSTREAM else dict.fromkeys(given)
    return {**kept, environment_name("hil-tflm"): name}


def run(way: Way, cases: Sequence[Path], out: Path) -> Path:
    """The folder of a run of these cases. Raises UsageError with pytest's own words when there is none."""
    folder = out / way.name
    command = [sys.executable, "-m", "pytest", "-q", *map(str, cases), f"--board={way.board}", f"--hil-out={folder}"]
    environment = {**os.environ, **{name: value for name, value in way.settings.items() if value is not None}}
    for name, value in way.settings.items():
        if value is None:
            environment.pop(name, None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in _JUDGED:
        said = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-15:])
        raise UsageError(f"the run on {way.name} came to no verdict (exit code {done.returncode}):\n{said}")
    return folder
