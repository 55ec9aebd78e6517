"""The process that a crew of workers was started from: holds the output folder for them and writes run.json."""

from __future__ import annotations

from pathlib import Path

from hil.report.outdir import OutDir
from hil.run.crew import Crew
from hil.run.document import RunClock, run_json
from hil.run.names import HELD, OUTCOME
from hil.run.outcome import Outcome
from hil.run.settings import Settings
from hil.runfile import RUN_FILE


class CrewLead:
    """Runs no case itself. crew: its view of the folder that the workers share."""

    def __init__(self, settings: Settings, crew: Crew) -> None:
        self.settings, self._crew = settings, crew
        self.workers = 1
        self.lost_workers: list[str] = []  # names of those that crashed
        self._out: OutDir | None = None
        self._since = RunClock()

    def join(self) -> None:
        """Hold the output folder too, once a worker has taken it."""
        if self._out is None and self._crew.result(HELD):
            with self._crew.alone("output"):
                self._out = OutDir(self.settings.out, self._crew.folder.name)

    def finish(self, interrupted: bool) -> Path | None:
        """Write run.json when the workers ran a case, or were about to; returns its path."""
        if self._out is None:
            return None
        outcomes: list[Outcome] = self._crew.results(OUTCOME)
        clock = next((outcome.clock for outcome in outcomes if outcome.clock), None)
        text = run_json(
            outcomes,
            self.settings,
            self.settings.board_config(),
            clock,
            self._since,
            interrupted=interrupted,
            workers=self.workers,
            lost_workers=self.lost_workers,
        )
        return self._out.write(RUN_FILE, text)

    def close(self) -> None:
        """Let go of the output folder. Safe to call twice."""
        out, self._out = self._out, None
        if out is not None:
            out.close()
