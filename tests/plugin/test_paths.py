"""Any path that a file system takes is taken: for checkout, case, image, output, TMPDIR, and by each command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness_process import PASSED, PROJECT, HarnessRun, run_harness
from native_session import CaseFolder, native_image
from read_only import read_only

from hil.cli import main
from hil.runfile import read_run

NASTY = '-o, it\'s "q" #1 %d%41 $nope ${x};\u00e9\\b&<b>*?=`true`'

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paths") / NASTY
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def out(folder: Path) -> Path:
    """Output folder of a run with a name like that for everything."""
    (folder / "cases").mkdir()
    case = CaseFolder(folder / "cases" / NASTY)
    image = shutil.copy(native_image().path, folder / f"{NASTY}.elf")
    arguments = (f"--hil-image={image}", str(case.path.relative_to(folder)), "--hil-report=html")
    finished = run_harness(folder, *arguments, out=str(folder / f"out {NASTY}"))
    assert finished.code == PASSED, finished.text
    assert f"results: {finished.out}" in finished.text
    return finished.out


def test_a_run_leaves_all_its_files(out: Path) -> None:
    names = {file.name for file in out.iterdir()}
    assert names >= {"run.json", "report.html", "summary.md", "small.native.npz", "small.native.log"}


def test_its_files_are_read_back(out: Path) -> None:
    run = read_run(out)
    (case,) = run.document.cases
    assert case.path.endswith(f"{NASTY}/case.toml")
    assert len(run.records(case)["status"]) == case.vectors


def test_each_command_takes_them(out: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(out), str(out)]) == 0
    assert main(["report", str(out), "--out", str(folder / f"page {NASTY}.html")]) == 0
    assert (folder / f"page {NASTY}.html").stat().st_size > 10_000
    assert main(["trend", "small", str(out)]) == 0
    assert main(["case", "check", str(folder / "cases" / NASTY)]) == 0
    assert NASTY in capsys.readouterr().out


def test_the_gate_judges_such_a_run(out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has reasons of its own against a release; that it cannot find a file is none of them."""
    policy = folder / "release.toml"
    policy.write_text(
        'boards = ["native"]\ncases = "cases"\nbaseline = "optional"\nlocked = false\nclean_tree = false\n'
    )
    monkeypatch.chdir(folder)
    done = subprocess.run(
        [sys.executable, "-m", "hil.cli", "gate", str(out), "--policy", str(policy)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode in (0, 1), done.stderr
    assert "cannot be trusted" not in done.stdout
    assert "did not run on board" not in done.stdout


def test_a_checkout_with_such_a_name_that_nobody_may_write_to_judges_its_cases(tmp_path: Path) -> None:
    checkout, work = tmp_path / NASTY, tmp_path / "work"
    work.mkdir()
    for name in ("hil", "firmware", "boards"):
        shutil.copytree(PROJECT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    CaseFolder(checkout / "cases" / "small")
    environment = {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": str(work / "cache")}
    with read_only(checkout):
        with HarnessRun(work, str(checkout / "cases"), env=environment) as run:
            finished = run.wait(600.0)
        assert finished.code == PASSED, finished.text
    assert finished.run["verdict"] == "passed"
    assert list((work / "cache" / "hil").glob("*/build/firmware/native/hil_firmware.elf"))
