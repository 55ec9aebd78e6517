"""Types the commands of a page into a shell, in a copy of the checkout, as a reader does."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pages import PROJECT, Block, Command

ENVIRONMENTS = {".venv": "requirements.lock", ".venv-rebuild": "requirements-rebuild.lock"}
_FROM_OUTSIDE = ("HIL_", "PYTEST_", "VIRTUAL_ENV", "PYTHON", "MAKE", "MFLAGS", "GIT_", "CI", "GITHUB_")
_TIMEOUT_S = 900


@dataclass(frozen=True)
class Answer:
    """How one command ended, and what it printed on both channels."""

    command: Command
    exit_code: int
    text: str

    def __str__(self) -> str:
        return f"line {self.command.line}: {self.command.text}\nexit code {self.exit_code}\n{self.text}"


def checkout_copy(folder: Path) -> Path:
    """A copy of this checkout as git sees it, changes that are not committed included, with the environments of this
    one. The code that `hil` and `pytest` run there is this checkout's, and so is the firmware that they build.
    """
    copy = folder / "checkout"
    _git("clone", "--quiet", "--no-checkout", "--shared", str(PROJECT), str(copy))
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=PROJECT).split("\0"):
        if name and (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    _git("reset", "--quiet", cwd=copy)
    if _git("status", "--porcelain", cwd=copy):  # a release wants everything committed; in CI it is
        policy = copy / "release.toml"
        policy.write_text(policy.read_text(encoding="utf-8").replace("clean_tree = true", "clean_tree = false"))
    for name, lock in ENVIRONMENTS.items():
        if (PROJECT / name / ".hil-ready").is_file():
            _lend_environment(copy, name, lock)
    return copy


def _lend_environment(copy: Path, name: str, lock: str) -> None:
    """The environment `name` of this checkout in the copy, marked as setup/bootstrap.sh marks what it made there."""
    folder = copy / name
    folder.mkdir()
    for each in (PROJECT / name).iterdir():
        if each.name != ".hil-ready":
            (folder / each.name).symlink_to(each)
    version = subprocess.run(
        [
            folder / "bin" / "python",
            "-I",
            "-S",
            "-c",
            "import sys; print(sys.version_info[:2], sys.implementation.name)",
        ],
        capture_output=True,
        check=True,
    ).stdout
    made_from = [copy / lock, copy / "pyproject.toml", copy / "setup" / "bootstrap.sh"]
    content = f"{copy.resolve()}\n".encode() + b"".join(file.read_bytes() for file in made_from) + version
    (folder / ".hil-ready").write_text(f"{hashlib.sha256(content).hexdigest()}  -\n", encoding="ascii")


def write_files(page: list[Block], copy: Path) -> None:
    """The blocks that name the file they belong in."""
    for block in page:
        if block.title:
            (copy / block.title).parent.mkdir(parents=True, exist_ok=True)
            (copy / block.title).write_text(block.text, encoding="utf-8")


def type_in(commands: list[Command], copy: Path, *, activated: bool) -> list[Answer]:
    """The commands in one shell, started in the copy. activated: with the environment of the project."""
    mark = "--- answered"
    script = "\n".join(f"{command.text}\nprintf '\\n{mark} %s\\n' $?" for command in commands)
    if activated:
        script = f". .venv/bin/activate\n{script}"
    file = copy.parent / "typed.sh"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", str(file)],
        cwd=copy,
        env=_of_a_new_terminal(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    parts = re.split(rf"\n{mark} (\d+)\n", done.stdout)
    assert len(parts) == 2 * len(commands) + 1, done.stdout
    return [
        Answer(command, int(code), text)
        for command, text, code in zip(commands, parts[0::2], parts[1::2], strict=False)
    ]


def _of_a_new_terminal() -> dict[str, str]:
    """What a terminal starts with: nothing activated, no setting of the tests that run here.

    PYTHONSAFEPATH: `python -m pytest` in the copy would import the copy's `hil`, and build the firmware from nothing.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FROM_OUTSIDE)}
    own = {str(PROJECT / name / "bin") for name in ENVIRONMENTS}
    path = os.pathsep.join(entry for entry in kept.get("PATH", "").split(os.pathsep) if entry not in own)
    nothing_is_fetched = {"PIP_NO_INDEX": "1", "HIL_NO_INSTALL": "1"}
    return {**kept, **nothing_is_fetched, "PATH": path, "PYTHONSAFEPATH": "1"}


def _git(*words: str, cwd: Path | None = None) -> str:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True).stdout
