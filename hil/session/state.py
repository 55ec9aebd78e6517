"""The state of one run of one case, and what a request to the device does to it when the firmware breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from hil.board.base import Progress
from hil.case.types import Case
from hil.contract.types import VectorFault
from hil.device import Device
from hil.errors import DeviceEnded, DeviceFault, DeviceReset, DeviceSilent
from hil.image.elf import Image
from hil.records import FaultReport, Record, RunRecords, Status
from hil.reference.compute import Stimuli
from hil.reference.models import CaseModels

MAX_FAULTS = 3  # after so many vectors without a record the rest is not run
NO_VECTOR = -1  # a fault while the harness's own probes ran
Answer = TypeVar("Answer")


@dataclass
class SessionState:
    """One run, while it goes on: what every step is given."""

    case: Case
    groups: list[list[int]]  # the vectors to run, those that belong together in one list
    lead: bool  # whether this share also does what is done once a case
    device: Device
    image: Image
    bundle: bytes  # as provisioned
    stimuli: Stimuli  # what the device should see, of every vector of the case
    models: CaseModels  # what says what the device should answer, to any tensor
    records: RunRecords
    deadline_ticks: int
    progress: Progress
    faults: list[VectorFault] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    other_canaries: int = 0  # of records outside the first pass
    broken: bool = False  # the firmware did not come back after a fault

    @property
    def stopped(self) -> bool:
        return self.broken or len(self.faults) >= MAX_FAULTS

    def attempt(self, vector: int, action: Callable[[], Answer]) -> Answer | None:
        """The answer to one request, or None after a fault, reset or hang, which is noted; the board is running again
        then.
        """
        board = self.device.board
        try:
            return action()
        except DeviceFault:
            status, report = Status.FAULT, board.postmortem()
        except DeviceEnded as error:
            status, report = Status.RESET, FaultReport("the firmware ended", "unknown", str(error))
        except DeviceReset as error:
            status, report = Status.RESET, FaultReport("reset", "unknown", f"{error}\n{board.postmortem().text}")
        except DeviceSilent as error:
            report = board.postmortem()
            status, report = Status.HANG, FaultReport("hang", report.stage, f"{error}\n{report.text}", report.registers)
        self.faults.append(VectorFault(vector, status, report))
        if vector >= 0 and self.records.status[vector] == Status.NOT_RUN:
            self.records.status[vector] = status
        self.restart()
        return None

    def restart(self) -> None:
        """Bring the firmware back, after a fault that is told of elsewhere. When it does not come, the run ends here,
        and that is a finding.
        """
        try:
            self.device.restart()
        except (DeviceFault, DeviceEnded, DeviceSilent) as error:
            self.broken = True
            report = FaultReport("no restart", "start", f"{error}\n{self.device.board.postmortem().text}")
            self.faults.append(VectorFault(NO_VECTOR, Status.FAULT, report))

    def vector(self, index: int, fresh: bool) -> Record | None:
        """Run one vector of the case; None when the firmware broke. fresh: forget the decision state first."""
        payload = self.case.vectors.payload(index)
        request = partial(self.device.run, payload, fresh=fresh, deadline_ticks=self.deadline_ticks)
        return self.attempt(index, request)

    def note_other(self, record: Record | None) -> None:
        """Damage to the arena's canaries in a run outside the first pass counts too."""
        if record is not None:
            self.other_canaries |= record.canaries
