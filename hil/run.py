"""One invocation of the harness: one board, one image, any number of cases, one output folder. Knows nothing of
pytest.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from hil.baseline.file import baseline_of
from hil.board.base import Board
from hil.board.config import BoardConfig, kind_module, load_board
from hil.bundle import build_bundle
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import Check, CheckResult
from hil.crew import Crew
from hil.errors import BoardBroken, UsageError
from hil.gate.quarantine import Quarantine, load_quarantine
from hil.gate.source import Source, source_of
from hil.image.build import build, check_programs
from hil.image.elf import Image
from hil.records import RunRecords
from hil.reference.compute import check_models
from hil.report.outdir import OutDir
from hil.report.run_json import (
    CaseReport,
    Json,
    case_document,
    clock_document,
    dump,
    records_archive,
    run_document,
)
from hil.runfile import RUN_FILE
from hil.session import Part, Progress, Share, case_cost, conclude, merge_records, plan, run_share, whole

PROJECT = Path(__file__).resolve().parent.parent
# Among the pieces of work of a crew: what came of each case; the output folder; workers without a board.
_OUTCOME, _HELD, _BROKEN = "outcome.", "held", "broken."
ProgressFactory = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Settings:
    """What the user asked for. image and bundle replace what would be built; board_folders are searched in order.
    options: BENCH_OPTIONS of hil.board.config; quarantine: file of checks that are known to fail.
    """

    board: str
    out: Path
    board_folders: tuple[Path, ...]
    image: Path | None = None
    bundle: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    quarantine: Path | None = None


@dataclass
class _Outcome:
    """What became of one case: its part of run.json, and the bench's failure if there was one."""

    document: Json
    clock: Json | None = None  # of the board, as run.json has it
    error: Exception | None = None
    ran: bool = True  # False: the board was broken before its turn came
    results: dict[str, CheckResult] = field(default_factory=dict)


@dataclass
class _Attempt:
    """A share of a case that was run, or tried. part: None when `error` ended it; records: what there is then."""

    began: float  # host seconds of a clock that all processes share
    share: Share
    part: Part | None = None
    error: Exception | None = None
    ran: bool = True
    records: RunRecords | None = None


