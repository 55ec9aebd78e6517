"""`hil case limits`: the limits of a run hold for that run, fail a step beyond it, and go into case.toml beside its
comments.

The run is written by the harness's own report from evidence made by hand for the case imu_motion; no board is needed.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_baseline_accept import PROJECT, Bench

from hil.acceptance.limits import Entry, Proposal, lines, proposed, write
from hil.case.load import load_case
from hil.cli import main
from hil.contract import checks_for, judge
from hil.contract.heap import HeapRun, HeapUse
from hil.contract.types import CheckResult, Evidence, ImageFacts, Outcome
from hil.errors import UsageError
from hil.records import ClockSpec

HOST = ClockSpec("host time", "ns", 1, 1, 1_000_000_000, False)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The case without any limit."""
    source, folder = PROJECT / "golden_vectors" / "imu_motion", tmp_path / "imu_motion"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("baseline", "case.lock", "CHANGES.md"))
    text = (folder / "case.toml").read_text(encoding="utf-8")
    kept = re.sub(r"(?ms)^\[(contract|budget)\b.*?(?=^\[(?!contract|budget)|\Z)", "", text)
    (folder / "case.toml").write_text(f"{kept}\n# the last word\n", encoding="utf-8")
    return Bench(tmp_path, folder)


def limits_of(bench: Bench, **options: Any) -> Proposal:
    return proposed(bench.run(**options), "imu_motion")


def entry(proposal: Proposal, path: str) -> Entry:
    (found,) = [entry for entry in proposal.entries if ".".join(entry.path) == path]
    return found


def refusal(bench: Bench, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        limits_of(bench, **options)
    assert "\n  fix: " in str(caught.value)
    return str(caught.value)


# ---- which limits


def test_memory_has_the_headroom_that_its_limit_asks_for(bench: Bench) -> None:
    found = limits_of(bench)
    assert entry(found, "budget.memory.arena_bytes").value == 4000  # of which 3,600 are 90 %
    assert entry(found, "budget.memory.arena_headroom").value == 0.10
    assert entry(found, "budget.memory.flash_bytes").value == 236_000  # 205,000 + 6,632 are below 90 % of it
    assert entry(found, "budget.memory.ram_bytes").value == 434_000
    assert entry(found, "budget.memory.stack_bytes").value == 1312  # of which 984 are 75 %


def test_an_arena_that_the_run_proposed_is_taken_as_it_is(bench: Bench) -> None:
    told = CheckResult("memory.arena", Outcome.NOT_JUDGED, numbers={"proposed": 3696})
    found = limits_of(bench, results=(told,))
    assert entry(found, "budget.memory.arena_bytes").value == 3696
    assert not any(entry.key == "arena_headroom" for entry in found.entries)  # 10 % of it are not free


def test_latency_is_the_boards_clock_and_p99_where_there_are_windows_enough(bench: Bench) -> None:
    found = limits_of(bench)
    total = entry(found, "budget.latency.instructions.total.p99")
    told = re.search(r"max ([\d,]+)$", total.measured)
    assert told is not None
    largest = int(told[1].replace(",", ""))
    assert 1.05 * largest <= total.value < 1.06 * largest


def test_with_few_windows_the_limit_is_one_that_needs_no_bound(bench: Bench) -> None:
    file = bench.case_folder / "vectors.npz"
    with np.load(file) as stored:
        arrays = {name: stored[name][:100] for name in stored.files}
    np.savez(file, **arrays)
    keys = {entry.key for entry in limits_of(bench).entries}
    assert {"total.max", "invoke.max"} <= keys
    assert not {"total.p99", "invoke.p99"} & keys


def test_agreement_is_a_step_below_what_was_measured(bench: Bench) -> None:
    found = limits_of(bench)
    for one in (each for each in found.entries if each.table == ("contract", "agreement")):
        measured = float(one.measured)
        if "min" in one.value:
            assert one.value["min"] < measured
        else:
            assert one.value["max"] >= measured


def test_a_workstation_tells_neither_memory_nor_latency(bench: Bench) -> None:
    def host(evidence: Evidence) -> Evidence:
        return replace(evidence, clock=HOST, image=ImageFacts("ef" * 32, 205_000, 390_000, 32_768, True))

    found = limits_of(bench, change=host)
    assert {entry.table[0] for entry in found.entries} == {"contract"}
    assert [sentence.split(":")[0] for sentence in found.left_out] == ["memory", "latency"]


def test_a_run_without_an_elf_tells_all_but_the_sizes_of_the_image(bench: Bench) -> None:
    def unseen(evidence: Evidence) -> Evidence:
        return replace(evidence, image=ImageFacts("", 0, 0, 0, known=False))

    found = limits_of(bench, change=unseen)
    keys = {entry.key for entry in found.entries}
    assert {"arena_bytes", "stack_bytes", "total.p99"} <= keys
    assert not {"flash_bytes", "ram_bytes"} & keys
    assert [sentence.split(":")[0] for sentence in found.left_out] == ["flash and static RAM"]


def test_a_heap_that_the_firmware_told_gets_a_limit(bench: Bench) -> None:
    def told(evidence: Evidence) -> Evidence:
        return evidence.having(HeapUse((HeapRun(np.full(40, 1400), 1500, 8192, 0),)))

    limit = entry(limits_of(bench, change=told), "budget.memory.heap_bytes")
    assert limit.value == 2000  # of which 1,500 are 75 %
    assert limit.measured == "1,500 in use at the peak of 40 windows in a row"
    assert not any(each.key == "heap_bytes" for each in limits_of(bench).entries)


def test_limits_hold_for_the_run_that_they_came_from_and_fail_beyond(bench: Bench) -> None:
    write(limits_of(bench))
    evidence = bench.evidence()
    mine = [check for check in checks_for(evidence.case) if check.contract in ("memory", "latency")]
    held = {check.id: judge(check, evidence).outcome for check in mine}
    assert {"memory.arena", "memory.flash", "latency.total.p99"} <= {*held}
    assert {held[name] for name in held if name != "latency.repeat"} <= {Outcome.PASSED, Outcome.NOT_JUDGED}
    evidence.records.ticks[:] = evidence.records.ticks * 12 // 10
    evidence.records.arena_high_water[:] = 3700
    broken = {check.id for check in mine if judge(check, evidence).outcome is Outcome.FAILED}
    assert {"memory.arena_headroom", "latency.total.p99", "latency.invoke.p99"} <= broken


# ---- into case.toml


def test_writing_keeps_every_line_that_was_there(bench: Bench) -> None:
    file = bench.case_folder / "case.toml"
    before = list(filter(None, file.read_text(encoding="utf-8").splitlines()))
    written, kept = write(limits_of(bench))
    after = file.read_text(encoding="utf-8").splitlines()
    assert [line for line in after if line in before] == before
    assert (len(written), kept) == (len(limits_of_text(file)), [])
    assert "arena_bytes = 4000 # measured: 3,600 touched" in after
    load_case(bench.case_folder)


def limits_of_text(file: Path) -> list[Any]:
    """The values below [budget] and [contract]; a table with min or max is one."""
    tables = tomllib.loads(file.read_text(encoding="utf-8"))

    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict) and not {"min", "max"} >= {*value}:
            return [leaf for inner in value.values() for leaf in leaves(inner)]
        if isinstance(value, dict) and not all(isinstance(inner, int | float) for inner in value.values()):
            return [leaf for inner in value.values() for leaf in leaves(inner)]
        return [value]

    return [leaf for name in ("budget", "contract") for leaf in leaves(tables.get(name, {}))]


