"""What the HTML report says of a run: the cause first, every section, and a sentence where nothing can be drawn."""

from __future__ import annotations

import hashlib
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from synthetic_run import Size, everything, fail, look_at, write_run

from hil.report.page.build import build_page
from hil.report.page.cause import case_sentence, run_sentence
from hil.runfile import Run

pytestmark = pytest.mark.usefixtures("sketched")


def words(run: Run, root: Path) -> str:
    """The page's text without pictures and style, on one line."""
    page = re.sub(r"<(style|script|svg).*?</\1>", " ", build_page(run, root).decode(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def labels(run: Run, root: Path) -> list[str]:
    """What the pictures say to those who cannot see them."""
    return [unescape(text) for text in re.findall(r'<svg [^>]*aria-label="([^"]*)"', build_page(run, root).decode())]


@pytest.mark.parametrize(
    ("checks", "first"),
    [
        (("memory.flash", "latency.total.p99", "decision.answer", "input.prepared"), "input.prepared"),
        (("memory.flash", "decision.answer", "execution.output"), "execution.output"),
        (("baseline.latency.invoke", "memory.flash"), "memory.flash"),
        (("agreement.sqnr_db", "decision.answer"), "decision.answer"),
    ],
)
def test_the_earliest_contract_that_broke_is_named_first(checks: tuple[str, ...], first: str, tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        fail(document, *checks)
        document["cases"][0]["checks"].reverse()

    run = write_run(tmp_path, edit=edit)
    sentence = case_sentence(run.document.cases[0])
    assert sentence.startswith("invoke broke first: expected what was asked for, observed what was seen on vector v3")
    assert sentence.endswith(f"see {first}.")


def test_what_is_worse_than_the_baseline_is_called_a_regression(tmp_path: Path) -> None:
    run = write_run(tmp_path, edit=lambda document: fail(document, "baseline.latency.invoke"))
    assert case_sentence(run.document.cases[0]).startswith("invoke regressed: ")


def test_a_check_in_quarantine_is_not_the_cause(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        fail(document, "input.prepared", "memory.flash")
        document["cases"][0]["checks"][0]["quarantine"] = {"reason": "r", "issue": "i", "expires": "2027-01-01"}

    run = write_run(tmp_path, edit=edit)
    assert run_sentence(run.document).endswith("see memory.flash.")


def test_everything_that_a_reader_needs_is_on_the_page(tmp_path: Path) -> None:
    text = words(write_run(tmp_path, edit=everything), tmp_path)
    for expected in (
        "invoke broke first: expected what was asked for",
        "Next: look at the kernels",
        "2 more checks are broken (latency 1, memory 1)",
        "emulated: instructions executed, no time",
        "in quarantine until 2026-12-31: known rounding (https://example.org/7)",
        "0 % from its limit",
        "needs another board",
        "2026-01-01T00:00:00+00:00 by A. Reviewer",
        "first release",
        "latency.total.p99 instructions 500,000 520,000 +4 % ▼ worse",
        "compiler of a test",
        "flags of a test",
    ):
        assert expected in text, expected
    assert "measured" not in text


def test_pictures_say_their_numbers_and_units(tmp_path: Path) -> None:
    run = write_run(tmp_path, edit=everything)
    told = labels(run, tmp_path)
    stage = run.document.cases[0].latency.stages["invoke"]
    (invoke,) = [text for text in told if text.startswith("Distribution of invoke")]
    assert f"p99 {stage.p99:,}" in invoke
    assert "in instructions (emulated" in invoke
    assert any("CONV_2D 400,000 instructions" in text for text in told)
    assert any("arena 3,600 B of 4,096 B" in text for text in told)
    assert any("baseline 500,000" in text for text in told)
    assert any("59 of 60 vectors with a true label answered right" in text for text in told)


def test_confusions_are_counted_by_true_label_and_answer(tmp_path: Path) -> None:
    expected = np.array([0, 0, 1, 1, 2, -1], np.int32)
    answer = np.array([0, 1, 1, -1, 2, 0], np.int32)
    columns = {"expected_label": expected, "answer": answer}
    (matrix,) = [
        text
        for text in labels(write_run(tmp_path, Size(vectors=6), columns=columns), tmp_path)
        if text.startswith("Confusion")
    ]
    assert "3 of 5 vectors with a true label answered right (60 %)" in matrix
    assert "down to go: 1, go to unknown: 1." in matrix


def test_windows_that_the_gate_rejected_have_a_column(tmp_path: Path) -> None:
    status = np.zeros(60, np.uint8)
    status[:3] = 1
    told = labels(write_run(tmp_path, columns={"status": status}), tmp_path)
    assert any("to rejected by the gate: 1" in text for text in told)


def test_the_largest_difference_to_the_float_model_is_drawn_with_its_window(tmp_path: Path) -> None:
    outputs = np.full((60, 4), 0.5, np.float32)
    raw = np.zeros((60, 4), np.int8)
    raw[41, 2] = 100
    run = write_run(tmp_path, columns={"float_chain": outputs, "output": raw})
    told = labels(run, tmp_path)
    assert any(text.startswith("Window of vector v41: ") and "0.390625 score" in text for text in told)
    assert any("Largest difference 0.390625" in text for text in told)


def test_windows_of_another_file_are_not_drawn(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with (tmp_path / "case0" / "vectors.npz").open("ab") as file:
        file.write(b"more")
    assert "Not drawn" in (text := words(run, tmp_path))
    assert "is not the file of this run: its SHA-256 is another" in text


def test_a_case_that_lies_elsewhere_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert f"Not drawn: {tmp_path / 'case0' / 'case.toml'}" in words(run, tmp_path)


def test_a_file_outside_of_the_case_is_never_read(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        toml = tmp_path / "case0" / "case.toml"
        toml.write_text('[input]\nvectors = "../secret.npz"\n')
        document["cases"][0]["manifest"]["files"]["case.toml"] = hashlib.sha256(toml.read_bytes()).hexdigest()

    assert "../secret.npz is no file of this run" in words(write_run(tmp_path, edit=edit), tmp_path)


def test_the_page_is_one_file_that_may_fetch_nothing(tmp_path: Path) -> None:
    page = build_page(write_run(tmp_path, edit=everything), tmp_path).decode()
    assert "default-src 'none'" in unescape(page)
    assert re.findall(r"\son\w+=", re.sub(r"<script>.*?</script>", "", page, flags=re.S)) == []
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)""", page) == []
    assert page.count("<script") == 1


def test_a_case_whose_bench_broke_has_its_error_and_log(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        case = document["cases"][0]
        for key in ("image", "bundle", "device", "latency", "memory", "link"):
            del case[key]
        case.update(error="BoardError: gone\nsecond line", verdict="error", checks=[], operators=[], records="")
        document["verdict"] = "error"

    text = words(write_run(tmp_path, edit=edit), tmp_path)
    assert "The bench broke before there was a verdict: BoardError: gone; see case0.log." in text
    assert "BoardError: gone second line" in text
    assert "Nothing to draw: the case left no records." in text


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path, edit=lambda document: document.update(verdict="interrupted"))
    assert "The run was interrupted: 1 case was reached." in words(run, tmp_path)


def test_a_run_without_cases_has_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path, names=(), edit=lambda document: document.update(verdict="nothing judged"))
    assert "No case ran." in words(run, tmp_path)


def test_a_changed_run_is_called_no_evidence(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    assert "nothing here is evidence" not in words(run, tmp_path)
    changed = Run(run.file, run.document, sealed=False)
    assert "nothing here is evidence" in words(changed, tmp_path)


def test_changed_records_are_not_drawn_but_the_checks_are_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (tmp_path / "records0.npz").write_bytes(b"other")
    text = words(run, tmp_path)
    assert "Drawn without its records" in text
    assert "its SHA-256 is not the one in run.json" in text
    assert "execution.output" in text


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("units", np.zeros((60, 3), np.int64)),
        ("distinct", np.array([99])),
        ("float_chain", np.zeros((60, 9), np.float32)),
        ("expected_label", np.zeros(60, np.float32)),
    ],
)
def test_columns_that_do_not_fit_are_named(column: str, value: np.ndarray, tmp_path: Path) -> None:
    assert f"records0.npz: {column}: " in words(write_run(tmp_path, columns={column: value}), tmp_path)


def test_records_of_a_run_cut_short_are_drawn_as_far_as_they_go(tmp_path: Path) -> None:
    late = (
        "units",
        "distinct",
        "reference_gate",
        "reference_output",
        "reference_answer",
        "float_output",
        "float_chain",
    )
    text = words(write_run(tmp_path, columns=dict.fromkeys(late)), tmp_path)
    assert "the records hold no times" in text
    assert "the case has no float model" in text


def test_what_is_marginal_stands_at_the_top_with_its_figure(tmp_path: Path) -> None:
    text = words(write_run(tmp_path, edit=look_at), tmp_path)
    first = "Every check holds, but look at this: one output for 60 different windows; see sanity.constant_output. "
    assert text.index(first + "Next: look at the conversion") < text.index("board qemu")
    assert text.index("synthetic on qemu ~ marginal") < text.index(first)


def test_what_is_marginal_is_told_beside_what_broke(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        look_at(document)
        fail(document, "memory.flash")

    assert "1 more check is marginal: sanity.constant_output." in words(write_run(tmp_path, edit=edit), tmp_path)


def test_float_model_int8_and_device_stand_side_by_side(tmp_path: Path) -> None:
    """Of 60 vectors the input costs one and the device another."""
    text = words(write_run(tmp_path), tmp_path)
    assert "accuracy 100 % 98.33 % 96.67 % -1.67 points 0 -1.67 points" in text
    assert "is 3.33 points below the float model's over 60 labelled vectors" in text
    assert "input -1.67 points, quantisation 0, device -1.67 points" in text


def test_without_a_float_model_there_is_no_share_of_input_and_quantisation(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        document["cases"][0]["answers"] |= {"float_chain": None, "float_tensor": None, "gap": None}

    text = words(write_run(tmp_path, edit=edit), tmp_path)
    assert "accuracy none 98.33 % 96.67 % -1.67 points" in text
    assert "there is no float model" in text


@pytest.mark.parametrize(
    ("arena", "told"),
    [(4096, "100 % used"), (4301, "over by 5.005 %"), (8192, "over by 2 times"), (81_920, "over by 20 times")],
)
def test_a_use_beyond_the_limit_says_how_far_it_is_over(arena: int, told: str, tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        fail(document, "memory.arena")
        document["cases"][0]["memory"]["arena_high_water"] = arena
        next(check for check in document["cases"][0]["checks"] if check["id"] == "memory.arena")["value"] = float(arena)

    run = write_run(tmp_path, edit=edit)
    assert words(run, tmp_path).count(told) == 2  # the tile and the check
    assert any(f"budget 4,096 B ({told})" in text for text in labels(run, tmp_path))


def test_cases_on_one_page_have_contents_and_ids_of_their_own(tmp_path: Path) -> None:
    run = write_run(tmp_path, names=("one", "two", "one"), edit=lambda document: fail(document, "memory.flash", at=1))
    page = build_page(run, tmp_path).decode()
    ids = re.findall(r'(?<= )id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert [f'href="#case-{number}"' in page for number in (1, 2, 3)] == [True] * 3
    assert "1 of 3 cases did not pass. two: invoke broke first" in words(run, tmp_path)


def test_a_workstation_image_has_no_sizes_of_the_product(tmp_path: Path) -> None:
    def edit(document: dict) -> None:
        document["cases"][0]["memory"]["host"] = True

    (memory,) = [text for text in labels(write_run(tmp_path, edit=edit), tmp_path) if text.startswith("arena ")]
    assert "flash" not in memory
