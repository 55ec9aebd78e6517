"""Fetches the TensorFlow Lite Micro sources of mid-2020 and vouches for every file that the firmware compiles.

They come from the crate `tfmicro`, by `cargo vendor --locked` on the manifest in `crate/`. Two checks follow, also on a
folder that is already there: the package's SHA-256 is the one pinned here, and each source and each header has the
SHA-256 that the package lists for it. Only the standard library is used: CMake calls this before anything is installed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "tfmicro"
PACKAGE_SHA256 = "b2da8beabd85d11badfc2d603a31c9fb468702cda5fc034ac872fbaf43544e94"
DOWNLOADS = "submodules/tensorflow/tensorflow/lite/micro/tools/make/downloads"
INCLUDE_ROOTS = (
    "submodules/tensorflow/tensorflow",
    f"{DOWNLOADS}/flatbuffers/include",
    f"{DOWNLOADS}/gemmlowp",
    f"{DOWNLOADS}/ruy",
)
HEADER_SUFFIXES = {".h", ".hpp", ".inc"}


class FetchError(Exception):
    """The sources are not there or not the pinned ones. The message names the file and the next step."""


def source_files() -> list[str]:
    """Paths of the compiled sources, relative to the package folder."""
    return (HERE / "sources.txt").read_text(encoding="utf-8").split()


def header_files(package: Path) -> Iterator[str]:
    """Paths of all headers that an include directory can reach, relative to the package folder."""
    for root in INCLUDE_ROOTS:
        for path in (package / root).rglob("*"):
            if path.suffix in HEADER_SUFFIXES:
                yield path.relative_to(package).as_posix()


def vendor(out: Path) -> None:
    """Leaves the package in `out/tfmicro`. The other crates that cargo brings along are thrown away (290 MB)."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise FetchError(
            "cargo is needed to fetch the TFLM sources, but was not found\n"
            "  fix: install it (Debian: apt install cargo), or give the package's folder with -DHIL_TFLM_DIR=<folder>"
        )
    work = out / "vendoring"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(HERE / "crate", work)
    command = [cargo, "vendor", "--locked", "--quiet", "vendor"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[-12:])
        raise FetchError(
            f"`cargo {' '.join(command[1:])}` on {HERE / 'crate' / 'Cargo.toml'} failed:\n{tail}\n"
            "  fix: see that this machine reaches cargo's registry and try again, or copy"
            f" {(out / PACKAGE).resolve()} from a machine that has it"
        )
    shutil.rmtree(out / PACKAGE, ignore_errors=True)
    (work / "vendor" / PACKAGE).rename(out / PACKAGE)
    shutil.rmtree(work)


def check(package: Path) -> int:
    """Number of files checked.

    Raises `FetchError` for a package, source or header that is not the pinned one.
    """
    listing_file = package / ".cargo-checksum.json"
    again = f"  fix: delete {package} and configure again"
    try:
        listing = json.loads(listing_file.read_text(encoding="utf-8"))
        package_hash, hashes = str(listing["package"]), dict(listing["files"])
    except (OSError, ValueError, KeyError) as error:
        raise FetchError(f"{listing_file}: not readable as cargo's list of hashes ({error})\n{again}") from error
    if package_hash != PACKAGE_SHA256:
        raise FetchError(
            f"{listing_file}: package SHA-256 is {package_hash}, pinned is {PACKAGE_SHA256}\n"
            f"  fix: this is not {PACKAGE} 0.1.0; see that {HERE / 'crate' / 'Cargo.lock'} is unchanged,"
            f" delete {package} and configure again"
        )
    wanted = sorted({*source_files(), *header_files(package)})
    for name in wanted:
        file = package / name
        if name not in hashes:
            raise FetchError(f"{file}: the package has no such file\n{again}")
        if not file.is_file():
            raise FetchError(f"{file}: missing\n{again}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != hashes[name]:
            raise FetchError(f"{file}: edited, its SHA-256 is not the one the package lists\n{again}")
    return len(wanted)


def fetch(out: Path) -> None:
    """Makes sure that `out/tfmicro` is the pinned package. Safe when several configure steps run at once."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / PACKAGE).is_dir():
            vendor(out)
        count = check(out / PACKAGE)
    print(f"TFLM sources: {PACKAGE} 0.1.0, {count} files have the pinned hashes")


def main() -> int:
    """Entry point: `fetch_tflm.py --out <build folder>`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that receives the package's folder")
    try:
        fetch(parser.parse_args().out)
    except FetchError as error:
        print(f"fetch_tflm.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
