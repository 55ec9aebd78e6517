"""Where firmware is built: in the checkout, or in the user's cache when the checkout does not do for that.

The firmware of an installed hil is always built in the cache, from a copy of its sources.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hil.errors import UsageError
from hil.image.toolchain import CARGO, identity, tools_of_target
from hil.problems import reason_of
from hil.project.cache import mark_used, prune
from hil.project.places import cache_folder, is_packed

# CMake, ninja and linkers take a path apart at some of the other characters, each of them at others.
_PLAIN = re.compile(r"[\w./+@~, -]*")
_LONGEST = (
    120  # characters of the folder; what is built below it has paths of some 120 more, of 255 that some tools take
)


@dataclass(frozen=True)
class Workplace:
    """firmware: the sources, as the tools are told of them; build: what holds all that is made from them."""

    firmware: Path
    build: Path

    @property
    def lock(self) -> Path:
        return self.build / "firmware.lock"

    def folder(self, target: str, key: str = "") -> Path:
        """Where the image of one target is built; key: of the TFLM that it is built with (hil.image.tflm)."""
        return self.build / "firmware" / f"{target}{key}"


def workplace(root: Path, target: str) -> Workplace:
    """Where the firmware of `root`, a checkout or the kit of an installed hil, is built for `target`. Raises UsageError
    when there is no such place.
    """
    if is_packed(root):
        return _unpacked(root, target)
    own = Workplace(root / "firmware", root / "build")
    if _is_plain(root) and all(map(_can_write, (own.lock, own.folder(target)))):
        return own
    folder = cache_folder() / hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _link(folder / "checkout", root.resolve())
    except OSError as error:
        raise _no_place(_why(root), folder, f"cannot be written ({error.strerror})") from error
    mark_used(folder)
    _require_plain(folder, _why(root))
    return Workplace(folder / "checkout" / "firmware", folder / "build")


def _is_plain(folder: Path) -> bool:
    text = str(folder.absolute())
    return _PLAIN.fullmatch(text) is not None and len(os.fsencode(text)) <= _LONGEST


def _can_write(path: Path) -> bool:
    """Whether it can be written, or made."""
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    return os.access(there, os.W_OK)


def _why(root: Path) -> str:
    return f"{root} cannot be written" if _is_plain(root) else f"{root} has a path that build tools take apart"


def _link(link: Path, target: Path) -> None:
    """A path without any of its characters. Other runs may make it at the same time."""
    if not link.is_symlink():
        part = link.with_name(f"checkout.{os.getpid()}")
        part.symlink_to(target)
        os.replace(part, link)


def _no_place(why: str, folder: Path, problem: str) -> UsageError:
    return UsageError(
        f"the firmware cannot be built: {why}, and {folder} {problem}\n"
        f"  fix: set XDG_CACHE_HOME to a folder that can, or name an image with --hil-image=ELF"
    )


def _require_plain(folder: Path, why: str) -> None:
    if not _is_plain(folder):
        raise UsageError(
            f"the firmware cannot be built: {why}, and {folder} has a path that build tools take apart\n"
            f"  fix: set XDG_CACHE_HOME to a folder with a short path of letters, digits, ./+@~,- and spaces"
        )


# ---- of an installed hil ---------------------------------------------------------------------------------------------

_KEPT_DAYS = 90  # of builds that are removed without being asked
_PACKED = "hil is installed as a package, which is not built in"


def _unpacked(kit: Path, target: str) -> Workplace:
    """A folder like a checkout: a copy of the sources, which no upgrade of the package changes under a build, and what
    is built from it. Its name is a hash of both sources and tools. All such folders share one TFLM, which is large.
    """
    sources = _digest(kit / "firmware")
    folder = cache_folder() / hashlib.sha256(f"{sources} {_tools(target)}".encode()).hexdigest()[:16]
    try:
        if not (folder / "firmware").is_dir():
            _unpack(kit, folder)
            mark_used(folder)
            prune(_KEPT_DAYS)  # those of versions before
        mark_used(folder)
        copied = _digest(folder / "firmware")
    except OSError as error:
        raise _no_place(_PACKED, folder, f"cannot be written ({reason_of(error)})") from error
    if copied != sources:
        raise UsageError(
            f"{folder / 'firmware'}: no longer the sources that hil came with\n"
            f"  fix: remove {folder}; to change the firmware, work in a checkout of hil"
        )
    _require_plain(folder, _PACKED)
    return Workplace(folder / "firmware", folder / "build")


def _digest(firmware: Path) -> str:
    """Of names and contents of all sources."""
    found = hashlib.sha256()
    for file in sorted(path for path in firmware.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        name, data = file.relative_to(firmware).as_posix().encode(), file.read_bytes()
        found.update(b"%d %s %d " % (len(name), name, len(data)) + data)
    return found.hexdigest()


def _tools(target: str) -> list[tuple[object, ...]]:
    return [identity(shutil.which(tool.program)) for tool in tools_of_target(target) if tool is not CARGO]


def _unpack(kit: Path, folder: Path) -> None:
    """Whole or not at all: another run may do the same at the same time."""
    cache = folder.parent
    (cache / "tflm-crate").mkdir(parents=True, exist_ok=True)
    part = cache / f"{folder.name}.{os.getpid()}"
    try:
        shutil.copytree(kit / "firmware", part / "firmware", ignore=shutil.ignore_patterns("__pycache__"))
        (part / "build").mkdir()
        (part / "build" / "tflm-crate").symlink_to(Path("..", "..", "tflm-crate"))
        part.rename(folder)
    except OSError:
        if not (folder / "firmware").is_dir():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