def test_limits_that_are_there_stay_and_a_second_time_changes_nothing(bench: Bench) -> None:
    file = bench.case_folder / "case.toml"
    with file.open("a", encoding="utf-8") as stream:
        stream.write(
            "\n[budget.memory]\narena_bytes = 9_000    # mine\n\n[budget.latency.instructions]\ntotal.p50 = 500_000\n"
        )
    written, kept = write(limits_of(bench))
    text = file.read_text(encoding="utf-8")
    assert [".".join(entry.path) for entry in kept] == ["budget.memory.arena_bytes"]
    assert "arena_bytes = 9_000    # mine" in text
    latency = tomllib.loads(text)["budget"]["latency"]["instructions"]["total"]
    assert (latency["p50"], {*latency}) == (500_000, {"p50", "p99"})
    again = limits_of(bench)
    assert write(again) == ([], list(again.entries))
    assert file.read_text(encoding="utf-8") == text
    assert len(written) > 5


def test_a_locked_case_is_not_written_to(bench: Bench) -> None:
    main(["case", "lock", str(bench.case_folder)])
    before = (bench.case_folder / "case.toml").read_bytes()
    with pytest.raises(UsageError, match=r"the case is locked by case\.lock"):
        write(limits_of(bench))
    assert (bench.case_folder / "case.toml").read_bytes() == before


def test_what_is_printed_is_what_may_be_pasted(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    run = bench.run()
    assert main(["case", "limits", str(run.file)]) == 0
    printed = tomllib.loads(capsys.readouterr().out)
    assert main(["case", "limits", str(run.file), "--write"]) == 0
    tables = tomllib.loads((bench.case_folder / "case.toml").read_text(encoding="utf-8"))
    assert (printed["budget"], printed["contract"]) == (tables["budget"], tables["contract"])
    assert "limits into" in capsys.readouterr().out
    assert next(lines(proposed(bench.run(), "imu_motion"))) == "# imu_motion on qemu"


# ---- runs that say nothing


def test_a_run_whose_answers_were_wrong_is_refused(bench: Bench) -> None:
    wrong = (
        CheckResult("execution.output", Outcome.FAILED, total=1),
        CheckResult("memory.flash", Outcome.FAILED, total=1),
    )
    text = refusal(bench, results=wrong)
    assert "case imu_motion broke execution.output: what it measured" in text


def test_a_run_that_only_broke_a_limit_is_not(bench: Bench) -> None:
    assert limits_of(bench, results=(CheckResult("memory.flash", Outcome.FAILED, total=1),)).entries


@pytest.mark.parametrize("check", ["instruments.clock", "memory.arena"])
def test_a_broken_instrument_and_what_rests_on_it_refuse_the_run(bench: Bench, check: str) -> None:
    assert check in refusal(bench, results=(CheckResult(check, Outcome.INVALID),))


def test_a_run_that_was_cut_short_and_a_case_that_changed_are_refused(bench: Bench) -> None:
    assert "cut short" in refusal(bench, evidence=None, error="the probe is gone")
    run = bench.run()
    with (bench.case_folder / "case.toml").open("a", encoding="utf-8") as stream:
        stream.write("# one more\n")
    with pytest.raises(UsageError, match="changed since this run"):
        proposed(run, "imu_motion")
