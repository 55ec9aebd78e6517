"""The pytest plugin: options, case files as test items, fixtures. It translates; the work is done below it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hil.board.base import Board
from hil.board.config import BENCH_OPTIONS
from hil.case.load import load_case, name_of
from hil.case.types import Case
from hil.contract import checks_for
from hil.contract.types import Check, CheckResult, Outcome
from hil.device import Device
from hil.environment import environment_name
from hil.errors import BenchError, HilError, UsageError
from hil.interruption import Interruption
from hil.project.places import board_folders, project_of
from hil.project.quarantine import QUARANTINE_FILE
from hil.report.markdown import summary
from hil.report.outdir import SUMMARY_FILE
from hil.report.page.commands import write_page
from hil.report.terminal import ProgressLine, case_table, run_notes
from hil.run import HilRun, Refusal, Settings
from hil.run.equipment import print_it
from hil.runfile import Run, read_run
from hil.workers import LeadPlugin, crew_of, is_lead, run_of, tell_misuse

CASE_FILE = "case.toml"
REPORTS = ("html", "none")
SHOWN_FINDINGS = 3  # of one check, on the terminal
_RUN = pytest.StashKey[HilRun]()
_INTERRUPTION = pytest.StashKey[Interruption]()
_JUDGED = pytest.StashKey["_CaseTests"]()
_LEAD = pytest.StashKey[LeadPlugin]()
_NOTHING_JUDGED = pytest.StashKey[bool]()
_DONE = pytest.StashKey[Run]()
_PAGE = pytest.StashKey[Path]()
_NOT_REPORTED = pytest.StashKey[str]()
_NOT_WRITTEN = pytest.StashKey[str]()
_OPTIONS = {
    # name: (default, help)
    "board": ("qemu", "board to run on: a file of boards/ without .toml"),
    "hil-out": ("hil-out", "folder for run.json, records and logs"),
    "hil-image": ("", "run this ELF and build nothing"),
    "hil-bundle": ("", "provision this bundle in place of the one built from the case"),
    "hil-boards": ("", "further folder with board files, searched first"),
    "hil-quarantine": ("", "file of checks that are known to fail (quarantine.toml of the project, if there)"),
    "hil-report": ("html", "html: write report.html beside run.json; none: leave it out"),
    **{name: ("", text) for name, text in BENCH_OPTIONS.items()},
}


class NotHeld(Exception):
    """A check without a pass; carries its result."""

    def __init__(self, result: CheckResult) -> None:
        self.result = result
        super().__init__(result.check)


class ContractBroken(NotHeld):
    """A check that does not hold: a test failure."""


class InstrumentBroken(NotHeld):
    """A check that says nothing, because what it was measured with is broken: a test error."""


# ---- options: command line, then environment, then ini file, then default


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hil", "hardware-in-the-loop tests of TinyML firmware")
    for name, (default, text) in _OPTIONS.items():
        twins = f"environment {environment_name(name)}, ini {_ini_name(name)}, default {default or 'none'}"
        group.addoption(f"--{name}", default=None, help=f"{text} ({twins})")
        parser.addini(_ini_name(name), text, default=default)


def _ini_name(option: str) -> str:
    return "hil_" + option.removeprefix("hil-").replace("-", "_")


def _option(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"--{name}")
    return str(given or os.environ.get(environment_name(name)) or config.getini(_ini_name(name)))


def _path(config: pytest.Config, name: str) -> Path | None:
    text = _option(config, name)
    if not text:
        return None
    path = config.invocation_params.dir / text
    if name in ("hil-image", "hil-bundle", "hil-quarantine") and not path.is_file():
        raise pytest.UsageError(f"--{name}: no such file: {path}")
    return path


def _project(config: pytest.Config) -> Path:
    return project_of(config.invocation_params.dir, config.rootpath)


def _quarantine(config: pytest.Config) -> Path | None:
    """The file named, else that of the project when there is one."""
    usual = _project(config) / QUARANTINE_FILE
    return _path(config, "hil-quarantine") or (usual if usual.is_file() else None)


def _refuse_lost_settings(config: pytest.Config) -> None:
    """pytest looks for its ini file before it knows this plugin's options, and takes a path behind a space for a test
    folder: `--hil-out /elsewhere` would silently lose the project's settings.
    """
    given = config.invocation_params.args
    for option, value in pairwise(given):
        name = str(option).removeprefix("--")
        outside = config.invocation_params.dir not in (path := config.invocation_params.dir / value).parents
        if name in _OPTIONS and outside and path.exists():
            raise pytest.UsageError(
                f"{option} {value}: pytest takes this path for a test folder, and loses the settings of this one\n"
                f"  fix: write {option}={value}"
            )


def pytest_configure(config: pytest.Config) -> None:
    _refuse_lost_settings(config)
    if (wanted := _option(config, "hil-report")) not in REPORTS:
        raise pytest.UsageError(f"--hil-report: {wanted!r} is none of {', '.join(REPORTS)}")
    config.addinivalue_line("markers", "hil_case(path): the case that the `case` and `device` fixtures use")
    config.stash[_INTERRUPTION] = Interruption()
    config.pluginmanager.register(_WayOut(config.stash[_INTERRUPTION]))
    config.stash[_JUDGED] = _CaseTests()
    config.pluginmanager.register(config.stash[_JUDGED])
    folders = board_folders(_path(config, "hil-boards"), _project(config) / "boards", config.rootpath / "boards")
    settings = Settings(
        board=_option(config, "board"),
        out=_path(config, "hil-out") or config.invocation_params.dir / "hil-out",
        board_folders=tuple(folders),
        image=_path(config, "hil-image"),
        bundle=_path(config, "hil-bundle"),
        quarantine=_quarantine(config),
        options={name: value for name in BENCH_OPTIONS if (value := _option(config, name))},
    )
    config.stash[_RUN] = run_of(
        config, settings, lambda title: _progress(config, title), lambda text: _say(config, text)
    )
    if is_lead(config):
        config.stash[_INTERRUPTION].guard()
        config.stash[_LEAD] = LeadPlugin(settings)
        config.pluginmanager.register(config.stash[_LEAD])
    if config.getoption("--board"):  # named for this very run: tell a wrong name at once, even when nothing needs it
        gc.freeze()  # what is loaded by now stays: pytest's own collections at its end need not look at all of it
        try:
            _ = config.stash[_RUN].config
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error


def _say(config: pytest.Config, text: str) -> None:
    """On standard error past pytest's capture: that of a worker is the terminal's too."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print_it(text)


