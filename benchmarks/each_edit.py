"""A pytest plugin for mutants.py: collects the tests once, then holds each edit to those that reach it, in a fork.

The environment names two files: EACH_EDIT_WORK, JSON with `tests` (names of the tests that reach a function, by the
function), `durations` (seconds, by test) and `edits` (mutmut's names); and EACH_EDIT_DONE, to which goes one JSON list
[edit, exit code] a line, and before these one with the functions that run while the tests are collected. Such a
function's edit is in no fork: what it made was made before.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

UNNOTICED, NOTICED, BROKEN, NOT_REACHED = 0, 1, 3, 33
_LEAST_S, _TIMES = 2.0, 10  # an edit's tests may take that much more of the processor than those of the code as it is


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """From here on the code tells what of it runs while the tests are imported."""
    set_mutant_under_test("stats")


def function_of(edit: str) -> str:
    """As mutmut names the function in its list of tests."""
    return edit.partition("__mutmut_")[0].replace("__init__.", "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    if session.testsfailed:
        raise session.Interrupted("the tests cannot be collected")
    work = json.loads(Path(os.environ["EACH_EDIT_WORK"]).read_text())
    with open(os.environ["EACH_EDIT_DONE"], "w", buffering=1) as done:
        done.write(json.dumps(sorted(state()._stats)) + "\n")
        set_mutant_under_test("")
        gc.collect()
        gc.freeze()  # what is there by now is shared by all forks
        for edit, code in held(session, work):
            done.write(json.dumps([edit, code]) + "\n")
    return True


def held(session: pytest.Session, work: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Each edit and the exit code of its fork. The tests that noticed most edits of the module come first, then those
    that reach least: they are about something.
    """
    items = {item.nodeid: item for item in session.items}
    durations = work["durations"]
    reach = Counter(test for tests in work["tests"].values() for test in tests)
    noticed: dict[str, Counter[str]] = {}
    for edit in work["edits"]:
        function = function_of(edit)
        tests = [test for test in work["tests"].get(function, ()) if test in items]
        by = noticed.setdefault(function.rpartition(".")[0], Counter())
        tests.sort(key=lambda test: (-by[test], reach[test], durations.get(test, 0), test))
        if not tests:
            yield edit, NOT_REACHED
            continue
        limit_s = math.ceil(_LEAST_S + _TIMES * sum(durations.get(test, 0) for test in tests))
        code, test = forked(session, edit, [items[test] for test in tests], limit_s)
        if test:
            by[test] += 1
        yield edit, code


def forked(session: pytest.Session, edit: str, items: Sequence[pytest.Item], limit_s: int) -> tuple[int, str]:
    """Exit code of the tests under the edit, as of a process; the test that failed first, "" for none."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10 * limit_s)  # for one that waits
            set_mutant_under_test(edit.replace("__init__.", ""))
            code = tried(session, items, theirs)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        test = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), test


def tried(session: pytest.Session, items: Sequence[pytest.Item], pipe: int) -> int:
    for item, following in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed or session.shouldstop:
            os.write(pipe, item.nodeid.encode())
            return NOTICED
    return UNNOTICED
