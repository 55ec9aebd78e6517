"""One invocation by several processes: what a worker does otherwise than a process that runs all cases alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from hashlib import sha256
from pathlib import Path

from hil.board.base import Board
from hil.board.config import BoardConfig, kind_module
from hil.board.pool import Held, Say, take
from hil.case.types import Case
from hil.errors import BoardBroken, UsageError
from hil.report.outdir import OutDir
from hil.run.crew import Crew
from hil.run.equipment import Equipment, print_it
from hil.run.names import (
    BROKEN,
    BROKEN_DEVICE,
    HELD,
    PROCESS,
    models_piece,
    outcome_piece,
    refusal_piece,
    said_piece,
    share_piece,
)
from hil.run.outcome import Attempt, Outcome, Refusal
from hil.run.run import HilRun, ProgressFactory, no_progress
from hil.run.settings import Settings
from hil.session import Share, case_cost, plan


class _CrewEquipment(Equipment):
    """The image is built by one worker for all, the output folder is held by all, a log is a worker's own."""

    def __init__(self, settings: Settings, crew: Crew, say: Say) -> None:
        super().__init__(settings, say)
        self._crew = crew

    def _built(self) -> Path:
        return self._crew.once("image", super()._built)

    def log_name(self, stem: str) -> str:
        """File name of a log that this process writes alone."""
        return f"{stem}.{self._crew.name}.log"

    def take_output(self) -> None:
        """Keep other runs out of it. Raises UsageError."""
        with self._crew.alone("output"):
            self._out = OutDir(self.settings.out, self._crew.folder.name)
        self._crew.offer(HELD, lambda: True)

    def _take(self) -> Held:
        """A device that works, as far as the crew knows; the others of the crew are waited for, however long."""
        self._crew.offer(f"{PROCESS}{os.getpid()}", os.getpid)
        return take(
            self.config,
            self.pool,
            self._say,
            broken=lambda: self._crew.results(BROKEN_DEVICE),
            ours=lambda: frozenset(self._crew.results(PROCESS)) - {os.getpid()},
        )

    def give_up_device(self) -> None:
        """Let the others of the crew know that the device which this process holds is broken."""
        if name := self.device:
            piece = f"{BROKEN_DEVICE}{sha256(name.encode()).hexdigest()[:16]}"
            self._crew.offer(piece, lambda: name)

    @property
    def boards(self) -> int:
        """How many workers can have a board at the same time."""
        return min(len(self.pool), self._crew.workers) if self.pool else self._crew.workers if self.many_boards else 1

    @property
    def many_boards(self) -> bool:
        """Whether each worker can have a board of its own, as it can when the board is a program."""
        if self.pool:
            return len(self.pool) >= self._crew.workers
        one_board: Callable[[BoardConfig], bool] = getattr(kind_module(self.config), "one_board", lambda _: False)
        return not one_board(self.config)


class WorkerRun(HilRun):
    """A run that shares its cases with the rest of a crew; CrewLead writes what came of them."""

    def __init__(
        self, settings: Settings, progress: ProgressFactory = no_progress, *, crew: Crew, say: Say = print_it
    ) -> None:
        self._shared = _CrewEquipment(settings, crew, say)
        super().__init__(settings, progress, self._shared)
        self._crew = crew
        self._helped = self._bench_held = False
        self._bench = ExitStack()

    def python_board(self) -> Board:
        """The only board of a bench, or the device of a pool, stays with the worker that has tests written in Python
        until it ends.
        """
        if not self._shared.many_boards and not self._bench_held:
            if not self._shared.pool:
                self._bench.enter_context(self._crew.alone("bench"))
            self._bench_held = True
        return super().python_board()

    def _run(self, case: Case) -> Outcome:
        """Help with everything first, so that no worker waits while there is something to do."""
        outcome = outcome_piece(case, self._cases)
        if error := self._refused.get(case.path):
            return self._crew.once(outcome, lambda: self._refused_outcome(case, error))
        with self._turn():
            if not self._helped:
                self._help()
            if self.board_broken is not None and not self._all_broken(self.board_broken):
                done: Outcome | None = self._crew.result(outcome)
                return done or Outcome({}, error=self.board_broken, ran=False)  # for others to run: nothing is said
            attempts = [
                self._crew.once(share_piece(case, self._cases, share), partial(self._attempt, case, share))
                for share in self._plan(case)
            ]
            return self._crew.once(outcome, partial(self._conclude, case, attempts))

    def _refusal(self, case: Case) -> UsageError | None:
        """The models of a case are tried by one worker for all."""
        text = self._crew.once(
            models_piece(case, self._cases), lambda: str(super(WorkerRun, self)._refusal(case) or "")
        )
        return UsageError(text) if text else None

    def _says(self, case: Case) -> bool:
        """One worker says it for all."""
        me = self._crew.name
        return super()._says(case) and self._crew.once(said_piece(case, self._cases), lambda: me) == me

    def _unreadable(self, refusal: Refusal) -> Outcome:
        return self._crew.once(refusal_piece(refusal.path), lambda: super(WorkerRun, self)._unreadable(refusal))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Programs are as many boards as there are workers; a bench has one, and the workers use it in turns. Of a pool
        a worker takes a device before any piece of work, so that nobody waits for a piece whose worker has to wait.
        """
        kept = self._shared.many_boards or self._bench_held
        with nullcontext() if kept or self._shared.pool else self._crew.alone("bench"):
            try:
                if self._shared.pool and self.board_broken is None:
                    self._take_device()
                yield
            finally:
                if self.board_broken is not None:
                    self._shared.give_up_device()
                if not kept or (self._shared.pool and self.board_broken is not None):
                    self._shared.close_board()

    def _take_device(self) -> None:
        try:
            self._shared.board()
        except BoardBroken as error:
            self.board_broken = error

    def _help(self) -> None:
        """Run what no other worker has taken, the longest case first."""
        self._helped = True
        for case in sorted(self._cases, key=case_cost, reverse=True):
            for share in [] if case.path in self._refused else self._plan(case):
                if self.board_broken is not None:
                    return
                self._crew.offer(share_piece(case, self._cases, share), partial(self._attempt, case, share))

    def _all_broken(self, error: BoardBroken) -> bool:
        """Whether no worker has a board left, this one's being broken: then what is open stays undone."""
        self._crew.offer(f"{BROKEN}{self._crew.name}", lambda: str(error))
        return len(self._crew.results(BROKEN)) >= self._crew.workers

    def _plan(self, case: Case) -> list[Share]:
        return plan(case, self._shared.boards)

    def _interrupted(self, case: Case, cut: Attempt) -> None:
        """Nothing to report: of several workers none has the whole case."""

    def _share_log(self, case: Case, share: Share) -> Path:
        return self._crew.folder / f"{self._stem(case)}.{share.number}.log"

    def _gather_logs(self, case: Case, attempts: Sequence[Attempt]) -> str:
        """One log of the case, made of those of its shares; returns its name."""
        logs = [self._share_log(case, attempt.share) for attempt in attempts]
        content = b"".join(log.read_bytes() for log in logs if log.exists())
        return self._shared.write(f"{self._stem(case)}.log", content).name

    def finish(self, interrupted: bool) -> None:
        """The lead writes run.json."""

    def close(self) -> None:
        """Release board, bench and output folder. Safe to call twice."""
        try:
            super().close()
        finally:
            self._bench.close()
