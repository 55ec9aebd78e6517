"""Runs of small programs that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.virtual.program import Run, assemble


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Assemble a program and start it on a machine; ended after the test."""
    runs: list[Run] = []

    def begin(source: str, **options: object) -> Run:
        runs.append(Run(assemble(tmp_path, source), **options))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()