def _progress(config: pytest.Config, title: str) -> ProgressLine:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if reporter is None or not reporter.isatty or config.option.verbose < 0:
        return ProgressLine(None, title, config.stash[_INTERRUPTION].check)

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter._tw.write(text, flush=True)

    return ProgressLine(write, title, config.stash[_INTERRUPTION].check)


# ---- collection: one item per case and check


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CaseFile | None:
    if file_path.name == CASE_FILE:
        return CaseFile.from_parent(parent, path=file_path)
    return None


class CaseFile(pytest.File):
    """A case.toml; its items are the checks that the case asks for."""

    def collect(self) -> Iterator[CheckItem | RefusedItem]:
        try:
            case = load_case(self.path, self.config.stash[_RUN].kernels)
        except UsageError as error:
            yield RefusedItem.from_parent(self, name="case", error=error)
            return
        for check in checks_for(case):
            yield CheckItem.from_parent(self, name=check.id, case=case, check=check)


class RefusedItem(pytest.Item):
    """A case.toml that is no case: an error of its own, that stops no other case."""

    def __init__(self, *, error: UsageError, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def setup(self) -> None:
        self.config.stash[_RUN].refuse(Refusal(self.path, name_of(self.path), self.error))

    def runtest(self) -> None:
        raise AssertionError("a refused case is told before it runs")

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.path.parent.name}: case"


class CheckItem(pytest.Item):
    """One check of one case."""

    def __init__(self, *, case: Case, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case, self.check = case, check

    def setup(self) -> None:
        run = self.config.stash[_RUN]
        if error := run.not_run(self.case):
            _skip_on(run, error)
        if error := run.broken(self.case):
            pytest.skip(f"the run of case {run.title(self.case)} broke, see its first test: {type(error).__name__}")
        result = run.result(self.case, self.check)
        if result.outcome is Outcome.INVALID:  # in here, so that pytest counts an error, and no failed test
            self._record_properties(result)
            raise InstrumentBroken(result)

    def runtest(self) -> None:
        run = self.config.stash[_RUN]
        result = run.result(self.case, self.check)
        self._record_properties(result)
        if result.outcome is Outcome.NOT_JUDGED:
            pytest.skip(f"not judged here: {result.reason}")
        if result.outcome is Outcome.FAILED:
            if entry := run.quarantined(self.case).get(self.check.id):
                pytest.xfail("in quarantine until {expires}: {reason} ({issue})".format(**entry))
            raise ContractBroken(result)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.config.stash[_RUN].title(self.case)}: {self.check.id}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        error = excinfo.value
        if isinstance(error, NotHeld):
            return describe(self.check, error.result)
        return super().repr_failure(excinfo, style)

    def _record_properties(self, result: CheckResult) -> None:
        run = self.config.stash[_RUN]
        case, clock = run.facts(self.case), run.clock(self.case)
        facts: dict[str, object] = {
            "case": run.title(self.case),
            "case_version": self.case.version,
            "board": run.config.name,
            "clock": clock["kind"] if clock else "",
            "firmware_sha256": case["image"]["sha256"],
            "model_sha256": self.case.model.sha256,
            "outcome": result.outcome,
        }
        if result.value is not None:
            facts |= {"value": result.value, "unit": result.unit}
        if result.limit is not None:
            facts["limit"] = result.limit
        facts |= {f"number.{name}": value for name, value in result.numbers.items()}
        self.user_properties += [(name, str(value)) for name, value in facts.items()]


