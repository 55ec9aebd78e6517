"""Spares the tests that read a page the painting of it: test_report_pictures.py and the browser see real pictures."""

from __future__ import annotations

from html import escape

import pytest

from hil.report.page import answers, latency, memory, worst


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is its label only: what it shows in words."""

    def sketch(paint: object, height_in: float, text: str, *, width_in: float = 0.0) -> str:
        return f'<svg role="img" aria-label="{escape(text)}"></svg>'

    for module in (answers, latency, memory, worst):
        monkeypatch.setattr(module, "draw", sketch)
