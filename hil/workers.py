"""What pytest-xdist adds: `pytest -n N` runs the cases on N boards at once. Thin, like hil.plugin."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from hil.board.pool import Say
from hil.run import Crew, CrewLead, HilRun, ProgressFactory, Settings, WorkerRun

_FOLDER, _MISUSE = "hil_crew", "hil_misuse"


def is_lead(config: pytest.Config) -> bool:
    """Whether this process starts workers and runs no test itself."""
    return not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no"


def crew_of(config: pytest.Config) -> Crew | None:
    """The crew that this process is a worker of, None when it is none."""
    given = getattr(config, "workerinput", None)
    return None if given is None else Crew(Path(given[_FOLDER]), given["workerid"], given["workercount"])


def run_of(config: pytest.Config, settings: Settings, progress: ProgressFactory, say: Say) -> HilRun:
    """The run of this process, that of a worker when it is one."""
    crew = crew_of(config)
    if crew is None:
        return HilRun(settings, progress, say=say)
    return WorkerRun(settings, progress, crew=crew, say=say)


def tell_misuse(config: pytest.Config, text: str) -> bool:
    """Let the lead say it. False when this process is no worker, and has to say it itself."""
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is None:
        return False
    output[_MISUSE] = text
    return True


class LeadPlugin:
    """The hooks of the process that starts the workers; registered there only. `close` it on every exit path."""

    def __init__(self, settings: Settings) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hil-crew-"))  # for this user only
        self.lead = CrewLead(settings, Crew(self._folder, "lead", 1))
        self.misuse = ""

    def pytest_configure_node(self, node: Any) -> None:
        """Before a worker starts."""
        node.workerinput[_FOLDER] = str(self._folder)
        self.lead.workers = node.workerinput["workercount"]

    def pytest_xdist_node_collection_finished(self) -> None:
        """A worker has taken the output folder by now, when there is a case to run."""
        self.lead.join()

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker has ended; one that crashed left no output."""
        if error is not None:
            self.lead.lost_workers.append(str(node.gateway.id))
        self.misuse = self.misuse or getattr(node, "workeroutput", {}).get(_MISUSE, "")

    def close(self) -> None:
        self.lead.close()
        shutil.rmtree(self._folder, ignore_errors=True)
