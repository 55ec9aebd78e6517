"""One invocation by one process: each case is run when its first verdict is asked for, judged, and written down."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hil.baseline.file import baseline_of
from hil.board.base import Board
from hil.board.config import BoardConfig
from hil.board.pool import Say
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import Check, CheckResult
from hil.errors import BoardBroken, CaseError, UsageError
from hil.image.elf import OWN_KERNELS_SYMBOL, Image
from hil.image.tflm import UPSTREAM
from hil.model.check import kernels_of
from hil.model.kernels.library import KernelLibrary
from hil.project.quarantine import Quarantine, load_quarantine
from hil.records import RunRecords
from hil.reference.compute import checked_models
from hil.reference.models import CaseModels
from hil.report.run_json import CaseReport, Json, case_document, clock_document, records_archive, unreadable_document
from hil.run.document import RunClock, run_json
from hil.run.equipment import Equipment, print_it
from hil.run.names import file_stem, title
from hil.run.outcome import Attempt, Outcome, Refusal, devices_of, seconds
from hil.run.settings import Settings
from hil.runfile import RUN_FILE
from hil.session import Progress, Share, conclude, merge_records, run_share, whole
from hil.session.room import bundle_of, require_known_stages

ProgressFactory = Callable[[str], AbstractContextManager[Progress]]


def no_progress(_: str) -> AbstractContextManager[Progress]:
    """For a run that nobody watches."""
    return nullcontext(lambda *_: None)


class HilRun:
    """Opens what is needed when it is needed, keeps one board for all cases, and releases everything in `close`."""

    def __init__(
        self,
        settings: Settings,
        progress: ProgressFactory = no_progress,
        equipment: Equipment | None = None,
        say: Say = print_it,
    ) -> None:
        """Nothing is read or started yet. equipment: of a run that does not have its own. say: told who holds a board
        that this run waits for.
        """
        self.settings, self._progress = settings, progress
        self._equipment = equipment or Equipment(settings, say)
        self._cases: list[Case] = []
        self._quarantine = Quarantine()
        self._outcomes: dict[Path, Outcome] = {}
        self._refused: dict[Path, UsageError] = {}
        self._checked: dict[Path, CaseModels] = {}  # open from the check of the first case on, until it runs
        self._said: set[Path] = set()  # cases of which it was said what broke their run
        self.board_broken: BoardBroken | None = None  # why nothing more is run on the board
        self._since = RunClock()

    @property
    def config(self) -> BoardConfig:
        """The board's file. Raises UsageError for an unknown board or a wrong file."""
        return self._equipment.config

    @property
    def kernels(self) -> KernelLibrary:
        """What the kernels of the image can do, known before it is built."""
        return kernels_of(self._equipment.engine)

    def image(self) -> Image:
        """The image under test: the one named, else built from the sources. Raises BuildError or UsageError."""
        return self._equipment.image()

    def prepare(self, cases: Sequence[Case] = (), others: Sequence[Case] = ()) -> None:
        """Check the tools of board and build, and the quarantine; then take the output folder, so that misuse leaves
        the last results alone. Raises UsageError. A case of `cases` whose baseline or models do not do is refused, and
        the others are run nevertheless. others: those of tests written in Python, for which there has to be an image.
        """
        self._equipment.larger_image = any(case.model.larger_image for case in (*cases, *others))
        self._equipment.check()
        if self.settings.quarantine is not None:
            self._quarantine = load_quarantine(self.settings.quarantine)
            self._quarantine.refuse_unknown(_checks_by_name(cases))
        self._cases = list(cases)
        self._equipment.take_output()
        for case in cases:
            if error := self._refusal(case):
                self._refused[case.path] = error

    def refuse(self, refusal: Refusal) -> None:
        """Report a case.toml that is no case, and raise its error."""
        if refusal.path not in self._outcomes:
            self._outcomes[refusal.path] = self._unreadable(refusal)
        raise refusal.error

    # ---- what is asked of a case

    def title(self, case: Case) -> str:
        """What messages call the case, so that it is told from every other one of this run."""
        return title(case, self._cases)

    def result(self, case: Case, check: Check) -> CheckResult:
        """The verdict of one check; the first call for a case runs it. Raises what its run raised, BenchError when the
        bench broke.
        """
        outcome = self._outcome(case)
        if outcome.error is not None:
            raise outcome.error
        return outcome.results[check.id]

    def facts(self, case: Case) -> Json:
        """The case as run.json will have it; it has run by then."""
        return self._outcomes[case.path].document

    def clock(self, case: Case) -> Json | None:
        """The clock of the board that ran the case, as run.json will have it."""
        return self._outcomes[case.path].clock

    def quarantined(self, case: Case) -> dict[str, dict[str, str]]:
        """Checks of the case that may fail on this board today, with reason, issue and last day."""
        return self._quarantine.of(case.name, self.config.name, datetime.now(UTC).date())

    def broken(self, case: Case) -> Exception | None:
        """What ended this case's run before it was done, when that was said before: `result` raises it once. The first
        call for a case runs it.
        """
        outcome = self._outcome(case)
        return outcome.error if outcome.ran and outcome.error is not None and not self._says(case) else None

    def not_run(self, case: Case) -> Exception | None:
        """Why this case had no board to run on, which is reported; None when it ran, or can."""
        if self.board_broken is None and case.path not in self._outcomes:
            return None
        outcome = self._outcome(case)
        return None if outcome.ran else outcome.error

    def _says(self, case: Case) -> bool:
        """Whether what broke this case's run is still to be said, and by this process."""
        first = case.path not in self._said
        self._said.add(case.path)
        return first

    # ---- the board for tests written in Python

    def python_provision(self, case: Case) -> Board:
        """The board for a test written in Python, provisioned with `case`. Raises BenchError."""
        board = self.python_board()
        try:
            image = self.image()
            board.provision(image, bundle_of(case, board, image))
        except BoardBroken as error:
            self.board_broken = error
            raise
        return board

    def python_board(self) -> Board:
        """The board for tests written in Python; the firmware's log goes to a file of their own."""
        board = self._equipment.board()
        log = (self._equipment.folder / self._equipment.log_name(f"python.{self.config.name}")).resolve()
        if board.log != log:
            board.begin_log(log)
        return board

    # ---- running and judging

    def _outcome(self, case: Case) -> Outcome:
        if case.path not in self._outcomes:
            self._outcomes[case.path] = self._run(case)
        return self._outcomes[case.path]

    def _refusal(self, case: Case) -> UsageError | None:
        """Why a case that could be read cannot be run all the same."""
        try:
            baseline_of(case, self.config.name)
            require_known_stages(case, self.config)
            self._check_kernels(case)
            models = checked_models(case)
        except UsageError as error:
            return error
        if self._checked:  # no more than one case's stay open
            models.close()
        else:
            self._checked[case.path] = models
        return None

    def _check_kernels(self, case: Case) -> None:
        """Raise CaseError when the image that was named lacks kernels of the case; one that is built has them."""
        model = case.model
        wanted = model.larger_image and self._equipment.engine != UPSTREAM
        if wanted and self.settings.image is not None and not self.image().has_symbol(OWN_KERNELS_SYMBOL):
            lacks = f"computes {', '.join(model.own_operators)} of this model wrong, or not at all"
            if not model.own_operators:
                lacks = "takes one input and one output, and this model has more"
            problem = f"the image {self.settings.image} {lacks}"
            fix = "leave out --hil-image, or name the image of the CMake target hil_firmware_kernels (docs/models.md)"
            raise CaseError(case.model.path, "", problem, fix)

    def _unreadable(self, refusal: Refusal) -> Outcome:
        document = unreadable_document(refusal.path, refusal.name, str(refusal.error))
        return Outcome(document, error=refusal.error)

    def _refused_outcome(self, case: Case, error: UsageError) -> Outcome:
        report = CaseReport(case, (), error=str(error), refused=True, title=self.title(case))
        return Outcome(case_document(report), error=error)

    def _run(self, case: Case) -> Outcome:
        if error := self._refused.get(case.path):
            return self._refused_outcome(case, error)
        return self._conclude(case, [self._attempt(case, whole(case))])

    def _attempt(self, case: Case, share: Share) -> Attempt:
        attempt = Attempt(time.monotonic(), share)
        if self.board_broken is not None:
            return replace(attempt, error=self.board_broken, ran=False)
        records: list[RunRecords] = []
        log = self._share_log(case, share)
        try:
            ready = self._checked.pop(case.path, None)
            with self._progress(self.title(case)) as progress, ready or nullcontext():
                bundle = self.settings.given_bundle()
                board = self._equipment.board()
                attempt = replace(attempt, device=self._equipment.device)
                board.begin_log(log.resolve())
                keep = records.append
                part = run_share(
                    case, share, board, self.image(), bundle=bundle, progress=progress, keep=keep, models=ready
                )
                return replace(attempt, part=part)
        except Exception as error:
            self.board_broken = error if isinstance(error, BoardBroken) else None
            return replace(attempt, error=error, records=records[0] if records else None)
        except KeyboardInterrupt:
            self._interrupted(case, replace(attempt, records=records[0] if records else None))
            raise

    def _interrupted(self, case: Case, cut: Attempt) -> None:
        """Keep what the user did not wait for."""
        self._outcomes[case.path] = Outcome(self._cut_short(case, [cut], "interrupted"))

    def _conclude(self, case: Case, attempts: Sequence[Attempt]) -> Outcome:
        """Judge what all shares of a case left behind."""
        log = self._gather_logs(case, attempts)
        parts = [attempt.part for attempt in attempts if attempt.part is not None]
        clocks = [part.clock for part in parts] or [self._equipment.clock]
        try:
            for attempt in attempts:
                if attempt.error is not None:
                    raise attempt.error
            bundle, board = self.settings.given_bundle(), self._equipment.board()
            with self._progress(case.name) as progress:
                result = conclude(case, parts, board, self.image(), bundle=bundle, progress=progress)
        except Exception as error:
            ran = all(attempt.ran for attempt in attempts)
            text = f"{type(error).__name__}: {error}"
            document = self._cut_short(case, attempts, text if ran else f"not run: {text}")
            return Outcome(document, clock_document(clocks[0]), error, ran=ran)
        evidence = replace(result.evidence, baseline=baseline_of(case, self.config.name))
        results = [_titled(judge(check, evidence), self.title(case)) for check in checks_for(case)]
        archive = records_archive(case, evidence.records, evidence)
        report = CaseReport(
            case,
            results,
            evidence,
            self.title(case),
            result.link,
            result.inferences,
            seconds(attempts),
            records_file=self._equipment.write(f"{self._stem(case)}.npz", archive).name,
            records_sha256=hashlib.sha256(archive).hexdigest(),
            log_file=log,
            devices=devices_of(attempts),
            quarantine=self.quarantined(case),
        )
        return Outcome(
            case_document(report), clock_document(clocks[0]), results={result.check: result for result in results}
        )

    def _cut_short(self, case: Case, attempts: Sequence[Attempt], error: str) -> Json:
        """The case in run.json when its run did not come to its end. The records so far are kept."""
        stem = self._stem(case)
        report = CaseReport(
            case,
            (),
            title=self.title(case),
            seconds=seconds(attempts),
            error=error,
            log_file=f"{stem}.log",
            devices=devices_of(attempts),
        )
        found = [(attempt.share, attempt.part.records if attempt.part else attempt.records) for attempt in attempts]
        kept = [(share, records) for share, records in found if records is not None]
        if kept:
            archive = records_archive(case, merge_records(case, kept))
            name = self._equipment.write(f"{stem}.npz", archive).name
            report = replace(report, records_file=name, records_sha256=hashlib.sha256(archive).hexdigest())
        return case_document(report)

    def _stem(self, case: Case) -> str:
        return file_stem(case, self._cases, self.config.name)

    def _share_log(self, case: Case, share: Share) -> Path:
        """Where the firmware's log goes while a share runs."""
        return self._equipment.folder / f"{self._stem(case)}.log"

    def _gather_logs(self, case: Case, attempts: Sequence[Attempt]) -> str:
        """Name of the one log of the case."""
        return f"{self._stem(case)}.log"

    # ---- after

    def finish(self, interrupted: bool) -> Path | None:
        """Write run.json when a case ran, or was about to; returns its path."""
        if not self._equipment.has_output:
            return None
        board = self._equipment.opened_board
        clock = clock_document(board.clock) if board else None
        outcomes = list(self._outcomes.values())
        text = run_json(outcomes, self.settings, self.config, clock, self._since, interrupted=interrupted)
        return self._equipment.write(RUN_FILE, text)

    def close(self) -> None:
        """Release board, output folder and interpreters. Safe to call twice."""
        try:
            self._equipment.close()
        finally:
            while self._checked:
                self._checked.popitem()[1].close()


def _titled(result: CheckResult, title: str) -> CheckResult:
    """The result with findings that name the case so that it is told from others."""
    return replace(result, findings=tuple(replace(finding, case=title) for finding in result.findings))


def _checks_by_name(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Ids of the checks of all cases of a name."""
    found: dict[str, list[str]] = {}
    for case in cases:
        found.setdefault(case.name, []).extend(check.id for check in checks_for(case))
    return found
