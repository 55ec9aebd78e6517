"""Knows how to make a folder one that nobody can write to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below it can be changed: root, whom permissions do not stop, is stopped by the immutable flag."""
    if os.geteuid() != 0:
        shut, open_ = ["chmod", "-R", "a-w", "--"], ["chmod", "-R", "u+w", "--"]
    else:
        shut, open_ = ["chattr", "-R", "+i", "--"], ["chattr", "-R", "-i", "--"]
    if subprocess.run([*shut, folder], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a file system on which files can be made immutable")
    try:
        yield
    finally:
        subprocess.run([*open_, folder], check=True)
