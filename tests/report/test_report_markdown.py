"""The Markdown job summary: what a reviewer must know, escaped, and never longer than a CI server takes."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import Size, everything, fail, look_at, write_run

from hil.report.markdown import MOST_BYTES, _text, summary
from hil.runfile import Run


def without_answers(document: dict) -> None:
    document["cases"][0]["answers"] = None


def test_a_passed_run_without_labels_is_a_verdict_and_one_line(tmp_path: Path) -> None:
    text = summary(write_run(tmp_path, edit=without_answers))
    assert text.startswith("## hil on qemu: PASSED\n\nEvery check that was judged holds.")
    assert "| synthetic | **passed** | 8 held | 60 |" in text
    assert "###" not in text


def test_float_model_int8_and_device_are_told_wherever_there_are_labels(tmp_path: Path) -> None:
    """Of 60 vectors the input costs one and the device another, both of the first label."""
    text = summary(write_run(tmp_path))
    assert "accuracy is 3.33 points below the float model's over 60 labelled vectors" in text
    for row in (
        "| accuracy | 100 % | 98.33 % | 96.67 % | -1.67 points | 0 | -1.67 points |",
        "| wrongly accepted | 0 | 0 | 0 | 0 | 0 | 0 |",
        "| answered 'unknown' | 0 | 1 | 2 | +1 | 0 | +1 |",
        "| recall of down (15 vectors) | 100 % | 93.33 % | 86.67 % | -6.67 points | 0 | -6.67 points |",
    ):
        assert row in text, row


def test_what_is_marginal_is_told_first_with_its_figure_and_the_next_step(tmp_path: Path) -> None:
    text = summary(write_run(tmp_path, edit=look_at))
    assert text.startswith(
        "## hil on qemu: MARGINAL\n\nEvery check holds, but look at this: one output for 60 different windows; "
        "see sanity.constant_output."
    )
    assert "**Next:** look at the conversion" in text
    assert "| sanity.constant_output | 0 LSB |  | one output for 60 different windows |" in text


def test_every_kind_of_outcome_is_told_with_its_numbers(tmp_path: Path) -> None:
    text = summary(write_run(tmp_path, edit=everything))
    for row in (
        "5 held, 3 failed, 1 in quarantine, 1 marginal, 1 not judged",
        "| decision.answer | what was asked for | what was seen | v3 | invoke |",
        "| execution.output | 0 LSB | ≤ 0 LSB |",
        "| agreement.flips | 2026-12-31 | known rounding |",
        "| latency.total.p99 | 500,000 instructions | 520,000 instructions | +4 % | worse |",
        "| arena high water | 3,700 bytes | 3,600 bytes | -2.7 % | better |",
        "| latency.total.max | needs another board |",
        "**Next:** look at the kernels",
    ):
        assert row in text, row
    assert "Clock: emulated: instructions executed, no time." in text


def test_rows_have_as_many_cells_as_their_header_whatever_the_texts(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        everything(document)
        for check in document["cases"][0]["checks"]:
            check["reason"] = "a | b\n| c | `d`"
            for finding in check["findings"]:
                finding.update(expected="x | y\n|---|", observed="\\| z", vector="<b>v</b>")

    width = 0
    for line in summary(write_run(tmp_path, edit=edit)).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.count("|") - 1
        assert cells == (width or cells), line
        width = cells


@given(st.text(max_size=80))
def test_no_text_is_markup(text: str) -> None:
    escaped = _text(text)
    assert not re.search(r"[<>`*|\[\]\\@$~]", escaped)
    assert "\n" not in escaped
    assert not re.search(r"&(?!#\d+;)", escaped)


def test_a_changed_run_is_called_no_evidence(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert "nothing here is evidence" in summary(Run(run.file, run.document, sealed=False))


def test_it_stays_below_the_limit_and_keeps_the_worst(tmp_path: Path) -> None:
    names = [f"case {number}" for number in range(60)]

    def edit(document: dict) -> None:
        for case in document["cases"]:
            for check in case["checks"]:
                check.update(outcome="not judged", reason="a long reason | " * 40)
        fail(document, "memory.flash", at=59)

    text = summary(write_run(tmp_path, Size(vectors=2), names=names, edit=edit))
    assert len(text.encode()) < MOST_BYTES
    assert text.index("### case 59") < text.index("### case 0 ")
    assert "left out: the report has everything." in text


def test_a_broken_bench_is_told_with_its_log(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        document["cases"][0].update(error="BoardError: gone\nmore", verdict="error", checks=[])
        document["verdict"] = "error"

    text = summary(write_run(tmp_path, edit=edit))
    assert "The bench broke: BoardError: gone\n\nLog: case0.log" in text
