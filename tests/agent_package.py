"""Knows how the tests get the package of the agent, and how its files are compiled."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from native_session import PROJECT

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
INCLUDES = ("-I.", "-isystem", "wire", "-isystem", "zcbor/include")
CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-ffunction-sections", "-fdata-sections")


def packed(folder: Path) -> Path:
    """The zip file that `make agent` makes."""
    script = PROJECT / "firmware" / "agent" / "pack.py"
    done = run([sys.executable, str(script), str(folder)], folder.parent)
    return Path(done.strip())


def unpacked(folder: Path) -> Path:
    """The only folder in it."""
    with zipfile.ZipFile(packed(folder / "dist")) as package:
        package.extractall(folder)
    (root,) = (path for path in folder.iterdir() if path.name != "dist")
    return root


def own_sources(root: Path) -> list[str]:
    """Files of the package that are ours, below its root."""
    return sorted(path.relative_to(root).as_posix() for name in ("agent", "link") for path in (root / name).glob("*.c"))


def foreign_sources(root: Path) -> list[str]:
    """What zcbor is and generated."""
    return sorted(
        path.relative_to(root).as_posix() for name in ("wire", "zcbor/src") for path in (root / name).glob("*.c")
    )


def compile_objects(compiler: str, flags: Sequence[str], sources: Sequence[str], root: Path, out: Path) -> list[Path]:
    """One object a source. Fails with what the compiler said."""
    out.mkdir(parents=True, exist_ok=True)
    objects = [out / f"{Path(source).stem}.o" for source in sources]
    for source, target in zip(sources, objects, strict=True):
        run([compiler, *flags, *INCLUDES, "-c", source, "-o", str(target)], root)
    return objects


def run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout
