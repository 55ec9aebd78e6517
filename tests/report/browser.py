"""Knows how the tests open a page in the system's Chromium, and write down all that it asks for or complains of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Opened:
    """A page in the browser. complaints: console messages and errors; requests: addresses other than the page's own."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Chromium:
    """One browser for many pages; each page has a profile of its own."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def open(self, file: Path, *, width: int = 1280, script: bool = True, scheme: str = "light") -> Iterator[Opened]:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        opened = Opened(context.new_page())
        opened.page.set_default_timeout(15_000)
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        try:
            opened.page.goto(file.as_uri())
            opened.requests.remove(file.as_uri())
            yield opened
        finally:
            context.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """The system's browser, headless; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    if PROGRAM is None:
        pytest.skip("no Chromium on PATH: setup/bootstrap.sh tests installs it where apt has it")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=PROGRAM, args=arguments)
        try:
            yield Chromium(browser)
        finally:
            browser.close()
