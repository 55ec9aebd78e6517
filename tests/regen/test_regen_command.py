"""`hil case regen`: shows what changed, writes nothing unasked, and leaves all or nothing behind."""

from __future__ import annotations

import argparse
import os
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from mixed_case import NAMES, SCORES, N, mixed_case
from native_session import IMU_MOTION, CaseFolder

from hil.case.commands import add_regen_command
from hil.case.load import load_case, write_lock
from hil.case.regen import accept, lines, propose
from hil.errors import CaseError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> CaseFolder:
    return mixed_case(tmp_path / "small")


@pytest.fixture
def accepted(folder: CaseFolder) -> CaseFolder:
    """A case with expectations, locked at version 1."""
    assert accept(propose(folder.path), "first") == 1
    return folder


def regen(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_regen_command(parser.add_subparsers())
    options = parser.parse_args(["regen", *map(str, arguments)])
    return int(options.run(options))


def contents(folder: CaseFolder) -> dict[str, bytes]:
    return {str(file.relative_to(folder.path)): file.read_bytes() for file in folder.path.rglob("*") if file.is_file()}


def test_without_accept_nothing_is_written(folder: CaseFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(folder)
    assert regen(folder.path) == 1
    assert contents(folder) == before
    text = capsys.readouterr().out
    assert f"all {N} vectors are new" in text
    assert "nothing is written" in text


def test_accepted_expectations_are_locked_and_hold(folder: CaseFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert regen(folder.path, "--accept", "--reason", "first\n release") == 0
    case = load_case(folder.path)
    assert (case.locked, case.version) == (True, 1)
    assert case.expected is not None
    assert case.expected.name.tolist() == [case.vectors.name(row) for row in range(N)]
    assert "expected.npz" in case.files
    assert (folder.path / "CHANGES.md").read_text().endswith(f"first release ({N} vectors accepted)\n")
    assert regen(folder.path) == 0


def test_a_locked_version_is_raised_and_the_file_stays_as_it_is_written(folder: CaseFolder) -> None:
    write_lock(folder.path)
    before = folder.toml.read_bytes()
    assert accept(propose(folder.path), "expectations") == 2
    assert folder.toml.read_bytes() == before.replace(b"version = 1", b"version = 2")
    assert load_case(folder.path).version == 2


def test_a_version_that_was_raised_already_stays(accepted: CaseFolder) -> None:
    accepted.replace("version = 1", "version = 7").replace("threshold = 0.60", "threshold = 0.95")
    assert accept(propose(accepted.path), "stricter") == 7


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1\n", "version = 1   # raise it\n"),
        ("version = 1\n", "version=0x1\r\n"),
        ("[case]\n", "\n# words\n[ case ]\n"),
    ],
)
def test_layout_and_comments_survive(folder: CaseFolder, old: str, new: str) -> None:
    text = folder.toml.read_bytes().decode().replace(old, new, 1)
    folder.toml.write_bytes(text.encode())
    write_lock(folder.path)
    accept(propose(folder.path), "expectations")
    raised = folder.toml.read_bytes().decode()
    assert tomllib.loads(raised)["case"]["version"] == 2
    ours, theirs = text.split("\n"), raised.split("\n")
    assert [line for line, other in zip(ours, theirs, strict=True) if line != other] == [
        line for line in ours if line.startswith("version")
    ]
    assert ("# raise it" in raised) == ("# raise it" in text)


def test_another_threshold_is_shown_by_the_decisions_that_it_changes(
    accepted: CaseFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """case.lock is stale then, which is no obstacle: that is what the command is for."""
    accepted.replace("threshold = 0.60", "threshold = 0.95")
    with pytest.raises(CaseError, match="changed since version 1 was locked"):
        load_case(accepted.path)
    before = contents(accepted)
    assert regen(accepted.path) == 1
    assert contents(accepted) == before
    found = propose(accepted.path).differences
    assert {*SCORES} <= {change.vector for change in found.decisions}
    assert (found.outputs, found.windows, found.labels) == ((), (), ())
    text = capsys.readouterr().out
    assert "running_r12_w03: running, score 86 -> unknown (below threshold), running at 86" in text
    assert all(f"{change.vector}: {change.before} -> {change.after}" in text for change in found.decisions[:20])
    assert regen(accepted.path, "--accept", "--reason", "stricter") == 0
    assert load_case(accepted.path).version == 2
    assert (accepted.path / "CHANGES.md").read_text().count("\n* version ") == 2


def test_changed_vectors_are_told_by_what_changed(accepted: CaseFolder) -> None:
    arrays = accepted.stored()
    arrays["windows"][3, 0, 0] += 1
    arrays["label"][4] = (arrays["label"][4] + 1) % 4
    arrays["name"][5] = "renamed"
    accepted.arrays(**arrays)
    found = propose(accepted.path).differences
    assert found.windows == (NAMES[3],)
    assert [change.vector for change in found.labels] == [NAMES[4]]
    assert (found.added, found.removed) == (("renamed",), (NAMES[5],))


def test_another_model_is_told_by_its_outputs(accepted: CaseFolder) -> None:
    """The scale of its input differs: prepared tensors and outputs do then, the windows do not."""
    model = bytearray((accepted.path / "model_int8.tflite").read_bytes())
    case = load_case(accepted.path)
    scale = np.float32(case.model.input.quantisation.scale).tobytes()
    at = model.find(scale)
    model[at : at + 4] = np.float32(case.model.input.quantisation.scale * 1.25).tobytes()
    accepted.write("model_int8.tflite", bytes(model))
    found = propose(accepted.path).differences
    assert found.prepared
    assert found.outputs
    assert found.steps > 0
    assert not found.windows


def test_long_lists_are_cut_unless_all_is_asked_for(tmp_path: Path) -> None:
    folder = CaseFolder(tmp_path / "small", vectors=40)
    accept(propose(folder.path), "first")
    folder.arrays(**{key: value[:1] for key, value in folder.stored().items()})
    cut, whole = ("\n".join(lines(propose(folder.path), everything)) for everything in (False, True))
    assert "39 vectors removed" in cut
    assert "and 19 more (--all lists them)" in cut
    assert "more" not in whole


def test_nothing_to_accept_changes_nothing(accepted: CaseFolder) -> None:
    before = contents(accepted)
    assert regen(accepted.path, "--accept", "--reason", "again") == 0
    assert contents(accepted) == before
    with pytest.raises(UsageError, match="nothing changed"):
        accept(propose(accepted.path), "again")


def test_a_case_that_changed_otherwise_is_sent_to_the_lock(
    accepted: CaseFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted.replace("warmup = 1", "warmup = 2")
    assert regen(accepted.path) == 0
    assert f"lock it with: hil case lock {accepted.path}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--accept"], ["--reason", "why"], ["--accept", "--reason", " \n"]])
