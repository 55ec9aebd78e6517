"""`hil init`: what it writes, and what it leaves alone. tests/installed/test_wheel.py runs such a project."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import hil
from hil.case.load import load_case
from hil.cli import main
from hil.plugin import _OPTIONS
from hil.project.places import DISTRIBUTION

PROJECT = Path(__file__).resolve().parents[2]
MODEL = PROJECT / "golden_vectors" / "imu_motion" / "model_int8.tflite"
JOBS = {".github/workflows/hil.yml", ".gitlab-ci.yml"}
OTHERS = {*JOBS, ".gitignore", *(f"schemas/{name}.schema.json" for name in ("board", "case", "release"))}


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def type_hil(folder: Path, *arguments: str | Path) -> Done:
    """The command `hil` in a folder, by this process: one of its own takes a second to start."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = main(list(map(str, arguments)))
    return Done(code, out.getvalue(), err.getvalue())


def init(folder: Path, *arguments: str | Path) -> Done:
    return type_hil(folder.parent, "init", folder, *arguments)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def commands(folder: Path) -> list[str]:
    """What both jobs type."""
    github = yaml.safe_load((folder / ".github/workflows/hil.yml").read_text(encoding="utf-8"))
    gitlab = yaml.safe_load((folder / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    steps: list[dict[str, Any]] = github["jobs"]["hil"]["steps"]
    return [step["run"] for step in steps if "run" in step] + gitlab["hil"]["script"]


def test_it_writes_a_case_that_is_in_order_and_what_belongs_to_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hil.cli", "init", str(tmp_path / "new"), "--model", str(MODEL)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = files(tmp_path / "new")
    case = {f"golden_vectors/model_int8/{name}" for name in ("case.toml", "model_int8.tflite", "vectors.npz")}
    assert {*written} == case | OTHERS
    assert all(f"wrote {tmp_path / 'new' / name}\n" in done.stdout for name in written)
    assert load_case(tmp_path / "new" / "golden_vectors" / "model_int8").name == "model_int8"
    assert "  pytest --board=native\n  pytest --board=qemu\n" in done.stdout


def test_the_case_names_its_schema(tmp_path: Path) -> None:
    init(tmp_path / "new", "--model", MODEL, "--name", "wrist")
    file = tmp_path / "new" / "golden_vectors" / "wrist" / "case.toml"
    mark, schema = file.read_text(encoding="utf-8").splitlines()[0].split()
    assert mark == "#:schema"
    assert (file.parent / schema).read_bytes() == (PROJECT / "hil" / "schemas" / "case.schema.json").read_bytes()


def test_files_that_are_there_stay_and_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "schemas").mkdir(parents=True)
    (folder / ".gitignore").write_text("mine\n")
    (folder / ".gitlab-ci.yml").symlink_to("nowhere")
    done = init(folder, "--model", MODEL)
    assert done.returncode == 0, done.stderr
    assert (folder / ".gitignore").read_text() == "mine\n"
    assert (folder / ".gitlab-ci.yml").is_symlink()
    assert not (folder / "nowhere").exists()
    for name in (".gitignore", ".gitlab-ci.yml"):
        assert f"left alone, is there already: {folder / name}\n" in done.stdout
        assert f"wrote {folder / name}\n" not in done.stdout


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    init(folder, "--model", MODEL)
    before = files(folder)
    done = init(folder, "--model", MODEL)
    assert done.returncode == 0, done.stderr
    assert "wrote" not in done.stdout
    assert files(folder) == before


def test_a_model_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    done = init(tmp_path / "new", "--model", tmp_path / "bad.tflite")
    assert done.returncode == 2
    assert str(tmp_path / "bad.tflite") in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_the_jobs_install_all_that_the_board_needs_and_use_options_that_there_are(tmp_path: Path) -> None:
    init(tmp_path / "new", "--model", MODEL)
    typed = commands(tmp_path / "new")
    for packages in [line for line in typed if "apt-get install" in line]:
        named = shlex.split(packages.rpartition("--no-install-recommends")[2])
        assert {"cargo", "cmake", "ninja-build", "gcc-arm-none-eabi", "qemu-system-arm"} <= {*named}
        assert "g++" not in named, "of the board native only"
    tests = [shlex.split(line) for line in typed if "-m pytest" in line]
    options = {word.split("=")[0] for line in tests for word in line if word.startswith("--")}
    assert options <= {"--junit-xml", *(f"--{name}" for name in _OPTIONS)}
    assert len(tests) == 2
    assert [line for line in typed if "pip install" in line] == [
        f'python -m pip install "{DISTRIBUTION}=={hil.__version__}"'
    ] * 2
    assert not [line for line in typed if "@" in line]


def test_the_jobs_run_on_the_board_that_was_named_and_install_what_was_named(tmp_path: Path) -> None:
    wheel = "https://example.org/hil_tinyml-9.whl"
    init(tmp_path / "new", "--model", MODEL, "--board", "native", "--install", wheel)
    typed = "\n".join(commands(tmp_path / "new"))
    assert typed.count("--board=native") == 2
    assert typed.count(f'pip install "{wheel}"') == 2
    assert "qemu" not in typed


@pytest.mark.parametrize(
    "word", ["--name=../up", "--name=a b", '--install=a"; rm b', "--install=$(id)", "--install=a\nb"]
)
def test_words_that_would_do_harm_in_the_files_are_refused(word: str, tmp_path: Path) -> None:
    done = init(tmp_path / "new", "--model", MODEL, word)
    assert done.returncode == 2
    assert word.split("=")[0] in done.stderr
    assert "\n  fix: " in done.stderr
    assert {*tmp_path.iterdir()} == set()


@pytest.mark.parametrize("board", ["renode", "nucleo"])
def test_a_board_that_packages_do_not_bring_is_refused_for_the_jobs(board: str, tmp_path: Path) -> None:
    done = init(tmp_path / "new", "--model", MODEL, "--board", board)
    assert done.returncode == 2
    assert f"the CI jobs cannot be written for board '{board}'" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_case_written_later_names_the_schema_of_the_project(tmp_path: Path) -> None:
    init(tmp_path / "new", "--model", MODEL)
    done = type_hil(tmp_path / "new", "case", "new", "golden_vectors/deep/er", "--model", MODEL)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "new" / "golden_vectors" / "deep" / "er" / "case.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema ../../../schemas/case.schema.json\n")


def test_a_case_without_schemas_around_names_none(tmp_path: Path) -> None:
    assert type_hil(tmp_path, "case", "new", "alone", "--model", MODEL).returncode == 0
    assert "#:schema" not in (tmp_path / "alone" / "case.toml").read_text(encoding="utf-8")