def _skip_on_broken_board(run: HilRun) -> None:
    if run.board_broken:
        _skip_on(run, run.board_broken)


def _skip_on(run: HilRun, error: Exception) -> None:
    """The first test told why; the others of this board have nothing to run on. The run has failed by then."""
    pytest.skip(f"board {run.config.name} is broken: {str(error).splitlines()[0]}")


def describe(check: Check, result: CheckResult) -> str:
    """The first findings of a check that does not hold, as text; run.json keeps more of them."""
    if result.outcome is Outcome.INVALID and not result.findings:
        return f"{check.id} is invalid: because {result.reason}"
    shown = result.findings[:SHOWN_FINDINGS]
    more = f" ({len(shown)} of {result.total:,} findings; more in run.json)" if result.total > len(shown) else ""
    verdict = "invalid, because this instrument is broken" if result.outcome is Outcome.INVALID else "broken"
    head = f"{check.id} is {verdict}{more}: {check.title}"
    return "\n\n".join([head, *(str(finding) for finding in shown)])


@pytest.hookimpl(trylast=True)  # after -k and -m have taken items away
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Misuse stops here, before anything starts; a refused case is an error of that case, unless nothing is to run."""
    try:
        errors = [str(item.error) for item in items if isinstance(item, RefusedItem)]
        if errors and config.option.collectonly:
            raise UsageError("\n".join(errors))
        if (errors or any(_needs_board(item) for item in items)) and not config.option.collectonly:
            config.stash[_INTERRUPTION].guard()
            cases = {item.case.path: item.case for item in items if isinstance(item, CheckItem)}
            config.stash[_RUN].prepare(list(cases.values()), _cases_of_tests(items))
    except UsageError as error:
        if not tell_misuse(config, str(error)):
            raise pytest.UsageError(str(error)) from error
        items.clear()


def _cases_of_tests(items: Sequence[pytest.Item]) -> list[Case]:
    """Those that tests written in Python name and that can be read; the tests say what is wrong with the others."""
    markers = [marker for item in items for marker in item.iter_markers("hil_case") if len(marker.args) == 1]
    paths = {items[0].config.rootpath / str(marker.args[0]) for marker in markers}
    cases = []
    for path in sorted(paths):
        with suppress(UsageError):
            cases.append(load_case(path))
    return cases


def _needs_board(item: pytest.Item) -> bool:
    return isinstance(item, CheckItem) or _uses(item, "board") or _uses(item, "device")


def _uses(item: pytest.Item, name: str) -> bool:
    """Whether a test reaches the fixture of this name that is defined here: a project may have one of its own, in its
    place or around it.
    """
    info = getattr(item, "_fixtureinfo", None)
    chain = [*info.name2fixturedefs.get(name, ())] if info else []  # the last is what the test gets
    while chain and chain[-1].func.__module__ != __name__ and name in chain[-1].argnames:
        chain.pop()
    return bool(chain) and chain[-1].func.__module__ == __name__


def _has_line(entry: Any) -> bool:
    try:
        return bool(entry.lineno >= 0)
    except TypeError:
        return False


class _WayOut:
    """From these hooks on all is being released, and no signal may cut that short."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A hook of pytest: the exception has come to the session's end.

        A signal may come at an instruction that belongs to no line, and pytest breaks where it shows that place.
        """
        self._interruption.leave()
        excinfo.traceback = excinfo.traceback.filter(_has_line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """A hook of pytest: the other plugins' ends come behind this."""
        self._interruption.leave()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build the image before the first test, so that a missing compiler is misuse and not a broken test."""
    config = session.config
    if config.option.collectonly or is_lead(config) or crew_of(config):  # a worker's first test builds for all of them
        return
    if not any(_needs_board(item) for item in session.items):
        return
    try:
        config.stash[_RUN].image()
    except BenchError:
        return  # told by the first test that needs it
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


# ---- reports


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """An error of the bench is told by its message; a stack of the harness helps nobody."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, HilError) and report.failed:
        error = call.excinfo.value
        report.longrepr = f"{type(error).__name__}: {error}"
    if call.excinfo is not None and isinstance(call.excinfo.value, InstrumentBroken) and isinstance(item, CheckItem):
        report.longrepr = describe(item.check, call.excinfo.value.result)
    return report


