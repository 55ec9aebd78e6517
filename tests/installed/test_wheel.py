"""What pip installs: built twice it is the same bytes; in a foreign folder it judges a case with its own firmware."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import hil
from hil.image.build import build

PROJECT = Path(__file__).resolve().parents[2]
MODEL = PROJECT / "golden_vectors" / "imu_motion" / "model_int8.tflite"
EPOCH = "1700000000"
# Of this process, and not of a user's terminal; CARGO_HOME and RUSTUP_HOME stay, because HOME is another one.
FROM_OUTSIDE = ("HIL_", "PYTEST_", "PYTHON", "VIRTUAL_ENV", "XDG_", "HOME", "PIP_")
LIMIT_S = 900.0


def sources(folder: Path) -> Path:
    """A copy of what git has of this checkout, changes that are not committed included; no git is in it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    return folder


def built(source: Path, out: Path, *kinds: str) -> dict[str, Path]:
    """Suffix to file."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    command += [word for kind in kinds for word in ("-t", kind)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, cwd=source, env=environment, capture_output=True, check=True)
    return {file.suffix: file for file in out.iterdir()}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("first")
    return built(sources(folder / "checkout"), folder / "out", "sdist", "wheel")


@pytest.fixture(scope="module")
def wheel(first: dict[str, Path]) -> Path:
    return first[".whl"]


def test_two_builds_are_the_same_bytes(first: dict[str, Path], tmp_path: Path) -> None:
    """Of another folder, at another time, with other permissions, and with what a user of the checkout leaves there."""
    other = sources(tmp_path / "somewhere else" / "checkout")
    for file in other.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    (other / "README.md").chmod(0o600)
    for left in (
        "build/firmware/native/x.o",
        "hil-out/run.json",
        "hil/__pycache__/cli.pyc",
        "firmware/__pycache__/a.pyc",
    ):
        (other / left).parent.mkdir(parents=True, exist_ok=True)
        (other / left).write_bytes(b"left")
    second = built(other, tmp_path / "out", "sdist", "wheel")
    assert {kind: (file.name, digest(file)) for kind, file in second.items()} == {
        kind: (file.name, digest(file)) for kind, file in first.items()
    }


def test_the_wheel_of_the_source_distribution_is_that_of_the_checkout(first: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(first[".gz"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert digest(built(unpacked, tmp_path / "out", "wheel")[".whl"]) == digest(first[".whl"])


def test_the_wheel_has_the_kit_and_nothing_of_the_projects_own(wheel: Path) -> None:
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    kit = {Path("hil/kit", name) for name in listed if name.startswith(("firmware/", "boards/"))}
    assert kit <= names
    assert {name for name in names if name.suffix == ".json" and name.parts[1] == "schemas"}
    tops = {name.parts[0] for name in names}
    assert tops == {"hil", f"hil_tinyml-{hil.__version__}.dist-info"}
    assert not [name for name in names if {"tests", "golden_vectors", "__pycache__"} & {*name.parts[:2]}]


# ---- installed -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Desk:
    """Somebody's folder, with an environment that has hil from the wheel, and a home of its own."""

    folder: Path
    python: Path
    environment: Mapping[str, str]

    @property
    def cache(self) -> Path:
        return Path(self.environment["XDG_CACHE_HOME"]) / "hil"

    @property
    def package(self) -> Path:
        (found,) = self.python.parents[1].glob("lib/python*/site-packages/hil")
        return found

    def run(self, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), *map(str, words)],
            cwd=cwd or self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    def hil(self, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run(self.python.with_name("hil"), *words, cwd=cwd)


def tree(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix(): digest(file) for file in files}


@pytest.fixture(scope="module")
def desk(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The dependencies are those of this environment, which are 500 MB: a path file leads there. An editable install
    there is not followed, because path files of such a folder are not read.
    """
    top = tmp_path_factory.mktemp("desk")
    venv.create(top / "env", with_pip=False)
    python = top / "env" / "bin" / "python"
    (packages,) = (top / "env").glob("lib/python*/site-packages")
    lent = [path for path in sys.path if path.endswith("-packages")]
    (packages / "shared.pth").write_text("\n".join([*lent, ""]), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, capture_output=True, check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FROM_OUTSIDE)}
    home = Path.home()
    rust = {
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(home / ".cargo")),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
    }
    own = {"HOME": str(top / "home"), "XDG_CACHE_HOME": str(top / "home" / "my c\u00e4che"), "HIL_REPORT": "none"}
    folder = top / "Pr\u00fcf stand"
    for each in (folder, top / "home"):
        each.mkdir()
    return Desk(folder, python, {**kept, **rust, **own})


def test_the_installed_hil_is_the_wheels(desk: Desk) -> None:
    done = desk.run("-c", "import hil; from hil.project.places import kit; print(hil.__file__, kit(), sep='\\n')")
    assert done.stdout.splitlines() == [str(desk.package / "__init__.py"), str(desk.package / "kit")], done.stderr


def test_it_has_the_boards_and_says_how_its_packages_are_installed(desk: Desk) -> None:
    listed = desk.hil("boards")
    boards = {line.split()[0] for line in listed.stdout.splitlines()}
    assert listed.returncode == 0, listed.stderr
    assert boards == {file.stem for file in PROJECT.glob("boards/*.toml")}
    told = desk.hil("doctor").stdout
    assert "pip install hil-tinyml" in told
    assert "make bootstrap" not in told
    assert str(desk.package / "kit" / "docs") in desk.hil("--help").stdout


@pytest.mark.slow
def test_a_missing_tool_is_told_with_its_package_before_anything_is_built(desk: Desk, tmp_path: Path) -> None:
    lean = Desk(tmp_path, desk.python, {**desk.environment, "PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path / "c")})
    done = lean.hil("init", "--model", MODEL)
    assert done.returncode == 0, done.stderr
    for board, program in (("qemu", "qemu-system-arm"), ("native", "cmake")):
        run = lean.run("-m", "pytest", f"--board={board}")
        assert run.returncode == 4, run.stdout
        assert f"{program} is needed" in run.stdout + run.stderr
        package = "cmake g++ ninja-build" if board == "native" else "qemu-system-arm"
        assert package in run.stdout + run.stderr
    assert not list(tmp_path.glob("c/hil/*/build/firmware/*"))


@pytest.mark.slow
def test_without_a_network_it_is_said_what_cargo_said_and_where_its_package_may_be_put(
    desk: Desk, tmp_path: Path
) -> None:
    offline = {
        "CARGO_NET_OFFLINE": "true",
        "CARGO_HOME": str(tmp_path / "cargo"),
        "XDG_CACHE_HOME": str(tmp_path / "c"),
    }
    lean = Desk(tmp_path, desk.python, {**desk.environment, **offline})
    assert lean.hil("init", "--model", MODEL).returncode == 0
    run = lean.run("-m", "pytest", "--board=qemu")
    assert run.returncode == 1, run.stdout
    assert "`cargo vendor --locked --quiet vendor` on" in run.stdout
    assert "fix: see that this machine reaches cargo's registry and try again, or copy" in run.stdout
    assert str(tmp_path / "c" / "hil" / "tflm-crate" / "tfmicro") in run.stdout


@pytest.mark.slow
def test_a_new_project_passes_on_native_and_qemu_in_a_foreign_folder(desk: Desk) -> None:
    """Where the same sources are built from nothing, on another day, they make the same image."""
    day = {"SOURCE_DATE_EPOCH": "2000000000"}  # what a compiler takes for today
    desk = replace(desk, environment={**desk.environment, **day})
    before = tree(desk.package)
    done = desk.hil("init", "--model", MODEL)
    assert done.returncode == 0, done.stderr
    images = {}
    for board, target in (("native", "native"), ("qemu", "mps2-an386")):
        run = desk.run("-m", "pytest", f"--board={board}", "-p", "no:cacheprovider")
        assert run.returncode == 0, run.stdout + run.stderr
        document = json.loads((desk.folder / "hil-out" / "run.json").read_text(encoding="utf-8"))
        assert document["verdict"] == "passed"
        assert document["manifest"]["source"] is None, "the sources of a wheel are in no git"
        assert [case["path"] for case in document["cases"]] == ["golden_vectors/model_int8/case.toml"]
        images[target] = digest(desk.folder / "hil-out" / f"{target}.elf")
        (image,) = desk.cache.glob(f"*/build/firmware/{target}/hil_firmware.elf")
        assert digest(image) == images[target]
    # Bit for bit. Not so on native: the sanitizers write the paths of the sources into it, wherever they lie.
    assert images["mps2-an386"] == digest(build("mps2-an386", PROJECT))
    assert tree(desk.package) == before, "nothing is built, or left, in site-packages"
    names = {path.name for path in desk.folder.iterdir()}
    assert names == {".github", ".gitignore", ".gitlab-ci.yml", "golden_vectors", "hil-out", "schemas"}


@pytest.mark.slow
def test_one_of_several_projects_of_a_repository_has_its_own_boards_before_those_that_hil_brings(desk: Desk) -> None:
    assert desk.hil("init", "--model", MODEL).returncode == 0  # again, or for the first time
    (desk.folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # pytest's root folder
    own = desk.folder / "below" / "boards" / "qemu.toml"
    own.parent.mkdir(parents=True)
    text = (PROJECT / "boards" / "native.toml").read_text(encoding="utf-8")
    own.write_text(text.replace("description = ", 'description = "ours" # '), encoding="utf-8")
    assert "qemu            ours" in desk.hil("boards", cwd=own.parents[1]).stdout
    shutil.copytree(desk.folder / "golden_vectors", own.parents[1] / "golden_vectors")
    run = desk.run("-m", "pytest", "--board=qemu", "--hil-out=out", cwd=own.parents[1])
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"rootdir: {desk.folder}\n" in run.stdout
    document = json.loads((own.parents[1] / "out" / "run.json").read_text(encoding="utf-8"))
    assert document["board"]["kind"] == "native"
