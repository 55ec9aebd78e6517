"""Runs a command of a board file, such as one that writes flash or switches power."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LAST_LINES = 8  # make says where it leaves, and that something failed, behind what failed


def run_command(command: str | Sequence[str], limit_s: float, folder: Path | None = None) -> str:
    """Run a line, or words, without a shell. "" when it ended well, else what happened; nothing of it runs on.

    Its environment names the interpreter that hil runs in, `PYTHON`, unless the user's own names another.
    """
    try:
        child = subprocess.Popen(
            shlex.split(command) if isinstance(command, str) else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env={"PYTHON": sys.executable, **os.environ},
        )
    except (OSError, ValueError) as error:
        return f"cannot be started: {error}"
    try:
        words, _ = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return f"did not end within {limit_s:.1f} s"
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if child.returncode == 0:
        return ""
    last = [line for line in words.decode(errors="replace").splitlines() if line.strip()][-_LAST_LINES:]
    said = last[0] if len(last) == 1 else "".join(f"\n    {line}" for line in last)
    return f"ended with code {child.returncode}{': ' + said if last else ''}"
