"""Where things lie: the user's project, what hil brings along for it (the kit), and the user's cache.

The kit is `firmware/`, `boards/` and `docs/`. In a checkout of hil they lie beside the package, in an installed one
inside of it, where nothing may be written.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hil

DISTRIBUTION = "hil-tinyml"  # what pip calls it
_PACKAGE = Path(hil.__file__).resolve().parent
_KIT = "kit"  # folder of the package in a wheel (pyproject.toml, [tool.hatch.build.targets.wheel.sources])
# Any of them makes a folder a project.
_OF_A_PROJECT = ("golden_vectors", "boards", "release.toml", "quarantine.toml", "budget.toml")


def kit() -> Path:
    """The folder that holds firmware sources, board files and pages of this hil."""
    packed = _PACKAGE / _KIT
    return packed if packed.is_dir() else _PACKAGE.parent


def is_packed(root: Path) -> bool:
    """Whether a kit is part of an installed package, so that nothing may be built in it."""
    return root.name == _KIT and (root.parent / "__init__.py").is_file()


def project_of(start: Path, top: Path) -> Path:
    """The project that a command is given in: the nearest folder from `start` up to `top` that looks like one, else
    `top`. A repository may hold several.
    """
    within = [start, *start.parents]
    within = within[: within.index(top) + 1] if top in within else []
    return next((folder for folder in within if any((folder / name).exists() for name in _OF_A_PROJECT)), top)


def board_folders(*own: Path | None) -> list[Path]:
    """Where board files are looked for: folders of the user's first, then the kit."""
    return list(dict.fromkeys([*(folder for folder in own if folder is not None), kit() / "boards"]))


def cache_folder() -> Path:
    """What is kept from run to run on this machine; it may be removed at any time between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hil"


def pip_command(extra: str = "") -> str:
    """What installs hil's own Python packages, those of an optional extra with it."""
    if is_packed(kit()):
        return f"{sys.executable} -m pip install '{DISTRIBUTION}{f'[{extra}]' if extra else ''}'"
    return f"pip install -e '.[{extra}]'" if extra else "make bootstrap"


def pip_source() -> str:
    """Where hil's own Python packages come from, in a few words."""
    return f"pip install {DISTRIBUTION}" if is_packed(kit()) else "make bootstrap"


def environment_command() -> str:
    """What makes an environment with a newer Python."""
    if is_packed(kit()):
        return f"/path/to/newer/python3 -m venv .venv && .venv/bin/python -m pip install '{DISTRIBUTION}'"
    return "make distclean && make bootstrap PYTHON=/path/to/newer/python3"
