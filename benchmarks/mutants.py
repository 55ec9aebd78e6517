"""Breaks the judges in small ways, one at a time, and prints each edit that no fast test notices.

python benchmarks/mutants.py ROOM [--module NAME] [--tests PATH] [--sample N] [--seed 1] [--processes 2]

A room is a folder of hil/. mutmut makes the edits: `<` becomes `<=`, an argument is left out, a number grows by one.
each_edit.py holds them to the tests.
Edits of nothing but text are left out, and functions with a decorator, which mutmut does not edit. An edit that nobody
could ever see stands in mutants.toml with the reason. Ends with 1 when another one goes unnoticed, or when that list
names an edit that does not exist; with 2 when the tests do not pass on the code as it is.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent))  # not there where Python keeps scripts apart (PYTHONSAFEPATH)
from each_edit import NOT_REACHED, NOTICED, UNNOTICED, function_of

PROJECT = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_suffix(".toml")
LONGEST_S = 600  # for the fast tests of a room; an edit with which they take longer is noticed
# The fast tests of each room, and those that use it from elsewhere; none of them opens a board.
ROOMS: dict[str, tuple[str, ...]] = {
    "contract": (
        "tests/contract",
        "tests/baseline/test_baseline_checks.py",
        "tests/baseline/test_baseline_cycles.py",
        "tests/baseline/test_baseline_of_several.py",
        "tests/baseline/test_baseline_parts.py",
        "tests/baseline/test_baseline_sizes.py",
        "tests/baseline/test_regression_statistics.py",
    ),
    "reference": ("tests/reference",),
    "session": (
        "tests/session/test_order.py",
        "tests/session/test_shares.py",
        "tests/session/test_bookkeeping.py",
        "tests/session/test_session_run.py",
        "tests/session/test_session_state.py",
        "tests/session/test_session_repeats.py",
        "tests/session/test_session_steps.py",
        "tests/session/test_session_instruments.py",
        "tests/session/test_bundle_stimuli.py",
        "tests/session/test_gate_stimuli.py",
        "tests/session/test_prepare_stimuli.py",
        "tests/session/test_score_stimuli.py",
        "tests/session/test_coverage.py",
        "tests/session/test_stages_of_a_product.py",
        "tests/session/test_first_operator.py",
    ),
    "link": (
        "tests/link/test_cobs.py",
        "tests/link/test_frame.py",
        "tests/link/test_rtt.py",
        "tests/link/test_byte_stream.py",
        "tests/link/test_link_messages.py",
        "tests/link/test_client.py",
    ),
}
# What the tests read beside the package. mutmut copies tests/ and pyproject.toml by itself.
BESIDE = ("benchmarks", "boards", "docs", "firmware", "golden_vectors", "setup", "quarantine.toml", "release.toml")
NO_SUCH_EDIT = "no such edit: generate them, and run none"
# A test of an edit may take some times the processor time that it takes of the code as it is.
SETTINGS = """\
[mutmut]
source_paths = hil
only_mutate =
  {modules}
pytest_add_cli_args =
  -m
  not slow
  -p
  no:cacheprovider
pytest_add_cli_args_test_selection =
  {tests}