def test_accepting_needs_a_reason_and_a_reason_needs_accepting(folder: CaseFolder, arguments: list[str]) -> None:
    before = contents(folder)
    with pytest.raises(UsageError, match="fix: "):
        regen(folder.path, *arguments)
    assert contents(folder) == before


def test_a_case_that_changes_meanwhile_is_not_overwritten(folder: CaseFolder) -> None:
    proposal = propose(folder.path)
    folder.replace("warmup = 1", "warmup = 2")
    before = contents(folder)
    with pytest.raises(UsageError, match="changed while"):
        accept(proposal, "first")
    assert contents(folder) == before


def test_damaged_expectations_are_refused_before_anything_runs(accepted: CaseFolder) -> None:
    accepted.write("expected.npz", b"nothing")
    with pytest.raises(CaseError, match=r"expected\.npz: it is not what"):
        load_case(accepted.path)
    with pytest.raises(CaseError, match=r"expected\.npz: it is not what"):
        propose(accepted.path)


class _Crash(BaseException):
    """Power goes away."""


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Let the given step of those that change the folder be the last one; returns the steps that were taken."""
    taken: list[str] = []

    def stops(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counted(*arguments: object, **options: object) -> object:
            if len(taken) == step:
                raise _Crash
            taken.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in ((os, "fsync"), (Path, "mkdir"), (Path, "rename"), (Path, "replace"), (Path, "rmdir")):
        stops(owner, name)
    return taken


@pytest.mark.slow
def test_a_crash_at_any_step_leaves_the_old_case_or_one_that_the_command_finishes(
    accepted: CaseFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted.replace("threshold = 0.60", "threshold = 0.95")
    old, states = contents(accepted), []
    for step in range(100):
        copy = tmp_path / f"crash{step}"
        shutil.copytree(accepted.path, copy)
        proposal = propose(copy)
        with monkeypatch.context() as patch:
            taken = crash_at(patch, step)
            try:
                accept(proposal, "stricter")
            except _Crash:
                pass
            else:
                break
        states.append(_state_after(copy, old))
        assert len(taken) == step
    assert states == sorted(states, key=["old", "unfinished", "new"].index)
    assert {"old", "unfinished"} <= set(states)


def _state_after(folder: Path, old: dict[str, bytes]) -> str:
    """What a user finds after the crash; the next `hil case regen` brings it to the new case unless all is old."""
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    if not (folder / ".regen.commit").exists():
        if files == old:
            assert propose(folder).differences.decisions
            return "old"
        assert load_case(folder).version == 2
        return "new"
    with pytest.raises(CaseError, match=r"interrupted(.|\n)*fix: finish it: hil case regen"):
        load_case(folder)
    assert propose(folder).finished
    assert load_case(folder).version == 2
    assert "stricter" in (folder / "CHANGES.md").read_text()
    return "unfinished"


def test_a_folder_that_cannot_be_written_is_misuse(folder: CaseFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal, before = propose(folder.path), contents(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device"):
        accept(proposal, "first")
    monkeypatch.undo()
    kept = {name: data for name, data in contents(folder).items() if not name.startswith(".regen.part")}
    assert kept == before
    assert accept(propose(folder.path), "first") == 1


def test_the_golden_case_expects_what_its_references_give() -> None:
    proposal = propose(IMU_MOTION)
    assert not proposal.changed, "\n".join(lines(proposal))
    assert proposal.stale == ""
