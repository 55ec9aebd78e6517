"""A project to release: a case tree, a policy, and a real run on board native, to be edited by tests."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from harness_process import PASSED, run_harness
from native_session import PROJECT, CaseFolder, native_image

from hil.case.load import write_lock
from hil.gate.commands import add_gate_command
from hil.gate.gate import Decision, decide
from hil.gate.policy import PolicyFile, read_policy
from hil.gate.question import ask
from hil.gate.reasons import Kind
from hil.release.commands import add_release_command
from hil.runfile import Run, read_records, read_run, seal

CASE = "small"
CHECK = "execution.repeat"  # a check that has neither value nor limit
POLICY = """\
boards = [{boards}]
cases = "cases"
baseline = "{baseline}"
quarantine = "quarantine.toml"
locked = {locked}
clean_tree = {clean_tree}
{more}

[[not_judged]]
case = "*"
check = "memory.*"
reason = "a workstation has no sizes"

[[not_judged]]
case = "*"
check = "latency.*"
reason = "a workstation has no clock to judge"

[[not_judged]]
case = "*"
check = "instruments.*"
reason = "host time shows nothing between stages, and a process has no masks"

[[not_judged]]
case = "*"
check = "execution.core"
reason = "a process has no masks"

[[not_judged]]
case = "*"
check = "execution.arena"
reason = "pointers of a workstation are wider"
"""
Edit = Callable[[dict[str, Any]], None]


def make_template(folder: Path) -> Path:
    """A project with one locked case and its run on native; takes seconds, so it is copied from."""
    small = CaseFolder(folder / "cases" / CASE, CASE)
    (small.path / "README.md").write_text("# Small\n\n## Data\nSome windows | of imu_motion.\n", encoding="utf-8")
    write_lock(small.path)
    done = run_harness(folder, "cases", f"--hil-image={native_image().path}", out=str(folder / "native"))
    assert done.code == PASSED, done.text
    return folder


class Project:
    """A copy of the template. Every edit is of the copy; `seal` tells whether the editor is a clever one."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        shutil.copytree(template / "cases", folder / "cases")
        shutil.copytree(template / "native", folder / "native")
        self.quarantine("")
        self.policy()

    @property
    def case(self) -> Path:
        return self.folder / "cases" / CASE

    def policy(
        self,
        boards: str = '"native"',
        baseline: str = "optional",
        locked: str = "true",
        clean_tree: str = "false",
        more: str = "",
    ) -> Project:
        text = POLICY.format(boards=boards, baseline=baseline, locked=locked, clean_tree=clean_tree, more=more)
        (self.folder / "release.toml").write_text(text, encoding="utf-8")
        return self

    def add_to_policy(self, text: str) -> Project:
        with (self.folder / "release.toml").open("a", encoding="utf-8") as file:
            file.write(text)
        return self

    def quarantine(self, text: str) -> Project:
        (self.folder / "quarantine.toml").write_text(text, encoding="utf-8")
        return self

    def edit(self, change: Edit, run: str = "native", *, sealed: bool = True) -> Project:
        """Change the document of a run."""
        file = self.folder / run / "run.json"
        document = json.loads(file.read_text(encoding="utf-8"))
        change(document)
        if sealed:
            document["seal"] = seal(document)
        file.write_text(json.dumps(document), encoding="utf-8")
        return self

    def edit_case(self, change: Edit, run: str = "native", *, sealed: bool = True) -> Project:
        return self.edit(lambda document: change(document["cases"][0]), run, sealed=sealed)

    def edit_check(self, name: str, run: str = "native", *, sealed: bool = True, **values: Any) -> Project:
        def change(case: dict[str, Any]) -> None:
            check = next(check for check in case["checks"] if check["id"] == name)
            check.update(values)

        return self.edit_case(change, run, sealed=sealed)

    def edit_records(self, change: Callable[[dict[str, np.ndarray]], None], run: str = "native") -> Project:
        """Change the records, as who knows that run.json holds their hash."""
        file = next((self.folder / run).glob("*.npz"))
        with np.load(file) as stored:
            columns = {name: stored[name] for name in stored.files}
        change(columns)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **columns)
        file.write_bytes(buffer.getvalue())
        return self.edit_case(lambda case: case.update(records_sha256=sha256(buffer.getvalue())), run)

    def second(self, name: str = "other", **board: Any) -> Project:
        """The same run, as another board would have given it."""
        shutil.copytree(self.folder / "native", self.folder / name)
        return self.edit(lambda document: document["board"].update(name=name, **board), name)

    def fail(self, name: str = CHECK, run: str = "native", **values: Any) -> Project:
        """A run in which a check failed, as such a run says it."""
        finding = {
            "case": CASE,
            "vector": "v7",
            "contract": name.split(".")[0],
            "check": name,
            "expected": "the same bytes",
            "observed": "others",
            "limit": "",
            "stage": "invoke",
            "hint": "look for state that is not cleared",
        }
        self.edit_check(name, run, outcome="failed", findings_total=1, findings=[finding], **values)
        failed = values.get("quarantine") is None
        return self.edit(lambda document: _verdict(document, "failed" if failed else "passed"), run)

    def run(self, name: str = "native") -> Run:
        return read_run(self.folder / name)

    def records(self, name: str = "native") -> dict[str, np.ndarray]:
        return read_records(next((self.folder / name).glob("*.npz")))

    def read_policy(self) -> PolicyFile:
        return read_policy(self.folder)

    def decide(self, *runs: str, later: timedelta = timedelta()) -> Decision:
        question = ask(self.read_policy(), [self.folder / "boards", PROJECT / "boards"], datetime.now(UTC) + later)
        return decide([self.run(name) for name in runs or ("native",)], question)

    def stops(self, kind: Kind, *words: str, runs: tuple[str, ...] = ("native",), **options: Any) -> None:
        """The gate gives one reason at least of this kind, in these words, and none of another kind."""
        decision = self.decide(*runs, **options)
        assert {reason.kind for reason in decision.reasons} == {kind}, [*decision.reasons]
        told = " ".join(f"{reason.what} {reason.fix}" for reason in decision.reasons)
        assert all(word in told for word in words), told

    def hil(self, *arguments: str | Path) -> tuple[int, str]:
        """Exit code and output of a command; raises what the command raises."""
        parser = argparse.ArgumentParser(prog="hil")
        commands = parser.add_subparsers(required=True)
        add_gate_command(commands, lambda: [PROJECT / "boards"])
        add_release_command(commands, lambda: [PROJECT / "boards"])
        options = parser.parse_args([str(argument) for argument in arguments])
        text = io.StringIO()
        with redirect_stdout(text):
            code = options.run(options)
        return code, text.getvalue()


def _verdict(document: dict[str, Any], verdict: str) -> None:
    document["verdict"] = document["cases"][0]["verdict"] = verdict


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(check: str = CHECK, board: str = "", expires: str = "2999-12-31", case: str = CASE) -> str:
    """One entry of a quarantine.toml."""
    where = f'board = "{board}"\n' if board else ""
    return (
        f'[[quarantine]]\ncase = "{case}"\ncheck = "{check}"\n{where}'
        f'reason = "known"\nissue = "https://tracker.example/7"\nexpires = {expires}\n\n'
    )


QUARANTINED = {"reason": "known", "issue": "https://tracker.example/7", "expires": "2999-12-31"}
