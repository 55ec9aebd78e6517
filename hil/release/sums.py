"""`SHA256SUMS`: the hashes of a folder, as `sha256sum -c` reads them; strict, so that every changed byte shows."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

SUMS_FILE = "SHA256SUMS"
SIGNATURE_FILE = "SHA256SUMS.sig"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n\r\\]+)")


def sums_text(sums: Mapping[str, str]) -> str:
    """One line a file, sorted by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def parse_sums(text: str) -> dict[str, str]:
    """Name to SHA-256 of what `sums_text` wrote. Raises ValueError that says what is not as it writes it."""
    found = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no hash and file name")
        found[match[2]] = match[1]
    if sums_text(found) != text:
        raise ValueError("its lines are not sorted, not unique, or the last one has no end")
    return found


def hash_files(folder: Path) -> dict[str, str]:
    """Name (POSIX, relative) to SHA-256 of every file below `folder`, save the sums and their signature.

    What is no plain file (a link, a pipe) has the hash "".
    """
    found = {}
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            path = Path(place) / name
            plain = path.is_file() and not path.is_symlink()
            found[path.relative_to(folder).as_posix()] = _sha256(path) if plain else ""
    for own in (SUMS_FILE, SIGNATURE_FILE):
        if found.get(own):  # a link in their place is told as what does not belong there
            del found[own]
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
