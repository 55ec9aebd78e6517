"""What an image was shown on a board that it wears or holds up: tried once, and kept with the image's hash.

One JSON file in the user's cache. Without it, or when it cannot be written, everything is simply tried again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from hil.project.places import cache_folder
from hil.session.state import SessionState

Section = TypeVar("Section")
Json = dict[str, Any]
_MOST = 200  # entries; the oldest go first


def once_per_image(
    run: SessionState,
    what: str,
    *,
    collect: Callable[[SessionState], Section],
    to_json: Callable[[Section], Json | None],
    from_json: Callable[[Mapping[str, Any], str], Section],
) -> Section:
    """`collect(run)`, or what it brought for this image before, on a board that wants such tests once an image.

    to_json: what is worth keeping, None for what must be tried again. from_json: is given that and the day.
    """
    if not run.device.board.once_per_image:
        return collect(run)
    key = f"{what} {run.device.board.config.kind} {run.image.sha256} {run.deadline_ticks}"
    if (known := _read().get(key)) is not None:
        with suppress(KeyError, TypeError, ValueError):  # another version wrote it
            return from_json(known["found"], str(known["on"]))
    found = collect(run)
    if (kept := to_json(found)) is not None:
        _keep(key, {"on": datetime.now(UTC).date().isoformat(), "found": kept})
    return found


def memory_file() -> Path:
    """Where it is kept: `$XDG_CACHE_HOME/hil/self-tests.json`."""
    return cache_folder() / "self-tests.json"


def _read() -> Json:
    try:
        known = json.loads(memory_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _keep(key: str, entry: Json) -> None:
    entries = {**{name: kept for name, kept in _read().items() if name != key}, key: entry}
    kept = dict(list(entries.items())[-_MOST:])
    file = memory_file()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(json.dumps(kept).encode())
        os.replace(part.name, file)
