"""`hil report`: where the page is written, what is refused, and that nothing is loaded before a page is made."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_run import write_run

from hil.errors import UsageError
from hil.report.page.commands import add_report_command


def report(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_report_command(parser.add_subparsers(required=True))
    options = parser.parse_args(["report", *map(str, arguments)])
    return int(options.run(options))


def test_the_page_lies_beside_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path)
    assert report(tmp_path, "--root", tmp_path) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'report.html'}\n"
    assert (tmp_path / "report.html").read_bytes().startswith(b"<!doctype html>")
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.usefixtures("sketched")
def test_one_case_can_have_a_page_of_its_own(tmp_path: Path) -> None:
    write_run(tmp_path, names=("one", "two"))
    report(tmp_path / "run.json", "--case", "two", "--out", tmp_path / "two.html", "--root", tmp_path)
    page = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert page.count("<article") == 1
    assert "<h1>two on qemu" in page


def test_a_case_that_the_run_has_not_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    write_run(tmp_path, names=("one",))
    with pytest.raises(UsageError, match=r"no case 'two', only: one\n  fix: "):
        report(tmp_path, "--case", "two")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write_run(tmp_path)
    with pytest.raises(UsageError, match=r"cannot write .*nowhere/page\.html: there is no such folder\n  fix: "):
        report(tmp_path, "--out", tmp_path / "nowhere" / "page.html")


def test_plots_and_templates_are_not_loaded_before_a_page_is_made() -> None:
    code = (
        "import sys, hil.report.page.commands, hil.report.markdown;"
        "print([name for name in ('matplotlib', 'jinja2', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