class HilRun:
    """Opens what is needed when it is needed, keeps one board for all cases, and releases everything in `close`."""

    def __init__(
        self,
        settings: Settings,
        progress: ProgressFactory = lambda _: nullcontext(lambda *_: None),
        crew: Crew | None = None,
    ) -> None:
        """Nothing is read or started yet. crew: the workers that this run is one of; `gather_run` ends such a run."""
        self.settings, self._progress, self._crew = settings, progress, crew
        self._board: Board | None = None
        self._image: Image | None = None
        self._out: OutDir | None = None
        self._cases: list[Case] = []
        self._quarantine = Quarantine()
        self._outcomes: dict[Path, _Outcome] = {}
        self.board_broken: BoardBroken | None = None  # why nothing more is run on the board
        self._helped = self._bench_held = False
        self._bench = ExitStack()
        self._began, self._started = time.monotonic(), now()

    # ---- before anything runs

    @cached_property
    def config(self) -> BoardConfig:
        """The board's file. Raises UsageError for an unknown board or a wrong file."""
        config = load_board(self.settings.board, list(self.settings.board_folders))
        return config.model_copy(update={"options": {**config.options, **self.settings.options}})

    def prepare(self, cases: Sequence[Case] = ()) -> None:
        """Check the tools of board and build, quarantine and baselines, and that both references take the models of
        `cases`; then take the output folder, so that misuse leaves the last results alone. Raises UsageError.
        """
        board = self.board()
        if self.settings.image is None:
            if not (PROJECT / "firmware").is_dir():
                raise UsageError("no firmware sources beside the package\n  fix: name an image with --hil-image=ELF")
            check_programs(self.config.target)
        else:
            board.check_image(self.image())
        if self.settings.quarantine is not None:
            self._quarantine = load_quarantine(self.settings.quarantine)
            self._quarantine.refuse_unknown({case.name: [check.id for check in checks_for(case)] for case in cases})
        for case in cases:
            check_models(case)
            baseline_of(case, self.config.name)
        self._cases = list(cases)
        if self._crew is None:
            self._out = OutDir(self.settings.out)
        else:
            with self._crew.alone("output"):
                self._out = OutDir(self.settings.out, self._crew.folder.name)
            self._crew.offer(_HELD, lambda: True)

    def image(self) -> Image:
        """The image under test: the one named, else built from the sources. Raises BuildError or UsageError."""
        if self._image is None:
            path = self.settings.image
            if path is None:
                path = self._built() if self._crew is None else self._crew.once("image", self._built)
            self._image = Image(path)
        return self._image

    def _built(self) -> Path:
        """A copy, so that another build in this checkout does not change the image under a run."""
        target, folder = self.config.target, self._folder()
        return build(target, PROJECT, log=folder / f"build.{target}.log", copy_to=folder / f"{target}.elf")

    def board(self) -> Board:
        """The one board of this run, opened on first use. Raises MissingTool or UsageError."""
        if self._board is None:
            log = self._folder() / self._log_name(self.config.name)
            board: Board = kind_module(self.config).open_board(self.config, log.resolve())
            self._board = board
        return self._board

    # ---- running and judging

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
        """What ended this case's run before it was done, if anything did."""
        outcome = self._outcomes.get(case.path)
        return outcome.error if outcome else None

    def not_run(self, case: Case) -> Exception | None:
        """Why this case had no board to run on, which is reported; None when it ran, or can."""
        if self.board_broken is None and case.path not in self._outcomes:
            return None
        outcome = self._outcome(case)
        return None if outcome.ran else outcome.error

    def python_provision(self, case: Case) -> Board:
        """The board for a test written in Python, provisioned with `case`. Raises BenchError."""
        board = self.python_board()
        try:
            board.provision(self.image(), build_bundle(case))
        except BoardBroken as error:
            self.board_broken = error
            raise
        return board

    def python_board(self) -> Board:
        """The board for tests written in Python; the firmware's log goes to a file of their own.

        The only board of a bench stays with the worker that has such tests until it ends.
        """
        if self._crew is not None and not self._many_boards and not self._bench_held:
            self._bench.enter_context(self._crew.alone("bench"))
            self._bench_held = True
        board = self.board()
        log = (self._folder() / self._log_name(f"python.{self.config.name}")).resolve()
        if board.log != log:
            board.begin_log(log)
        return board

    def _outcome(self, case: Case) -> _Outcome:
        if case.path not in self._outcomes:
            self._outcomes[case.path] = self._run(case) if self._crew is None else self._run_with(self._crew, case)
        return self._outcomes[case.path]

    def _run(self, case: Case) -> _Outcome:
        return self._conclude(case, [self._attempt(case, whole(case))])

    def _run_with(self, crew: Crew, case: Case) -> _Outcome:
        """Help with everything first, so that no worker waits while there is something to do."""
        with self._turn(crew):
            if not self._helped:
                self._help(crew)
            if self.board_broken is not None and not self._all_broken(crew, self.board_broken):
                done: _Outcome | None = crew.result(f"{_OUTCOME}{self._piece(case)}")
                return done or _Outcome(
                    {}, error=self.board_broken, ran=False
                )  # for others to run: nothing is said of it
            attempts = [
                crew.once(self._share_piece(case, share), partial(self._attempt, case, share))
                for share in self._plan(crew, case)
            ]
            return crew.once(f"{_OUTCOME}{self._piece(case)}", partial(self._conclude, case, attempts))

    @contextmanager
    def _turn(self, crew: Crew) -> Iterator[None]:
        """Programs are as many boards as there are workers; a bench has one, and the workers use it in turns."""
        if self._many_boards or self._bench_held:
            yield
            return
        with crew.alone("bench"):
            try:
                yield
            finally:
                self._close_board()

    def _help(self, crew: Crew) -> None:
        """Run what no other worker has taken, the longest case first."""
        self._helped = True
        for case in sorted(self._cases, key=case_cost, reverse=True):
            for share in self._plan(crew, case):
                if self.board_broken is not None:
                    return
                crew.offer(self._share_piece(case, share), partial(self._attempt, case, share))

    def _all_broken(self, crew: Crew, error: BoardBroken) -> bool:
        """Whether no worker has a board left, this one's being broken: then what is open stays undone."""
        crew.offer(f"{_BROKEN}{crew.name}", lambda: str(error))
        return len(crew.results(_BROKEN)) >= crew.workers

    def _plan(self, crew: Crew, case: Case) -> list[Share]:
        return plan(case, crew.workers if self._many_boards else 1)

    @property
    def _many_boards(self) -> bool:
        """Whether each worker can have a board of its own, as it can when the board is a program."""
        one_board: Callable[[BoardConfig], bool] = getattr(kind_module(self.config), "one_board", lambda _: False)
        return not one_board(self.config)

    def _attempt(self, case: Case, share: Share) -> _Attempt:
        attempt = _Attempt(time.monotonic(), share)
        if self.board_broken is not None:
            return replace(attempt, error=self.board_broken, ran=False)
        records: list[RunRecords] = []
        log = self._share_log(case, share)
        try:
            with self._progress(case.name) as progress:
                bundle = self.settings.bundle.read_bytes() if self.settings.bundle else None
                board = self.board()
                board.begin_log(log.resolve())
                keep = records.append
                part = run_share(case, share, board, self.image(), bundle=bundle, progress=progress, keep=keep)
                return replace(attempt, part=part)
        except Exception as error:
            self.board_broken = error if isinstance(error, BoardBroken) else None
            return replace(attempt, error=error, records=records[0] if records else None)
        except KeyboardInterrupt:
            if self._crew is None:  # of several workers none has the whole case
                cut = replace(attempt, records=records[0] if records else None)
                self._outcomes[case.path] = _Outcome(self._cut_short(case, [cut], "interrupted"))
            raise

    def _conclude(self, case: Case, attempts: Sequence[_Attempt]) -> _Outcome:
        """Judge what all shares of a case left behind."""
        log = self._gather_logs(case, attempts)
        parts = [attempt.part for attempt in attempts if attempt.part is not None]
        clocks = [part.clock for part in parts] or [self.board().clock]
        try:
            for attempt in attempts:
                if attempt.error is not None:
                    raise attempt.error
            bundle = self.settings.bundle.read_bytes() if self.settings.bundle else None
            result = conclude(case, parts, self.board(), self.image(), bundle=bundle)
        except Exception as error:
            ran = all(attempt.ran for attempt in attempts)
            text = f"{type(error).__name__}: {error}"
            document = self._cut_short(case, attempts, text if ran else f"not run: {text}")
            return _Outcome(document, clock_document(clocks[0]), error, ran=ran)
        evidence = replace(result.evidence, baseline=baseline_of(case, self.config.name))
        results = [judge(check, evidence) for check in checks_for(case)]
        archive = records_archive(case, evidence.records, evidence)
        report = CaseReport(
            case,
            results,
            evidence,
            result.link,
            result.inferences,
            _seconds(attempts),
            records_file=self._write(f"{self._stem(case)}.npz", archive).name,
            records_sha256=hashlib.sha256(archive).hexdigest(),
            log_file=log,
            quarantine=self.quarantined(case),
        )
        return _Outcome(
            case_document(report), clock_document(clocks[0]), results={result.check: result for result in results}
        )

    def _cut_short(self, case: Case, attempts: Sequence[_Attempt], error: str) -> Json:
        """The case in run.json when its run did not come to its end. The records so far are kept."""
        stem = self._stem(case)
        report = CaseReport(case, (), seconds=_seconds(attempts), error=error, log_file=f"{stem}.log")
        found = [(attempt.share, attempt.part.records if attempt.part else attempt.records) for attempt in attempts]
        kept = [(share, records) for share, records in found if records is not None]
        if kept:
            archive = records_archive(case, merge_records(case, kept))
            name = self._write(f"{stem}.npz", archive).name
            report = replace(report, records_file=name, records_sha256=hashlib.sha256(archive).hexdigest())
        return case_document(report)

    # ---- after

    def finish(self, interrupted: bool) -> Path | None:
        """Write run.json when a case ran, or was about to; returns its path. A worker of a crew writes none."""
        if self._out is None or self._crew is not None:
            return None
        document = run_document(
            [outcome.document for outcome in self._outcomes.values()],
            self.config,
            clock_document(self._board.clock) if self._board else None,
            interrupted=interrupted,
            started=self._started,
            seconds=time.monotonic() - self._began,
            source=_source(self.settings),
        )
        return self._write(RUN_FILE, dump(document))

    def close(self) -> None:
        """Release board and output folder. Safe to call twice."""
        out, self._out = self._out, None
        try:
            self._close_board()
        finally:
            self._bench.close()
            if out is not None:
                out.close()

    def _close_board(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            board.close()

    def _folder(self) -> Path:
        return self._out.path if self._out is not None else self.settings.out

    def _write(self, name: str, data: bytes) -> Path:
        if self._out is None:
            raise UsageError("the output folder is not open")
        return self._out.write(name, data)

    # ---- names of files; a worker of a crew has its own where the work is its own

    def _log_name(self, stem: str) -> str:
        return f"{stem}.{self._crew.name}.log" if self._crew else f"{stem}.log"

    def _share_log(self, case: Case, share: Share) -> Path:
        if self._crew is None:
            return self._folder() / f"{self._stem(case)}.log"
        return self._crew.folder / f"{self._stem(case)}.{share.number}.log"

    def _gather_logs(self, case: Case, attempts: Sequence[_Attempt]) -> str:
        """One log of the case, made of those of its shares; returns its name."""
        name = f"{self._stem(case)}.log"
        if self._crew is not None:
            logs = [self._share_log(case, attempt.share) for attempt in attempts]
            self._write(name, b"".join(log.read_bytes() for log in logs if log.exists()))
        return name

    def _piece(self, case: Case) -> str:
        """What the crew calls a case: its place among all."""
        return f"{[each.path for each in self._cases].index(case.path):04}"

    def _share_piece(self, case: Case, share: Share) -> str:
        return f"share.{self._piece(case)}.{share.number}"

    def _stem(self, case: Case) -> str:
        """File stem of a case's results; a second case of the same name gets its number."""
        paths = [each.path for each in self._cases if each.name == case.name]
        number = paths.index(case.path) + 1 if case.path in paths else 1
        return f"{case.name}.{self.config.name}" + (f".{number}" if number > 1 else "")


class CrewLead:
    """The process that a crew of workers was started from: holds the output folder for them and writes run.json."""

    def __init__(self, settings: Settings, crew: Crew) -> None:
        self.settings, self._crew = settings, crew
        self.workers = 1
        self._out: OutDir | None = None
        self._began, self._started = time.monotonic(), now()

    def join(self) -> None:
        """Hold the output folder too, once a worker has taken it."""
        if self._out is None and self._crew.result(_HELD):
            with self._crew.alone("output"):
                self._out = OutDir(self.settings.out, self._crew.folder.name)

    def finish(self, interrupted: bool) -> Path | None:
        """Write run.json when the workers ran a case, or were about to; returns its path."""
        if self._out is None:
            return None
        outcomes: list[_Outcome] = self._crew.results(_OUTCOME)
        document = run_document(
            [outcome.document for outcome in outcomes],
            load_board(self.settings.board, list(self.settings.board_folders)),
            next((outcome.clock for outcome in outcomes if outcome.clock), None),
            interrupted=interrupted,
            started=self._started,
            seconds=time.monotonic() - self._began,
            workers=self.workers,
            source=_source(self.settings),
        )
        return self._out.write(RUN_FILE, dump(document))

    def close(self) -> None:
        """Let go of the output folder. Safe to call twice."""
        out, self._out = self._out, None
        if out is not None:
            out.close()


def _source(settings: Settings) -> Json | None:
    """What git says of the sources of an image that was built here."""
    found = source_of(PROJECT) if settings.image is None else Source()
    return {"commit": found.commit, "changed": bool(found.changed)} if found.commit else None


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _seconds(attempts: Sequence[_Attempt]) -> float:
    """Host time since the first of them began."""
    return time.monotonic() - min(attempt.began for attempt in attempts)
