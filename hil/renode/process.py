"""Knows how Renode is found, started in a folder of its own, reached through its Robot server, and ended."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hil.child import Child, both_ends
from hil.environment import environment_name
from hil.errors import BoardError, UsageError
from hil.patience import Patience, Turns
from hil.renode.private_folder import PrivateFolder
from hil.renode.robot import Robot

_ENVIRONMENT = environment_name("hil-renode")
SUPPORTED = "Renode v1.16."  # how the answer to --version begins
_RELEASE = "1.16.1"
_URL = f"https://github.com/renode/renode/releases/tag/v{_RELEASE}"
_ASSET, _ASSET_ARM = (f"renode-{_RELEASE}.linux-{kind}portable-dotnet.tar.gz" for kind in ("", "arm64-"))
GET = (
    f"get {_ASSET} (on Arm: {_ASSET_ARM}) of {_URL}, unpack it, and name the program `renode` in it "
    f"with --hil-renode=FILE or {_ENVIRONMENT}=FILE, or put it on PATH"
)
_ARGUMENTS = ("--disable-xwt", "--console", "--plain", "--hide-log", "--robot-server-port", "0")
_VERSION_TIMEOUT_S = 20.0
_STOP_S = 2.0  # to answer and to leave; it takes 0.1 s
_GONE_S = 0.5  # from a broken connection to the end of the process
_POLL_S = 2e-3
_LOG_LINES = 15


# ---- before anything starts


def find_renode(given: str = "", program: str = "renode", path: str | None = None) -> Path:
    """The program: `given` (option or environment; the program or its folder), else `program` (the board file's,
    searched on `path`, default PATH). Raises UsageError that tells which versions are supported and how to get one.
    """
    wanted = given or program
    file = str(Path(wanted) / "renode") if Path(wanted).is_dir() else wanted
    found = shutil.which(file, path=path)
    if found is not None:
        return Path(found).resolve()
    if os.sep in file and Path(file).is_file():
        raise UsageError(
            f"{file}: may not be executed by this user\n"
            f"  fix: chmod +x {file}, and unpack it on a file system that is not mounted noexec"
        )
    what = "no program `renode` is in this folder" if file != wanted else "no such program"
    raise UsageError(f"{wanted}: {what}; this board needs Renode {_named(SUPPORTED)}\n  fix: {GET}")


def version_of(program: Path) -> str:
    """First line of its answer to --version. Raises UsageError when it gives none."""
    with PrivateFolder() as folder:
        try:
            answer = subprocess.run(
                [program, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, **folder.environment},
                timeout=_VERSION_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(
                f"{program} --version gave no answer within {_VERSION_TIMEOUT_S:g} s\n"
                f"  fix: run it by hand, it must answer at once; is this machine only very busy? Run again, or {GET}"
            ) from error
        except OSError as error:
            foreign = f" on a machine of kind {platform.machine()}" if error.errno == errno.ENOEXEC else ""
            raise UsageError(f"{program} does not run{foreign}: {error.strerror}\n  fix: {GET}") from error
    words = "\n".join(filter(None, (answer.stdout.strip(), answer.stderr.strip())))
    if answer.returncode != 0 or not words:
        said = f":\n{both_ends(words)}" if words else " nothing"
        raise UsageError(
            f"{program} --version ended with exit code {answer.returncode} and said{said}\n  fix: {_icu(words) or GET}"
        )
    return words.splitlines()[0].strip()


def check_version(program: Path, supported: str) -> str:
    """The version, when it begins with `supported`. Raises UsageError that names both otherwise."""
    version = version_of(program)
    if not version.startswith(supported):
        raise UsageError(f"{program} is {version!r}; this board supports {_named(supported)}\n  fix: {GET}")
    return version


def _icu(words: str) -> str:
    """What helps when .NET has said that it lacks the ICU library; "" when it has not."""
    if "ICU" not in words or "lobalization" not in words:
        return ""
    return "set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 in the environment, or install the ICU library (libicu)"


def _named(supported: str) -> str:
    """`Renode v1.16.` as people write it: 1.16.x."""
    return supported.removeprefix("Renode v") + "x" if supported.startswith("Renode v") else supported


# ---- the process


class RenodeProcess:
    """A running Renode that can be given commands. Its files, and those of the board, lie in `folder`.

    Raises BoardError when it does not come up within `start_s`. call_s: time-out of each command.
    """

    def __init__(self, program: Path, start_s: float, call_s: float) -> None:
        self.folder = PrivateFolder()
        self._child: Child | None = None
        self._own_doing: list[tuple[int, int]] = []  # parts of the log: begin and end
        # Its shell wants a console to wait at. Without one (--console) or at the end of its input it asks again and
        # again without pause, which takes half a processor. From this pipe nothing ever comes, not even an end.
        silence, self._silence = os.pipe()
        try:
            with closing(os.fdopen(silence)):
                command = [str(program), *_ARGUMENTS]
                self._child = Child(command, environment=self.folder.environment, stdin=silence)
            self.robot = Robot(self._await_port(self._child, start_s), call_s, self.ended_soon)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def log(self) -> Path:
        """Where Renode is told to write its own log."""
        return self.folder.path / "renode.log"

    def ended(self) -> str | None:
        """None while it runs, else how it ended, with its last words."""
        if self._child is None:
            return "it was ended"
        ended = self._child.ended()
        return None if ended is None else ended + self.last_log_lines()

    def ended_soon(self) -> str | None:
        """As `ended`, with a moment's patience: a connection breaks before the process is gone."""
        _until(lambda: self.ended() is not None, _GONE_S)
        return self.ended()

    def last_log_lines(self) -> str:
        """The end of Renode's own log, as lines to be put below a message; empty when there are none."""
        try:
            log = bytearray(self.log.read_bytes())
        except OSError:
            return ""
        for start, end in reversed(self._own_doing):
            del log[start:end]
        lines = log.decode(errors="replace").split("\n")
        lines = [line.rstrip() for line in lines if line.strip()][-_LOG_LINES:]
        return "\n  last lines of Renode's log:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""

    @contextmanager
    def own_doing(self) -> Iterator[None]:
        """What Renode logs meanwhile is about questions of the harness, and no reason for anything."""
        start = self._log_bytes()
        try:
            yield
        finally:
            self._own_doing.append((start, self._log_bytes()))

    def _log_bytes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def stop(self) -> None:
        """End it: as it wants to be ended, or by force when that takes too long. Safe to call twice."""
        try:
            if self._child is not None and self._child.ended() is None:
                self.robot.stop(_STOP_S)
                _until(lambda: self.ended() is not None, _STOP_S)
        except BoardError:
            pass  # it hangs or is going away; the force that follows does not depend on it
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and whatever it has started, at once, and remove its folder. Safe to call twice."""
        child, self._child = self._child, None
        try:
            self.folder.remove()
        finally:
            if child is not None:
                child.kill()
            if self._silence >= 0:
                os.close(self._silence)
                self._silence = -1

    def _await_port(self, child: Child, limit_s: float) -> int:
        """The port that it chose. It writes the number into a file in its temporary folder when it listens there."""
        text = ""

        def written() -> bool:
            nonlocal text
            text = next((file.read_text() for file in self.folder.temporary.glob("renode-*/robot_port")), "")
            return bool(text) or child.ended() is not None

        _until(written, limit_s, child.turns)
        if ended := child.ended():
            by_hand = f"run `{child.name} {' '.join(_ARGUMENTS)}` by hand, it must stay and listen"
            raise BoardError(f"start: {ended}\n  next: {_icu(ended) or by_hand}")
        if not text:
            raise BoardError(
                f"start: {child.name} opened no port for its Robot server within {limit_s:g} s{_said(child)}\n"
                f"  next: is the machine overloaded? start_s of the board file gives it longer"
            )
        if not text.isdecimal():
            raise BoardError(f"start: {child.name} named port {text!r} for its Robot server, which is no number")
        return int(text)


def _said(child: Child) -> str:
    words = both_ends(child.words())
    return f"; it said:\n{words}" if words else " and said nothing"


def _until(done: Callable[[], bool], limit_s: float, turns: Turns = dict) -> None:
    """Look until it is done, `limit_s` at the longest."""
    patience = Patience(limit_s, turns)
    while not done() and not patience.over():
        time.sleep(_POLL_S)
