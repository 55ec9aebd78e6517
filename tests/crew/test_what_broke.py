"""What broke in a worker or in a share of a case reaches run.json: the rest is never taken for the whole."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from native_session import imu_motion, with_vectors

from hil.board.native import HOST_TIME
from hil.errors import BoardError
from hil.run.crew import Crew
from hil.run.lead import CrewLead
from hil.run.names import HELD
from hil.run.outcome import Attempt
from hil.run.run import HilRun
from hil.run.settings import Settings
from hil.session import whole

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("native", tmp_path / "out", (PROJECT / "boards",))


def test_a_worker_that_was_lost_stands_in_run_json_and_takes_its_verdict(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "crew"
    folder.mkdir()
    crew = Crew(folder, "lead", 2)
    crew.once(HELD, lambda: True)
    lead = CrewLead(settings, crew)
    try:
        lead.join()
        lead.lost_workers.append("gw1")
        file = lead.finish(interrupted=False)
    finally:
        lead.close()
    assert file is not None
    document = json.loads(file.read_text(encoding="utf-8"))
    assert (document["lost_workers"], document["verdict"]) == (["gw1"], "error")


def test_a_share_that_broke_is_what_its_case_says(settings: Settings, tmp_path: Path) -> None:
    """Whatever the other shares brought."""
    case = with_vectors(imu_motion(), [0, 1])
    equipment = SimpleNamespace(folder=tmp_path, config=SimpleNamespace(name="native"), clock=HOST_TIME)
    run = HilRun(settings, equipment=cast(Any, equipment))
    broken = BoardError("provision: the probe is gone")
    outcome = run._conclude(case, [Attempt(0.0, whole(case), error=broken)])
    assert outcome.error is broken
    assert outcome.document["verdict"] == "error"
    assert "the probe is gone" in outcome.document["error"]
