"""The state of one run of one case, and what a request to the device does to it when the firmware breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from hil.board.base import Progress
from hil.case.types import Case
from hil.contract.types import Section, VectorFault
from hil.device import Device
from hil.errors import BenchError, DeviceEnded, DeviceFault, DeviceReset, DeviceSilent
from hil.image.elf import Image
from hil.records import FaultReport, Record, RunRecords, Status
from hil.reference.compute import Stimuli
from hil.reference.models import CaseModels

MAX_FAULTS = 3  # after so many faults the rest is not run
NO_VECTOR = -1  # a fault while the harness's own probes ran
_BEHIND = "it broke behind the reply, before it took up the next request"
BREAKS = (DeviceFault, DeviceEnded, DeviceReset, DeviceSilent)  # the firmware broke, not the bench
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
    opening: list[tuple[int, Record]] = field(default_factory=list)  # vectors run before the first pass
    other_canaries: int = 0  # of records outside the first pass
    begun: dict[type[Section], object] = field(default_factory=dict)  # of each step that began beside the board
    broken: bool = False  # the firmware did not come back after a fault
    repeated: list[int] = field(default_factory=list)  # vectors whose request had to be repeated on the link
    _answered: int = NO_VECTOR  # what the last request was about that brought a reply

    @property
    def stopped(self) -> bool:
        return self.broken or len(self.faults) >= MAX_FAULTS

    def attempt(self, vector: int, action: Callable[[], Answer]) -> Answer | None:
        """The answer to one request, or None after a fault, reset or hang, which is noted; the board is running again
        then.

        What broke before the firmware took the request up belongs to the one before, and the request is made again.
        """
        counters, last = self.device.counters, self.device.last_answered
        repeats = counters.repeats
        try:
            with self._naming(vector):
                answer = action()
        except BREAKS as error:
            earlier = not error.begun and self.device.last_answered == last
            with self._naming(vector):
                status, report = self._what_broke(error)
            if not error.begun:
                report = replace(report, text=f"{_BEHIND}\n{report.text}")
            self._note_fault(self._answered if earlier else vector, status, report)
            self.restart()
            self.warm_up()
            return self.attempt(vector, action) if earlier and not self.stopped else None
        finally:
            if vector >= 0 and counters.repeats > repeats:
                self.repeated.append(vector)
        self._answered = vector
        return answer

    @contextmanager
    def _naming(self, vector: int) -> Iterator[None]:
        """Trouble of the bench says during which vector it came."""
        try:
            yield
        except BenchError as error:
            if not isinstance(error, BREAKS):
                own = "a window or scores that the harness made itself"
                error.add(f"while {f'vector {self.case.vectors.name(vector)}' if vector >= 0 else own} ran")
            raise

    def _what_broke(self, error: DeviceFault | DeviceEnded | DeviceReset | DeviceSilent) -> tuple[int, FaultReport]:
        """Status and report of a request that brought no reply."""
        report = self.device.board.postmortem()
        if isinstance(error, DeviceFault):
            return Status.FAULT, report
        if isinstance(error, DeviceEnded):
            return Status.RESET, FaultReport("the firmware ended", "unknown", str(error))
        if isinstance(error, DeviceReset):
            return Status.RESET, FaultReport("reset", "unknown", f"{error}\nsince the restart: {report.text}")
        return Status.HANG, FaultReport("hang", report.stage, f"{error}\n{report.text}", report.registers)

    def _note_fault(self, vector: int, status: int, report: FaultReport) -> None:
        """A vector that had its record by then keeps it."""
        self.faults.append(VectorFault(vector, status, report))
        if vector >= 0 and self.records.status[vector] == Status.NOT_RUN:
            self.records.status[vector] = status

    def restart(self) -> None:
        """Bring the firmware back, after a fault that is told of elsewhere. When it does not come, the run ends here,
        and that is a finding.
        """
        self._answered = NO_VECTOR
        try:
            self.device.restart()
        except (DeviceFault, DeviceEnded, DeviceSilent) as error:
            self.broken = True
            report = FaultReport("no restart", "start", f"{error}\n{self.device.board.postmortem().text}")
            self.faults.append(VectorFault(NO_VECTOR, Status.FAULT, report))

    def warm_up(self) -> None:
        """As before the first vector: the time of the window behind a start is compared with that of others, and must
        not be that of the first window after it.
        """
        told = {fault.vector for fault in self.faults}
        done = (int(row) for row in np.flatnonzero(self.records.status == Status.DONE) if int(row) not in told)
        for vector in islice(done, 1):
            for _ in range(self.case.contracts.warmup):
                if not self.stopped:
                    self.note_other(self.vector(vector, fresh=True))

    def vector(self, index: int, fresh: bool) -> Record | None:
        """Run one vector of the case; None when the firmware broke. fresh: a stream begins with it, what decide stage
        and model keep is forgotten first.
        """
        payload = self.case.vectors.payload(index)
        request = partial(self.device.run, payload, fresh=fresh, deadline_ticks=self.deadline_ticks)
        return self.attempt(index, request)

    def note_other(self, record: Record | None) -> None:
        """Damage to the arena's canaries in a run outside the first pass counts too."""
        if record is not None:
            self.other_canaries |= record.canaries
