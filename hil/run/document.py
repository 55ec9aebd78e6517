"""Writes run.json of one invocation, whoever ran its cases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from hil.board.config import BoardConfig
from hil.project.git import Source, source_of
from hil.project.places import is_packed, kit
from hil.report.run_json import Json, dump, run_document
from hil.run.names import kept_image
from hil.run.outcome import Outcome
from hil.run.settings import Settings


class RunClock:
    """When an invocation began."""

    def __init__(self) -> None:
        self._began, self.started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")

    def seconds(self) -> float:
        """Host time since then."""
        return time.monotonic() - self._began


def run_json(
    outcomes: Sequence[Outcome],
    settings: Settings,
    config: BoardConfig,
    clock: Json | None,
    since: RunClock,
    *,
    interrupted: bool,
    workers: int = 1,
    lost_workers: Sequence[str] = (),
) -> bytes:
    """The file's content. clock: of the board, as run.json has it; lost_workers: names of those that crashed."""
    return dump(
        run_document(
            [outcome.document for outcome in outcomes],
            config,
            clock,
            interrupted=interrupted,
            started=since.started,
            seconds=since.seconds(),
            workers=workers,
            lost_workers=lost_workers,
            source=_source(settings),
            firmware=_firmware(settings, config),
        )
    )


def _source(settings: Settings) -> Json | None:
    """What git says of the sources of an image that was built here. Those of an installed hil are in no git: its
    version stands for them.
    """
    found = Source() if settings.image is not None or is_packed(kit()) else source_of(kit())
    return {"commit": found.commit, "changed": bool(found.changed)} if found.commit else None


def _firmware(settings: Settings, config: BoardConfig) -> Json:
    """Whether the image was given, and the copy of it that the run keeps: one that was built here and no other."""
    kept = kept_image(config.target)
    built = settings.image is None and (settings.out / kept).is_file()
    return {"given": settings.image is not None, "kept": kept if built else ""}
