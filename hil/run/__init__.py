"""One invocation of the harness: one board, one image, any number of cases, one output folder; by one process or by a
crew of them. Knows nothing of pytest.
"""

from hil.run.crew import Crew
from hil.run.lead import CrewLead
from hil.run.outcome import Refusal
from hil.run.run import HilRun, ProgressFactory
from hil.run.settings import Settings
from hil.run.worker import WorkerRun

__all__ = ["Crew", "CrewLead", "HilRun", "ProgressFactory", "Refusal", "Settings", "WorkerRun"]
