"""One invocation of the harness: one board, one image, any number of cases, one output folder. Knows nothing of
pytest.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from hil.board.base import Board
from hil.board.config import BoardConfig, kind_module, load_board
from hil.bundle import build_bundle
from hil.case.types import Case
from hil.contract import checks_for, judge
from hil.contract.types import Check, CheckResult
from hil.errors import BoardBroken, UsageError
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
from hil.session import Progress, run_case

PROJECT = Path(__file__).resolve().parent.parent
ProgressFactory = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Settings:
    """What the user asked for. image and bundle replace what would be built; board_folders are searched in order.
    options: BENCH_OPTIONS of hil.board.config.
    """

    board: str
    out: Path
    board_folders: tuple[Path, ...]
    image: Path | None = None
    bundle: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Outcome:
    """What became of one case: a report, and the bench's failure if there was one."""

    document: Json  # the case in run.json
    error: Exception | None = None
    ran: bool = True  # False: the board was broken before its turn came
    results: dict[str, CheckResult] = field(default_factory=dict)


class HilRun:
    """Opens what is needed when it is needed, keeps one board for all cases, and releases everything in `close`."""

    def __init__(self, settings: Settings, progress: ProgressFactory = lambda _: nullcontext(lambda *_: None)) -> None:
        """Nothing is read or started yet."""
        self.settings, self._progress = settings, progress
        self._board: Board | None = None
        self._image: Image | None = None
        self._out: OutDir | None = None
        self._outcomes: dict[Path, _Outcome] = {}
        self.board_broken: BoardBroken | None = None  # why nothing more is run on the board
        self._began, self._started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")

    # ---- before anything runs

    @cached_property
    def config(self) -> BoardConfig:
        """The board's file. Raises UsageError for an unknown board or a wrong file."""
        config = load_board(self.settings.board, list(self.settings.board_folders))
        return config.model_copy(update={"options": {**config.options, **self.settings.options}})

    def prepare(self, cases: Sequence[Case] = ()) -> None:
        """Check the tools of board and build, and that both references take the models of `cases`; then take the
        output folder, so that misuse leaves the last results alone. Raises UsageError.
        """
        board = self.board()
        if self.settings.image is None:
            if not (PROJECT / "firmware").is_dir():
                raise UsageError("no firmware sources beside the package\n  fix: name an image with --hil-image=ELF")
            check_programs(self.config.target)
        else:
            board.check_image(self.image())
        for case in cases:
            check_models(case)
        self._out = OutDir(self.settings.out)

    def image(self) -> Image:
        """The image under test: the one named, else built from the sources. Raises BuildError or UsageError."""
        if self._image is None:
            path = self.settings.image
            if path is None:
                target, folder = self.config.target, self._folder()
                # A copy, so that another build in this checkout does not change the image under a run.
                path = build(target, PROJECT, log=folder / f"build.{target}.log", copy_to=folder / f"{target}.elf")
            self._image = Image(path)
        return self._image

    def board(self) -> Board:
        """The one board of this run, opened on first use. Raises MissingTool or UsageError."""
        if self._board is None:
            log = self._folder() / f"{self.config.name}.log"
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

    def broken(self, case: Case) -> Exception | None:
        """What ended this case's run before it was done, if anything did."""
        outcome = self._outcomes.get(case.path)
        return outcome.error if outcome else None

    def not_run(self, case: Case) -> BoardBroken | None:
        """Why this case has no board to run on, which is then reported; None when it ran, or can."""
        broken = self.board_broken
        if broken is not None and case.path not in self._outcomes:
            error = f"not run: {type(broken).__name__}: {broken}"
            document = self._cut_short(case, self._stem(case), (), time.monotonic(), error)
            self._outcomes[case.path] = _Outcome(document, broken, ran=False)
        outcome = self._outcomes.get(case.path)
        return broken if outcome is not None and not outcome.ran else None

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
        """The board for tests written in Python; the firmware's log goes to a file of their own."""
        board = self.board()
        log = (self._folder() / f"python.{self.config.name}.log").resolve()
        if board.log != log:
            board.begin_log(log)
        return board

    def _outcome(self, case: Case) -> _Outcome:
        if case.path not in self._outcomes:
            self._outcomes[case.path] = self._run(case)
        return self._outcomes[case.path]

    def _run(self, case: Case) -> _Outcome:
        began = time.monotonic()
        records: list[RunRecords] = []
        stem = self._stem(case)
        try:
            with self._progress(case.name) as progress:
                bundle = self.settings.bundle.read_bytes() if self.settings.bundle else None
                board = self.board()
                board.begin_log((self._folder() / f"{stem}.log").resolve())
                result = run_case(case, board, self.image(), bundle=bundle, progress=progress, keep=records.append)
        except Exception as error:
            self.board_broken = error if isinstance(error, BoardBroken) else None
            return _Outcome(self._cut_short(case, stem, records, began, f"{type(error).__name__}: {error}"), error)
        except KeyboardInterrupt:
            self._outcomes[case.path] = _Outcome(self._cut_short(case, stem, records, began, "interrupted"))
            raise
        evidence = result.evidence
        results = [judge(check, evidence) for check in checks_for(case)]
        archive = records_archive(case, evidence.records, evidence)
        report = CaseReport(
            case,
            results,
            evidence,
            result.link,
            result.inferences,
            time.monotonic() - began,
            records_file=self._write(f"{stem}.npz", archive).name,
            records_sha256=hashlib.sha256(archive).hexdigest(),
            log_file=f"{stem}.log",
        )
        return _Outcome(case_document(report), results={result.check: result for result in results})

    def _cut_short(self, case: Case, stem: str, records: Sequence[RunRecords], began: float, error: str) -> Json:
        """The case in run.json when its run did not come to its end. The records so far are kept."""
        report = CaseReport(case, (), seconds=time.monotonic() - began, error=error, log_file=f"{stem}.log")
        if records:
            archive = records_archive(case, records[0])
            name = self._write(f"{stem}.npz", archive).name
            report = replace(report, records_file=name, records_sha256=hashlib.sha256(archive).hexdigest())
        return case_document(report)

    # ---- after

    def finish(self, interrupted: bool) -> Path | None:
        """Write run.json when a case ran, or was about to; returns its path."""
        if self._out is None:
            return None
        document = run_document(
            [outcome.document for outcome in self._outcomes.values()],
            self.config,
            clock_document(self._board.clock) if self._board else None,
            interrupted=interrupted,
            started=self._started,
            seconds=time.monotonic() - self._began,
        )
        return self._write(RUN_FILE, dump(document))

    def close(self) -> None:
        """Release board and output folder. Safe to call twice."""
        board, self._board = self._board, None
        out, self._out = self._out, None
        try:
            if board is not None:
                board.close()
        finally:
            if out is not None:
                out.close()

    def _folder(self) -> Path:
        return self._out.path if self._out is not None else self.settings.out

    def _write(self, name: str, data: bytes) -> Path:
        if self._out is None:
            raise UsageError("the output folder is not open")
        return self._out.write(name, data)

    def _stem(self, case: Case) -> str:
        """File stem of a case's results; a second case of the same name gets its number."""
        same = [
            path for path in self._outcomes if path != case.path and self._outcomes[path].document["name"] == case.name
        ]
        return f"{case.name}.{self.config.name}" + (f".{len(same) + 1}" if same else "")
