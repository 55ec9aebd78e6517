"""Packs the agent for other firmware: the sources that our own image is made of, with the codec that zcbor generates.

    python firmware/agent/pack.py FOLDER

Writes FOLDER/hil-agent-VERSION.zip and prints its path. The same sources give the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import zcbor

AGENT = Path(__file__).resolve().parent
FIRMWARE = AGENT.parent
PACKAGE = AGENT / "package"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file knows
_VERSIONED = ("CMakeLists.txt", "README.md", "library.json")


def version() -> str:
    """The version of the firmware's sources."""
    text = (FIRMWARE / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(r"^project\(hil_firmware VERSION ([0-9.]+)", text, re.M)
    if found is None:
        raise SystemExit(f"{FIRMWARE / 'CMakeLists.txt'}: no project(hil_firmware VERSION ...)")
    return found[1]


def files() -> dict[str, bytes]:
    """All files of the package, by their paths in it."""
    found = {path.relative_to(PACKAGE): path for path in PACKAGE.rglob("*") if path.is_file()}
    for folder, pattern in (("agent", "*.[ch]"), ("agent", "sources.cmake"), ("link", "*.[ch]"), ("link", "*.cddl")):
        found |= {path.relative_to(FIRMWARE): path for path in (FIRMWARE / folder).glob(pattern)}
    found[Path("LICENSE")] = FIRMWARE.parent / "LICENSE"
    contents = {path.as_posix(): source.read_bytes() for path, source in found.items()}
    for name in _VERSIONED:
        contents[name] = contents[name].replace(b"@VERSION@", version().encode())
    return contents | _codec() | _runtime()


def _codec() -> dict[str, bytes]:
    """The reader of requests, as cmake/wire.cmake has it generated."""
    schema = FIRMWARE / "link" / "link.cddl"
    with tempfile.TemporaryDirectory(prefix="hil-agent-") as folder:
        command = [sys.executable, "-c", "import sys, zcbor; sys.exit(zcbor.main())", "code", "-c", str(schema)]
        command += ["--decode", "-t", "request", "--output-c", "hil_request.c", "--output-h", "hil_request.h"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"zcbor does not take {schema}:\n{done.stderr}")
        return {f"wire/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}


def _runtime() -> dict[str, bytes]:
    """zcbor's own C files and its licence."""
    root = Path(zcbor.__file__).parent
    names = [f"src/zcbor_{name}.c" for name in ("common", "decode", "encode")]
    names += [path.relative_to(root).as_posix() for path in (root / "include").glob("*.h")]
    licence = distribution("zcbor").read_text("LICENSE") or distribution("zcbor").read_text("licenses/LICENSE")
    if licence is None:
        raise SystemExit("zcbor is installed without its licence\n  fix: install its wheel again")
    return {f"zcbor/{name}": (root / name).read_bytes() for name in names} | {"zcbor/LICENSE": licence.encode()}


def pack(folder: Path) -> Path:
    """Write the package to `folder`. Stored, not compressed: the bytes depend on no library's version."""
    name = f"hil-agent-{version()}"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as package:
        for path, content in sorted(files().items()):
            entry = zipfile.ZipInfo(f"{name}/{path}", _LONG_AGO)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            package.writestr(entry, content)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.zip"
    part = file.with_suffix(".zip.part")
    try:
        part.write_bytes(data.getvalue())
        part.replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return file


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print(pack(Path(sys.argv[1])))