timeout_multiplier = 5
use_git_change_detection = false
"""


class Fate(Enum):
    """What became of one edit under the tests."""

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_REACHED = "not reached"


FATES = {NOTICED: Fate.KILLED, UNNOTICED: Fate.SURVIVED, NOT_REACHED: Fate.NOT_REACHED}


@dataclass(frozen=True)
class Edit:
    """One break of one function: mutmut's name for it, and what it takes away and puts there."""

    name: str  # hil.contract.blame.xǁBlameǁcheck__mutmut_3
    before: str
    after: str

    @property
    def module(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def function(self) -> str:
        """As a person writes it: hil.contract.blame.Blame.check."""
        mangled = self.name.rpartition(".")[2].partition("__mutmut_")[0]
        return f"{self.module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"

    @property
    def identity(self) -> tuple[str, str, str]:
        """Names it for as long as nobody changes that line; mutmut's numbers move with each line of the function."""
        return self.function, self.before, self.after


class Workshop:
    """A folder as mutmut wants it: links to the checkout, a configuration, and the copy that is broken."""

    def __init__(self, folder: Path, modules: Sequence[str], tests: Sequence[str], processes: int) -> None:
        self.folder, self.broken, self.tests, self.processes = folder, folder / "mutants", tests, processes
        self.modules = modules
        self.at_import: set[str] = set()  # functions that run while the tests are collected
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HIL_", "PYTEST_"))}
        # hypothesis and the order of the tests are the same each time
        self.environment = {**kept, "CI": "true", "PYTHONHASHSEED": "0"}
        self.broken.mkdir()
        for name in ("hil", "tests", "pyproject.toml"):
            (folder / name).symlink_to(PROJECT / name)
        for name in BESIDE:
            (self.broken / name).symlink_to(PROJECT / name)
        if (PROJECT.parent / "shared").is_dir():
            (folder / "shared").symlink_to(PROJECT.parent / "shared")
        shutil.copy(PROJECT / "conftest.py", self.broken)
        settings = SETTINGS.format(modules="\n  ".join(modules), tests="\n  ".join(tests))
        (folder / "setup.cfg").write_text(settings)

    def edits(self) -> list[Edit]:
        """All edits of the modules. On the way mutmut runs all tests, and learns which of them reach which function."""
        done = self._mutmut([NO_SUCH_EDIT])
        if NO_SUCH_EDIT not in done.stderr:
            stop("the tests do not pass on the code as it is", done)
        return [edit for file in self._broken_files() for edit in edits_of(file, fates_of(file))]

    def run(self, edits: Sequence[Edit]) -> dict[Edit, Fate]:
        """What becomes of each of these edits."""
        shares = [edits[first :: self.processes] for first in range(min(self.processes, len(edits)))]
        with ThreadPoolExecutor(self.processes) as pool:
            done = list(pool.map(self._run, range(len(shares)), shares))
        return {edit: fate for fates in done for edit, fate in fates.items()}

    def _run(self, number: int, edits: Sequence[Edit]) -> dict[Edit, Fate]:
        learnt = json.loads((self.broken / "mutmut-stats.json").read_text())
        work, results = self.folder / f"work-{number}.json", self.folder / f"done-{number}"
        names = {edit.name: edit for edit in edits}
        tests, durations = learnt["tests_by_mangled_function_name"], learnt["duration_by_test"]
        work.write_text(json.dumps({"tests": tests, "durations": durations, "edits": list(names)}))
        files = {"EACH_EDIT_WORK": str(work), "EACH_EDIT_DONE": str(results)}
        done = self._pytest(["-p", "each_edit", "--tb=no"], files, None)
        lines = results.read_text().splitlines() if results.exists() else []
        codes = dict(json.loads(line) for line in lines[1:])
        odd = [name for name in names if not (code := codes.get(name, 99)) < 0 and code not in FATES]
        if odd:
            stop(f"not run: {', '.join(odd)}", done)
        self.at_import |= set(json.loads(lines[0]))
        # by a signal: an edit with which the tests do not end, or the process breaks
        return {edit: FATES.get(codes[name], Fate.KILLED) for name, edit in names.items()}

    def notices(self, edit: Edit) -> bool:
        """Whether a test fails in a process of its own: a fork has imported the code before it breaks it, so that it
        never sees an edit of what runs at import, as where a check is made from a table.
        """
        if function_of(edit.name) not in self.at_import:
            return False
        try:
            return self._pytest(["-x"], {"MUTANT_UNDER_TEST": edit.name}, LONGEST_S).returncode != 0
        except subprocess.TimeoutExpired:
            return True

    def _pytest(
        self, words: Sequence[str], variables: Mapping[str, str], timeout_s: float | None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
        path = os.pathsep.join((str(self.broken), str(self.broken / "benchmarks")))
        environment = {**self.environment, **variables, "PYTHONPATH": path}
        return subprocess.run(
            [*command, *words, *self.tests],
            cwd=self.broken,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def _mutmut(self, names: Sequence[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(self.processes), *names]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def _broken_files(self) -> list[Path]:
        """In the order in which the modules were asked for."""
        files = {str(file.relative_to(self.broken)): file for file in sorted((self.broken / "hil").rglob("*.py"))}
        there = [name for name, file in files.items() if file.with_name(f"{file.name}.meta").exists()]
        return [files[name] for pattern in self.modules for name in there if fnmatch(name, pattern)]


def stop(problem: str, done: subprocess.CompletedProcess[str]) -> NoReturn:
    said = f"{done.stdout[-6000:]}{done.stderr[-3000:]}"
    print(f"{said}\nmutants: {problem}; above is what mutmut said", file=sys.stderr)
    sys.exit(2)


def fates_of(broken: Path) -> dict[str, int | None]:
    """mutmut's exit code of each edit of a file; None: not run."""
    codes: dict[str, int | None] = json.loads(broken.with_name(f"{broken.name}.meta").read_text())["exit_code_by_key"]
    return codes


def edits_of(broken: Path, names: Iterable[str]) -> Iterator[Edit]:
    """The edits in a file of mutmut's, which holds each function as it was and once for every edit."""
    text = broken.read_text()
    lines = text.splitlines()
    functions = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    codes = {name: code_of(node) for name, node in functions.items()}
    for name in names:
        mutant = name.rpartition(".")[2]
        original = f"{mutant.partition('__mutmut_')[0]}__mutmut_orig"
        if codes[mutant] == codes[original]:
            continue
        was, became = (
            textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno])).replace(node.name, "f").splitlines()
            for node in (functions[original], functions[mutant])
        )
        changed = list(difflib.unified_diff(was, became, n=0, lineterm=""))[3:]
        before, after = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
        yield Edit(name, before, after)


def code_of(function: ast.FunctionDef) -> str:
    """The function without its name and without the contents of its strings."""
    return ast.dump(NoText().visit(function)).replace(function.name, "f")


class NoText(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node


def equivalents(room: str) -> dict[tuple[str, str, str], str]:
    """Edits of the room that nobody could ever see, by what they are, each with the reason."""
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["equivalent"]
    return {
        (entry["function"], entry["before"], entry["after"]): entry["why"]
        for entry in entries
        if entry["function"].startswith(f"hil.{room}.")
    }


def table(edits: Sequence[Edit], fates: Mapping[Edit, Fate], known: Container[tuple[str, str, str]]) -> str:
    """One line a module and one for all: edits there are, edits run, and what became of them."""
    rows = []
    for module in [*sorted({edit.module for edit in fates}), ""]:
        of_module = [edit for edit in fates if edit.module == module or not module]
        fate = Counter(fates[edit] for edit in of_module)
        equivalent = sum(fates[edit] is not Fate.KILLED and edit.identity in known for edit in of_module)
        there = sum(edit.module == module or not module for edit in edits)
        counts = (there, len(of_module), *(fate[kind] for kind in Fate), equivalent)
        rows.append(f"{module or 'all':44}" + "".join(f"{count:>13,}" for count in counts))
    head = "".join(f"{word:>13}" for word in ("edits", "run", *(kind.value for kind in Fate), "equivalent"))
    return "\n".join([f"{'module':44}{head}", *rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument(
        "--module", action="append", metavar="NAME", help="only this one of the room, as causes/pair.py"
    )
    parser.add_argument(
        "--tests", action="append", metavar="PATH", help="only these tests (default: those of the room)"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="so many edits, chosen by chance (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of that choice (default: 1)")
    parser.add_argument("--processes", type=int, metavar="N", default=2, help="at a time (default: 2)")
    options = parser.parse_args()
    known = equivalents(options.room)
    modules = [f"hil/{options.room}/{name}" for name in options.module or ["*"]]
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), modules, options.tests or ROOMS[options.room], options.processes)
        edits = workshop.edits()
        sample = min(options.sample or len(edits), len(edits))
        chosen = set(random.Random(options.seed).sample(range(len(edits)), sample))
        fates = workshop.run([edit for number, edit in enumerate(edits) if number in chosen])
        doubted = [edit for edit, fate in fates.items() if fate is not Fate.KILLED and edit.identity not in known]
        with ThreadPoolExecutor(options.processes) as pool:
            noticed = zip(doubted, pool.map(workshop.notices, doubted), strict=True)
            fates |= {edit: Fate.KILLED for edit, killed in noticed if killed}
    unnoticed = [edit for edit, fate in fates.items() if fate is not Fate.KILLED and edit.identity not in known]
    killed = [edit for edit, fate in fates.items() if fate is Fate.KILLED and edit.identity in known]
    there = {edit.identity for edit in edits}
    stale = [] if options.module else [identity for identity in known if identity not in there]
    for edit in sorted(unnoticed, key=lambda edit: edit.name):
        print(f"{edit.function}: {fates[edit].value}\n  - {edit.before}\n  + {edit.after}\n")
    print(table(edits, fates, known))
    for edit in killed:
        print(f"mutants.toml: a test notices {edit.identity}: take it off the list")
    for identity in stale:
        print(f"mutants.toml: there is no edit {identity}: take it off the list")
    return 1 if unnoticed or killed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
