"""From a stored run to a baseline and back: what is accepted, what is refused and why, what a diff says.

The run is written by the harness's own report from evidence made by hand for the case imu_motion; no board is needed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_evidence import INSTRUCTIONS, make_hello

from hil.acceptance.accept import Accepted, prepare, what_changed, write
from hil.acceptance.commands import add_baseline_commands
from hil.acceptance.diff import diff
from hil.acceptance.stored import stored_evidence
from hil.acceptance.text import diff_lines, show_lines
from hil.baseline.file import baseline_path, read_baseline
from hil.board.config import load_board
from hil.case.load import load_case
from hil.case.types import Case
from hil.contract.changes import changes
from hil.contract.operators import OperatorProfile, OperatorTicks
from hil.contract.types import CheckResult, Evidence, ImageFacts, Outcome, References
from hil.errors import UsageError
from hil.project.git import default_by
from hil.records import RunRecords, Status
from hil.report.run_json import CaseReport, case_document, clock_document, dump, records_archive, run_document
from hil.runfile import Run, read_run, seal

PROJECT = Path(__file__).parents[2]
Change = Callable[[Evidence], Evidence]
Edit = Callable[[dict[str, Any]], object]


def evidence_of(case: Case) -> Evidence:
    """A device that computes something, always the same, in a little more than half a million instructions."""
    n, random = len(case.vectors), np.random.default_rng(4)
    rows = RunRecords.empty(n, case.model.output.elements)
    rows.status[:] = Status.DONE
    rows.output[:] = random.integers(-128, 128, rows.output.shape)
    rows.digest[:] = random.integers(0, 2**32, n)
    rows.winner[:] = rows.answer[:] = rows.output.argmax(axis=1)
    rows.score[:] = rows.output.max(axis=1)
    rows.label_texts[:] = case.decide.labels
    rows.label[:] = rows.answer
    rows.ticks[:] = np.stack([random.integers(*span, n) for span in SPANS], axis=1).cumsum(axis=1)
    rows.arena_high_water[:], rows.stack_high_water[:] = 3600, 984
    references = References(
        gate=rows.gate.copy(),
        prepared=np.zeros((n, case.model.input.elements), np.int8),
        digest=rows.digest.copy(),
        output=rows.output.copy(),
        float_output=((rows.output.astype(np.float32) + 128) / 256),
        float_chain=((rows.output.astype(np.float32) + 129) / 256),
        winner=rows.winner.copy(),
        score=rows.score.copy(),
        answer=rows.answer.copy(),
        reason=rows.reason.copy(),
    )
    return Evidence(
        case=case,
        board="qemu",
        clock=INSTRUCTIONS,
        image=ImageFacts("ef" * 32, 205_000, 390_000, 32_768),
        bundle_bytes=6632,
        bundle_sha256="cd" * 32,
        hello=replace(make_hello(case), arena_used=3500, arena_high_water=3000, compiler="GNU 12.2", flags="-O2"),
        records=rows,
        references=references,
        sections={OperatorProfile: OperatorProfile(OPERATORS, 3)},
    )


OPERATORS = (OperatorTicks(0, "CONV_2D", 400_000), OperatorTicks(1, "SOFTMAX", 9000))
SPANS = ((18_000, 18_001), (830_000, 833_000), (160, 172))  # ticks of each stage


@dataclass
class Bench:
    """A copy of the case, and a way to write runs of it."""

    folder: Path
    case_folder: Path

    def evidence(self) -> Evidence:
        return evidence_of(load_case(self.case_folder))

    def run(self, change: Change = lambda evidence: evidence, edit: Edit = lambda _: None, **report: Any) -> Run:
        """A sealed run.json; change: the evidence before it is written; edit: the document before it is sealed."""
        evidence = change(self.evidence())
        data = records_archive(evidence.case, evidence.records, evidence)
        (self.folder / "imu.npz").write_bytes(data)
        facts = {"results": (CheckResult("input.type", Outcome.PASSED),), "evidence": evidence, **report}
        case = CaseReport(
            evidence.case, records_file="imu.npz", records_sha256=hashlib.sha256(data).hexdigest(), **facts
        )
        operators = {
            "operators": [vars(item) for item in evidence.section(OperatorProfile).operators],
            "operators_vector": evidence.case.vectors.name(3),
        }
        config = load_board("qemu", [PROJECT / "boards"])
        document = run_document(
            [{**operators, **case_document(case)}],
            config,
            clock_document(evidence.clock),
            interrupted=False,
            started="2026",
            seconds=1.0,
        )
        edit(document)
        (self.folder / "run.json").write_bytes(dump({**document, "seal": seal(document)}))
        return read_run(self.folder)

    def accept(self, run: Run, **options: Any) -> Accepted:
        accepted = prepare(run, options.pop("names", ()), **{"by": "Ada", "reason": "release 1", **options})
        write(accepted)
        return accepted[0]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    source, folder = PROJECT / "golden_vectors" / "imu_motion", tmp_path / "imu_motion"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("baseline", "case.lock"))
    return Bench(tmp_path, folder)


def slower(evidence: Evidence) -> Evidence:
    evidence.records.ticks[:] += 800
    return evidence


def one_decision(evidence: Evidence) -> Evidence:
    evidence.records.answer[9] = (evidence.records.answer[9] + 1) % 4
    return evidence


def only_error(run: Run, **options: Any) -> str:
    with pytest.raises(UsageError) as error:
        prepare(run, options.pop("names", ()), **{"by": "Ada", "reason": "release 1", **options})
    text = str(error.value)
    assert "\n  fix: " in text
    return text


# ---- what is stored is what was judged


def test_a_stored_run_gives_the_changes_of_the_live_one(bench: Bench) -> None:
    file = bench.accept(bench.run()).path
    live = one_decision(slower(bench.evidence()))
    stored = stored_evidence(bench.run(lambda evidence: one_decision(slower(evidence))), "imu_motion")
    baseline = read_baseline(file)
    assert changes(replace(stored, baseline=baseline)) == changes(replace(live, baseline=baseline))


def test_operators_and_label_texts_survive(bench: Bench) -> None:
    stored, live = stored_evidence(bench.run(), "imu_motion"), bench.evidence()
    assert stored.section(OperatorProfile) == live.section(OperatorProfile)
    texts = [np.array([*rows.label_texts, ""])[rows.label].tolist() for rows in (stored.records, live.records)]
    assert texts[0] == texts[1]
    assert stored.hello.labels == live.hello.labels


# ---- accept


def test_an_accepted_run_equals_its_baseline(bench: Bench) -> None:
    run = bench.run()
    accepted = bench.accept(run)
    assert accepted.path == baseline_path(bench.case_folder / "case.toml", "qemu")
    found = diff(run, "imu_motion")
    assert not found.failed
    assert f"  none of {len(found.changes)} figures changed" in list(diff_lines(found))


def test_a_baseline_says_who_when_why_and_from_what(bench: Bench) -> None:
    run = bench.run()
    kept = read_baseline(bench.accept(run, by="Ada <ada@example.org>", reason="  first  ").path).baseline
    assert (kept.accepted.by, kept.accepted.reason, kept.accepted.changes) == (
        "Ada <ada@example.org>",
        "first",
        ["first baseline"],
    )
    assert (kept.made.firmware_sha256, kept.made.compiler, kept.made.flags) == ("ef" * 32, "GNU 12.2", "-O2")
    assert kept.made.files == dict(load_case(bench.case_folder).files)
    assert (kept.origin.seal, kept.origin.board_kind) == (run.document.seal, "qemu")


def test_the_next_acceptance_tells_what_changed_and_remembers_the_last(bench: Bench) -> None:
    bench.accept(bench.run())
    kept = bench.accept(bench.run(lambda evidence: one_decision(slower(evidence))), reason="release 2").baseline
    assert [entry.reason for entry in kept.history] == ["release 2", "release 1"]
    lines = kept.accepted.changes
    assert "vectors with another decision 0 -> 1 vectors" in lines
    assert any(line.startswith("prepare p50 11,250 -> 11,750 instructions (+4.44 %)") for line in lines)


def test_so_many_acceptances_are_remembered_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.acceptance.accept.MOST_HISTORY", 3)
    run = bench.run()
    for number in range(5):
        kept = bench.accept(run, reason=f"release {number}").baseline
    assert [entry.reason for entry in kept.history] == ["release 4", "release 3", "release 2"]


def test_a_broken_baseline_alone_does_not_refuse_a_run(bench: Bench) -> None:
    results = (CheckResult("input.type", Outcome.PASSED), CheckResult("baseline.arena", Outcome.FAILED, total=1))
    assert bench.accept(bench.run(results=results)).path.is_file()


def test_failures_in_quarantine_are_written_down(bench: Bench) -> None:
    results = (CheckResult("input.type", Outcome.PASSED), CheckResult("memory.flash", Outcome.FAILED, total=1))
    excused = {"memory.flash": {"reason": "known", "issue": "#1", "expires": "2026-12-31"}}
    kept = bench.accept(bench.run(results=results, quarantine=excused)).baseline
    assert "accepted with failures in quarantine: memory.flash" in kept.accepted.changes


# ---- refused


def test_a_run_that_broke_another_contract_is_refused(bench: Bench) -> None:
    results = (CheckResult("input.type", Outcome.PASSED), CheckResult("memory.flash", Outcome.FAILED, total=1))
    assert "case imu_motion broke memory.flash" in only_error(bench.run(results=results))


def test_a_run_that_judged_nothing_is_refused(bench: Bench) -> None:
    assert "no check was judged" in only_error(bench.run(results=(CheckResult("input.type", Outcome.NOT_JUDGED),)))


def test_a_run_that_was_cut_short_is_refused(bench: Bench) -> None:
    assert "cut short: the probe is gone" in only_error(bench.run(evidence=None, error="the probe is gone"))
    unseen = bench.run(lambda evidence: replace(evidence, image=ImageFacts("", 0, 0, 0, known=False)))
    assert "ran without an ELF, so that the sizes of its image are not known\n  fix: name the ELF" in only_error(unseen)
    assert "cut short: interrupted" in only_error(bench.run(edit=lambda run: run.update(verdict="interrupted")))


def test_a_changed_run_is_refused(bench: Bench) -> None:
    file = bench.run().file
    file.write_text(file.read_text().replace('"arena_used": 3500', '"arena_used": 3400'))
    assert "seal: the file is not as the run wrote it" in only_error(read_run(file))


def test_changed_records_are_refused(bench: Bench) -> None:
    run = bench.run()
    with np.load(bench.folder / "imu.npz") as stored:
        columns = dict(stored)
    columns["units"][:, 1] -= 1000
    np.savez_compressed(bench.folder / "imu.npz", **columns)
    assert "SHA-256" in only_error(run)


@pytest.mark.parametrize(("key", "value"), [("reason", " "), ("by", "")])
def test_nobody_and_no_reason_are_refused(bench: Bench, key: str, value: str) -> None:
    assert f"--{key} is empty" in only_error(bench.run(), **{key: value})


def test_a_case_that_changed_since_the_run_is_refused(bench: Bench) -> None:
    run = bench.run()
    text = (bench.case_folder / "case.toml").read_text()
    (bench.case_folder / "case.toml").write_text(text.replace("threshold = 0.60", "threshold = 0.70"))
    assert "case.toml: changed since this run: case.toml" in only_error(run)


def test_a_case_that_is_not_here_is_refused(bench: Bench) -> None:
    run = bench.run()
    shutil.rmtree(bench.case_folder)
    assert "from the folder that the run was started in" in only_error(run)


def test_a_case_that_did_not_run_is_refused(bench: Bench) -> None:
    assert "has no case 'gesture', only: imu_motion" in only_error(bench.run(), names=["gesture"])


def test_a_run_without_cases_is_refused(bench: Bench) -> None:
    assert "no case ran" in only_error(bench.run(edit=lambda run: run.update(cases=[])))


def test_nothing_is_written_when_one_case_is_refused(bench: Bench) -> None:
    def twice(document: dict[str, Any]) -> None:
        second = json.loads(json.dumps(document["cases"][0]))
        document["cases"].append({**second, "name": "other", "error": "the probe is gone"})

    only_error(bench.run(edit=twice))
    assert not (bench.case_folder / "baseline").exists()


# ---- diff and show


def test_a_diff_of_a_slower_run_blames_the_stage(bench: Bench) -> None:
    bench.accept(bench.run())
    found = diff(bench.run(slower), "imu_motion")
    assert found.failed
    assert [result.check for result in found.results if result.outcome is Outcome.FAILED] == [
        "baseline.latency.prepare"
    ]
    text = "\n".join(diff_lines(found))
    assert "worse   prepare p50 11,250 -> 11,750 instructions (+4.44 %)" in text
    assert "first stage prepare" in text


def test_a_diff_shows_three_findings_of_a_check_and_counts_the_others(bench: Bench) -> None:
    def many(evidence: Evidence) -> Evidence:
        evidence.records.answer[:30] = (evidence.records.answer[:30] + 1) % 4
        return evidence

    bench.accept(bench.run())
    text = "\n".join(diff_lines(diff(bench.run(many), "imu_motion")))
    assert text.count("check       baseline.decisions") == 3
    assert "baseline.decisions: 27 findings more" in text


def test_a_diff_over_two_versions_of_a_case_says_so_and_compares_what_can_be(bench: Bench) -> None:
    bench.accept(bench.run())
    text = (bench.case_folder / "case.toml").read_text()
    (bench.case_folder / "case.toml").write_text(re.sub(r"(?m)^version = \d+$", "version = 7", text))
    found = diff(bench.run(slower), "imu_motion")
    failed = [result.check for result in found.results if result.outcome is Outcome.FAILED]
    assert failed == ["baseline.valid", "baseline.latency.prepare"]
    text = "\n".join(diff_lines(found))
    assert "version 7" in text
    assert "worse   prepare p50" in text


def test_a_diff_without_a_baseline_fails_and_says_how_to_get_one(bench: Bench) -> None:
    found = diff(bench.run(), "imu_motion")
    assert found.failed
    assert "hil baseline accept RUN" in "\n".join(diff_lines(found))


def test_the_page_of_a_baseline_names_figures_with_their_unit(bench: Bench) -> None:
    text = "\n".join(show_lines(read_baseline(bench.accept(bench.run()).path)))
    assert "instructions" in text
    assert "arena 3,600 B (interpreter 3,500)" in text
    assert "by Ada: release 1" in text
    assert "CONV_2D #0 400,000, SOFTMAX #1 9,000 instructions" in text


def test_what_changed_of_an_equal_run_is_nothing(bench: Bench) -> None:
    path = bench.accept(bench.run()).path
    assert what_changed(bench.evidence(), read_baseline(path)) == [
        "image, model and case are the accepted ones",
        "no figure changed",
    ]


# ---- the command line


def hil(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_baseline_commands(parser.add_subparsers())
    options = parser.parse_args(arguments)
    return int(options.run(options))


def test_the_commands_accept_show_and_compare(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run()
    folder = str(bench.folder)
    assert hil("baseline", "accept", folder, "--reason", "release 1", "--by", "Ada") == 0
    assert "accepted by Ada: release 1\n  first baseline" in capsys.readouterr().out
    assert hil("baseline", "diff", folder) == 0
    bench.run(slower)
    assert hil("baseline", "diff", folder, "--case", "imu_motion") == 1
    assert "baseline.latency.prepare" in capsys.readouterr().out
    assert hil("baseline", "show", str(bench.case_folder), "--board", "qemu") == 0
    assert "by Ada: release 1" in capsys.readouterr().out


def test_a_reason_is_asked_for(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        hil("baseline", "accept", str(bench.folder))
    assert error.value.code == 2
    assert "--reason" in capsys.readouterr().err


def test_git_says_who_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = Grace\nemail = grace@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert default_by(tmp_path) == "Grace <grace@example.org>"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "hopper")
    assert default_by(tmp_path) == "hopper"
