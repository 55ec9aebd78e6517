"""Where firmware is built: in the checkout, or in the user's cache when the checkout does not do for that."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from hil.errors import UsageError

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
    """Where the checkout `root` is built for `target`. Raises UsageError when there is no such place."""
    own = Workplace(root / "firmware", root / "build")
    if _is_plain(root) and all(map(_can_write, (own.lock, own.folder(target)))):
        return own
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hil"
    folder = cache / hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _link(folder / "checkout", root.resolve())
    except OSError as error:
        raise UsageError(
            f"the firmware cannot be built: {_why(root)}, and {folder} cannot be written ({error.strerror})\n"
            f"  fix: set XDG_CACHE_HOME to a folder that can, or name an image with --hil-image=ELF"
        ) from error
    if not _is_plain(folder):
        raise UsageError(
            f"the firmware cannot be built: {_why(root)}, and {folder} has a path that build tools take apart\n"
            f"  fix: set XDG_CACHE_HOME to a folder with a short path of letters, digits, ./+@~,- and spaces"
        )
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