class _CaseTests:
    """Counts the tests of cases as they are reported, those of all workers, and how many of them had a verdict."""

    def __init__(self) -> None:
        self.seen = self.judged = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A hook of pytest."""
        properties = dict(report.user_properties)
        if report.when == "call" and "case_version" in properties:
            self.seen += 1
            self.judged += properties["outcome"] != Outcome.NOT_JUDGED


@pytest.hookimpl(trylast=True)  # after pytest-xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    lead = config.stash.get(_LEAD, None)
    run = lead.lead if lead else config.stash[_RUN]
    if config.stash[_INTERRUPTION].came:  # the last signal may have come too late to raise anything
        session.exitstatus = exitstatus = pytest.ExitCode.INTERRUPTED
    try:
        written = run.finish(interrupted=exitstatus == pytest.ExitCode.INTERRUPTED)
        if written is not None:
            config.stash[_DONE] = read_run(written)
            _write_reports(config, config.stash[_DONE])
    except UsageError as error:
        config.stash[_NOT_WRITTEN] = str(error)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    finally:
        run.close()
    if lead and lead.misuse:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
    tests = config.stash[_JUDGED]
    if tests.seen and not tests.judged and exitstatus == pytest.ExitCode.OK:
        config.stash[_NOTHING_JUDGED] = True
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_reports(config: pytest.Config, run: Run) -> None:
    """What people read. A report that cannot be made changes no verdict: it is said, and run.json has everything."""
    if not run.document.cases:
        return
    try:
        text = summary(run)
        (run.folder / SUMMARY_FILE).write_text(text, encoding="utf-8")
        if step := os.environ.get("GITHUB_STEP_SUMMARY"):
            with open(step, "a", encoding="utf-8") as file:
                file.write(text)
        if _option(config, "hil-report") == "html":
            config.stash[_PAGE] = write_page(run)
    except Exception as error:
        config.stash[_NOT_REPORTED] = f"{type(error).__name__}: {error}"


def pytest_unconfigure(config: pytest.Config) -> None:
    if run := config.stash.get(_RUN, None):
        run.close()
    if lead := config.stash.get(_LEAD, None):
        lead.close()
    if interruption := config.stash.get(_INTERRUPTION, None):
        interruption.give_back()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run, lead = config.stash[_RUN], config.stash.get(_LEAD, None)
    if lead and lead.misuse:
        terminalreporter.line(f"ERROR: {lead.misuse}", red=True)
    if message := config.stash.get(_NOT_WRITTEN, ""):
        terminalreporter.line(f"ERROR: {message}", red=True)
    done = config.stash.get(_DONE, None)
    if done is None or not done.document.cases:
        return
    terminalreporter.section(f"hil on board {run.config.name}")
    for case in done.document.cases:
        for line in case_table(case, done.document.board):
            terminalreporter.line(line)
    for line in run_notes(done.document):
        terminalreporter.line(line, red=True)
    if config.stash.get(_NOTHING_JUDGED, False):
        terminalreporter.line("no check was judged: a gate in which nothing ran fails", red=True)
    if message := config.stash.get(_NOT_REPORTED, ""):
        terminalreporter.line(f"the report could not be made: {message}", red=True)
    terminalreporter.line(f"results: {run.settings.out}")
    if page := config.stash.get(_PAGE, None):
        terminalreporter.line(f"report: {page}")


# ---- fixtures for Python tests


@pytest.fixture(scope="session")
def board(pytestconfig: pytest.Config) -> Board:
    """The board of this session (--board), shared by all tests; the session releases it."""
    run = pytestconfig.stash[_RUN]
    _skip_on_broken_board(run)
    return run.python_board()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The case that `@pytest.mark.hil_case("path/to/case")` names, relative to the root folder."""
    marker = request.node.get_closest_marker("hil_case")
    if marker is None or len(marker.args) != 1:
        raise UsageError('the `case` fixture needs @pytest.mark.hil_case("golden_vectors/NAME") on the test')
    return load_case(request.config.rootpath / marker.args[0], request.config.stash[_RUN].kernels)


@pytest.fixture
def device(case: Case, pytestconfig: pytest.Config) -> Device:
    """The agent on a board that was just provisioned with `case`: clean state, start of a session."""
    run = pytestconfig.stash[_RUN]
    _skip_on_broken_board(run)
    return Device(run.python_provision(case), case.model)
