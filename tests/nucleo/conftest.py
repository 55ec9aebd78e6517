"""A short case for runs on the simulated bench."""

from __future__ import annotations

from pathlib import Path

import pytest
from native_session import CaseFolder
from nucleo_session import short_case


@pytest.fixture
def case(tmp_path: Path) -> CaseFolder:
    """It lies in `small` of the test's folder."""
    return short_case(tmp_path / "small")
